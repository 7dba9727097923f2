output "channels" {
  description = "The channels that are told."
  value       = local.channels
}

output "dashboard" {
  description = "The dashboard."
  value       = google_monitoring_dashboard.pipeline.id
}
