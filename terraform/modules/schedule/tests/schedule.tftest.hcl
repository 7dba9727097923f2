mock_provider "google" {}

variables {
  project   = "example-project"
  region    = "us-central1"
  time_zone = "America/Toronto"
  caller    = "scheduler@example.com"
  jobs      = { daily = { workflow = "projects/example-project/locations/us-central1/workflows/daily", cron = "30 3 * * *" } }
}


run "a_job_starts_the_workflow_without_a_date" {
  assert {
    condition     = google_cloud_scheduler_job.job["daily"].http_target[0].uri == "https://workflowexecutions.googleapis.com/v1/projects/example-project/locations/us-central1/workflows/daily/executions"
    error_message = "It starts something else."
  }

  assert {
    condition     = jsondecode(jsondecode(base64decode(google_cloud_scheduler_job.job["daily"].http_target[0].body)).argument) == {}
    error_message = "The body says more than an empty argument, every day the same."
  }

  assert {
    condition     = google_cloud_scheduler_job.job["daily"].time_zone == "America/Toronto"
    error_message = "It runs at the hour of another place."
  }
}

run "a_fourth_job_is_not_free" {
  command = plan

  variables {
    jobs = { for name in ["a", "b", "c", "d"] : name => { workflow = "w", cron = "0 0 * * *" } }
  }

  expect_failures = [var.jobs]
}

run "a_time_zone_is_a_name" {
  command = plan

  variables {
    time_zone = "Eastern time"
  }

  expect_failures = [var.time_zone]
}

run "a_schedule_has_five_fields" {
  command = plan

  variables {
    jobs = { daily = { workflow = "w", cron = "@daily" } }
  }

  expect_failures = [var.jobs]
}
