output "project" {
  description = "The project, once its APIs are on: whoever names it by this waits for them."
  value       = var.project
  depends_on  = [google_project_service.api]
}
