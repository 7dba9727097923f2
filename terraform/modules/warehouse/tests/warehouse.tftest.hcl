mock_provider "google" {}

variables {
  project    = "example-project"
  location   = "us-central1"
  pipeline   = "retail"
  raw        = { dataset = "raw", labels = { layer = "raw" }, time_travel_hours = 48, expiration_days = 400 }
  live       = "live"
  slot_maker = "serviceAccount:publish@example.com"
  readers    = { analysts = "group:analysts@example.com" }
  job_users  = { load = "serviceAccount:load@example.com" }
  grants     = { "load uses raw" = { dataset = "raw", role = "roles/bigquery.dataEditor", member = "serviceAccount:load@example.com" } }
}


run "the_fixed_datasets_are_as_the_pipeline_file_says" {
  assert {
    condition = (
      google_bigquery_dataset.raw.default_partition_expiration_ms == 34560000000
      && google_bigquery_dataset.raw.max_time_travel_hours == "48"
      && google_bigquery_dataset.raw.labels == tomap({ layer = "raw", pipeline = "retail" })
      && google_bigquery_dataset.ops.default_table_expiration_ms == 86400000
    )
    error_message = "A dataset is otherwise than pipeline.yaml says."
  }

  assert {
    condition     = output.datasets == { raw = "raw", live = "live", ops = "ops" }
    error_message = "The datasets are called otherwise."
  }
}

run "data_is_protected_and_staging_is_not" {
  command = plan

  assert {
    condition = alltrue([
      for dataset in [google_bigquery_dataset.raw, google_bigquery_dataset.live] :
      dataset.deletion_policy == "PREVENT" && !dataset.delete_contents_on_destroy
    ]) && google_bigquery_dataset.ops.delete_contents_on_destroy
    error_message = "Data could be destroyed, or staging tables could keep their dataset."
  }
}

run "publish_makes_slots_and_nothing_else" {
  command = plan

  assert {
    condition     = google_project_iam_custom_role.slots.permissions == toset(["bigquery.datasets.create", "bigquery.jobs.listAll", "bigquery.jobs.update"])
    error_message = "The role of who makes slots allows more, or less."
  }

  assert {
    condition     = google_bigquery_dataset_iam_member.reader["analysts"].dataset_id == "live" && length(google_bigquery_dataset_iam_member.reader) == 1
    error_message = "Readers see something else than live."
  }
}

run "a_grant_is_on_a_fixed_dataset" {
  command = plan

  variables {
    grants = { slot = { dataset = "retail_blue_1", role = "roles/bigquery.dataEditor", member = "user:a@example.com" } }
  }

  expect_failures = [var.grants]
}

run "live_and_raw_differ" {
  command = plan

  variables {
    live = "raw"
  }

  expect_failures = [var.live]
}
