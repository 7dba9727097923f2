output "ids" {
  description = "The full name of each workflow."
  value       = { for name, workflow in google_workflows_workflow.workflow : name => workflow.id }
}
