output "secrets" {
  description = "The secrets that may be read."
  value       = [for grant in google_secret_manager_secret_iam_member.reader : "projects/${grant.project}/secrets/${grant.secret_id}"]
}
