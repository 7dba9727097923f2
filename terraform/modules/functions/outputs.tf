output "urls" {
  description = "The address of each function, once whoever has to may call it."
  value       = { for name, function in google_cloud_run_v2_service.function : name => function.uri }
  depends_on  = [google_cloud_run_v2_service_iam_member.invoker]
}
