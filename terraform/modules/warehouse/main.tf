# The datasets that belong to no slot. Slots are made by publish, and are no resources of Terraform.
resource "google_bigquery_dataset" "raw" {
  project     = var.project
  dataset_id  = var.raw.dataset
  location    = var.location
  description = var.raw.description
  labels      = merge(var.raw.labels, { pipeline = var.pipeline })

  default_partition_expiration_ms = var.raw.expiration_days == null ? null : var.raw.expiration_days * 86400000
  max_time_travel_hours           = var.raw.time_travel_hours

  delete_contents_on_destroy = !var.deletion_protection
  deletion_policy            = var.deletion_protection ? "PREVENT" : "DELETE"
}

resource "google_bigquery_dataset" "live" {
  project     = var.project
  dataset_id  = var.live
  location    = var.location
  description = "What readers see."
  labels      = { pipeline = var.pipeline }

  delete_contents_on_destroy = !var.deletion_protection
  deletion_policy            = var.deletion_protection ? "PREVENT" : "DELETE"

  lifecycle {
    # Publish says in labels which cycle is live.
    ignore_changes = [labels]
  }
}

resource "google_bigquery_dataset" "ops" {
  project     = var.project
  dataset_id  = "ops"
  location    = var.location
  description = "Tables that stage loads, for minutes."
  labels      = { pipeline = var.pipeline }

  default_table_expiration_ms = 86400000
  delete_contents_on_destroy  = true
}

locals {
  datasets = {
    raw  = google_bigquery_dataset.raw.dataset_id
    live = google_bigquery_dataset.live.dataset_id
    ops  = google_bigquery_dataset.ops.dataset_id
  }
}

resource "google_bigquery_dataset_iam_member" "grant" {
  for_each = var.grants

  project    = var.project
  dataset_id = local.datasets[each.value.dataset]
  role       = each.value.role
  member     = each.value.member
}

resource "google_bigquery_dataset_iam_member" "reader" {
  for_each = var.readers

  project    = var.project
  dataset_id = local.datasets.live
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}

resource "google_project_iam_member" "job" {
  for_each = var.job_users

  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = each.value
}

# The right to make slots, and to end what an overtaken attempt has left running. Whoever makes a dataset owns it, and no other.
resource "google_project_iam_custom_role" "slots" {
  project     = var.project
  role_id     = "bluegreenprintSlots"
  title       = "BlueGreenPrint slots"
  description = "Makes datasets, and cancels jobs of overtaken attempts."
  permissions = [
    "bigquery.datasets.create",
    "bigquery.jobs.listAll",
    "bigquery.jobs.update",
  ]
}

resource "google_project_iam_member" "slots" {
  project = var.project
  role    = "projects/${var.project}/roles/${google_project_iam_custom_role.slots.role_id}"
  member  = var.slot_maker
}
