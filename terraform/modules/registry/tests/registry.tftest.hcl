mock_provider "google" {}

variables {
  project       = "example-project"
  region        = "us-central1"
  state_bucket  = "example-project-terraform"
  build_account = { email = "bgp-build@example-project.iam.gserviceaccount.com", member = "serviceAccount:bgp-build@example-project.iam.gserviceaccount.com" }
}


run "a_build_pushes_and_nothing_else" {
  assert {
    condition     = keys(google_project_iam_member.build) == ["roles/logging.logWriter"]
    error_message = "A build that only pushes has rights that it does not need."
  }

  assert {
    condition     = output.address == "us-central1-docker.pkg.dev/example-project/bluegreenprint"
    error_message = "Images are called otherwise: ${output.address}"
  }

  assert {
    condition     = one(google_artifact_registry_repository.images.docker_config).immutable_tags
    error_message = "A tag could be moved to another image."
  }
}

run "a_build_that_only_pushes_does_not_write_the_state" {
  command = plan

  assert {
    condition     = !strcontains(one(google_storage_bucket_iam_member.build.condition).expression, "bluegreenprint") && strcontains(one(google_storage_bucket_iam_member.build.condition).expression, "objects/source/")
    error_message = "The build could change what Terraform knows."
  }
}

run "what_is_old_is_dropped_and_what_runs_is_kept" {
  command = plan

  assert {
    condition     = toset([for policy in google_artifact_registry_repository.images.cleanup_policies : policy.action]) == toset(["KEEP", "DELETE"])
    error_message = "Images would pile up, or the one that runs would go."
  }
}

run "a_build_that_deploys_writes_the_state" {
  command = plan

  variables {
    may_deploy = true
  }

  assert {
    condition     = contains(keys(google_project_iam_member.build), "roles/run.admin") && length(google_storage_bucket_iam_member.build.condition) == 0
    error_message = "The build can't deploy."
  }
}

run "one_version_stays" {
  command = plan

  variables {
    kept_versions = 0
  }

  expect_failures = [var.kept_versions]
}
