# The APIs that the pipeline needs. They stay on when it goes: others may use them.
resource "google_project_service" "api" {
  for_each = var.apis

  project            = var.project
  service            = each.value
  disable_on_destroy = false
}
