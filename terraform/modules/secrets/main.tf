# Passwords of sources: whoever runs the pipeline makes the secrets, and here the one who needs them may read them, and no other.
resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = var.secrets

  project   = each.value.project
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = var.reader
}
