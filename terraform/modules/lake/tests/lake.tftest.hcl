mock_provider "google" {}

variables {
  project  = "example-project"
  name     = "example-lake"
  location = "us-central1"
  pipeline = "retail"
  readers  = { load = "serviceAccount:load@example.com", publish = "serviceAccount:publish@example.com" }
  writers = {
    load    = { member = "serviceAccount:load@example.com", prefixes = ["raw/", "ledger/"] }
    publish = { member = "serviceAccount:publish@example.com" }
  }
}


run "nobody_outside_reads_and_nobody_destroys" {
  assert {
    condition = (
      google_storage_bucket.lake.public_access_prevention == "enforced" && google_storage_bucket.lake.uniform_bucket_level_access
      && google_storage_bucket.lake.deletion_policy == "PREVENT" && !google_storage_bucket.lake.force_destroy
    )
    error_message = "The lake is open, or can be destroyed."
  }

  assert {
    condition     = one(google_storage_bucket.lake.soft_delete_policy).retention_duration_seconds == 604800
    error_message = "Deleted objects do not stay for a week."
  }
}

run "a_writer_writes_below_its_prefixes" {
  command = plan

  assert {
    condition     = one(google_storage_bucket_iam_member.writer["load"].condition).expression == "resource.name.startsWith(\"projects/_/buckets/example-lake/objects/raw/\") || resource.name.startsWith(\"projects/_/buckets/example-lake/objects/ledger/\")"
    error_message = "load writes elsewhere: ${one(google_storage_bucket_iam_member.writer["load"].condition).expression}"
  }

  assert {
    condition     = length(google_storage_bucket_iam_member.writer["publish"].condition) == 0
    error_message = "publish can't drop what nothing names."
  }
}

run "protection_is_given_up_as_one" {
  command = plan

  variables {
    deletion_protection = false
  }

  assert {
    condition     = google_storage_bucket.lake.force_destroy && google_storage_bucket.lake.deletion_policy == "DELETE"
    error_message = "The lake could not be destroyed."
  }
}

run "a_writer_with_no_prefix_is_refused" {
  command = plan

  variables {
    writers = { load = { member = "serviceAccount:load@example.com", prefixes = [] } }
  }

  expect_failures = [var.writers]
}
