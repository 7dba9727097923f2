output "jobs" {
  description = "The address of each function's job, where it has one, once whoever has to may run it."
  value       = { for name, job in google_cloud_run_v2_job.function : name => "https://run.googleapis.com/v2/${job.id}" }
  depends_on  = [google_cloud_run_v2_job_iam_member.runner]
}

output "urls" {
  description = "The address of each function, once whoever has to may call it."
  value       = { for name, function in google_cloud_run_v2_service.function : name => function.uri }
  depends_on  = [google_cloud_run_v2_service_iam_member.invoker]
}
