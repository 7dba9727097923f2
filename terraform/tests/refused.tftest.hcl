mock_provider "google" {}

variables {
  project = "example-project"
}

run "project_is_refused" {
  command = plan

  variables {
    project = "Project"
  }

  expect_failures = [var.project]
}

run "region_is_refused" {
  command = plan

  variables {
    region = "Toronto"
  }

  expect_failures = [var.region]
}

run "location_is_refused" {
  command = plan

  variables {
    location = "europe-west1"
  }

  expect_failures = [var.location]
}

run "pipeline_file_is_refused" {
  command = plan

  variables {
    pipeline_file = "nowhere.yaml"
  }

  expect_failures = [var.pipeline_file]
}

run "images_is_refused" {
  command = plan

  variables {
    images = { functions = "load:latest", dbt = "dbt:latest", duckdb = "duckdb:latest" }
  }

  expect_failures = [var.images]
}

run "lake_bucket_is_refused" {
  command = plan

  variables {
    lake_bucket = "Lake"
  }

  expect_failures = [var.lake_bucket]
}

run "soft_delete_days_is_refused" {
  command = plan

  variables {
    soft_delete_days = 3
  }

  expect_failures = [var.soft_delete_days]
}

run "readers_is_refused" {
  command = plan

  variables {
    readers = ["allUsers"]
  }

  expect_failures = [var.readers]
}

run "operators_is_refused" {
  command = plan

  variables {
    operators = ["operator@example.com"]
  }

  expect_failures = [var.operators]
}

run "publish_by_hour_utc_is_refused" {
  command = plan

  variables {
    publish_by_hour_utc = 24
  }

  expect_failures = [var.publish_by_hour_utc]
}

run "notify_is_refused" {
  command = plan

  variables {
    notify = ["nobody"]
  }

  expect_failures = [var.notify]
}

run "budget_is_refused" {
  command = plan

  variables {
    budget = { billing_account = "mine", units = 5 }
  }

  expect_failures = [var.budget]
}

run "transform_hours_is_refused" {
  command = plan

  variables {
    transform_hours = 0.5
  }

  expect_failures = [var.transform_hours]
}

run "source_volume_is_refused" {
  command = plan

  variables {
    source_volume = { medium = "TAPE" }
  }

  expect_failures = [var.source_volume]
}

run "log_filter_is_refused" {
  command = plan

  variables {
    log_filter = "info; rm"
  }

  expect_failures = [var.log_filter]
}
