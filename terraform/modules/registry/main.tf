# Where images are, and the account that builds them.
resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = "bluegreenprint"
  description   = "Images of BlueGreenPrint."
  format        = "DOCKER"

  docker_config {
    immutable_tags = true
  }

  # The free tier is 0.5 GB. What runs is among the newest versions; a rollback of code needs the one before.
  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = var.kept_versions
    }
  }

  cleanup_policies {
    id     = "drop-older"
    action = "DELETE"
    condition {
      older_than = "86400s"
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = var.build_account.member
}

resource "google_project_iam_member" "build" {
  for_each = toset(concat(["roles/logging.logWriter"], var.may_deploy ? local.deployment : []))

  project = var.project
  role    = each.value
  member  = var.build_account.member
}

# The bucket of the state also has the source that is built, and the digests of what was. A build that deploys writes the state.
resource "google_storage_bucket_iam_member" "build" {
  bucket = var.state_bucket
  role   = "roles/storage.objectUser"
  member = var.build_account.member

  dynamic "condition" {
    for_each = var.may_deploy ? [] : [["source/", "images.auto.tfvars.json"]]
    content {
      title       = "build-writes"
      description = "Not the state."
      expression = join(" || ", [
        for prefix in condition.value :
        "resource.name.startsWith(\"projects/_/buckets/${var.state_bucket}/objects/${prefix}\")"
      ])
    }
  }
}

locals {
  # What `terraform apply` needs. Whoever may set IAM policies may take every right there is.
  deployment = [
    "roles/artifactregistry.admin",
    "roles/bigquery.dataOwner",
    "roles/cloudscheduler.admin",
    "roles/iam.roleAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/logging.configWriter",
    "roles/monitoring.editor",
    "roles/pubsub.admin",
    "roles/resourcemanager.projectIamAdmin",
    "roles/run.admin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
    "roles/workflows.editor",
  ]
}
