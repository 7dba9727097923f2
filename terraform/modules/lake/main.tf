# The bucket of lake and state. Objects of the lake are never changed; cleanup drops what nothing names any more.
resource "google_storage_bucket" "lake" {
  project                     = var.project
  name                        = var.name
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection
  deletion_policy             = var.deletion_protection ? "PREVENT" : "DELETE"
  labels                      = { pipeline = var.pipeline }

  soft_delete_policy {
    retention_duration_seconds = var.soft_delete_days * 86400
  }

  # Uploads that were broken off.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }
}

# Everybody reads: an object that is missing is told from one that is forbidden only to who may list.
resource "google_storage_bucket_iam_member" "reader" {
  for_each = var.readers

  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.objectViewer"
  member = each.value
}

resource "google_storage_bucket_iam_member" "writer" {
  for_each = var.writers

  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.objectUser"
  member = each.value.member

  dynamic "condition" {
    for_each = each.value.prefixes == null ? [] : [each.value.prefixes]
    content {
      title       = "${each.key}-writes"
      description = "Below these prefixes only."
      expression = join(" || ", [
        for prefix in condition.value :
        "resource.name.startsWith(\"projects/_/buckets/${var.name}/objects/${prefix}\")"
      ])
    }
  }
}
