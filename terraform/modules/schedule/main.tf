# When workflows run. The body says no date: the workflow takes the partition from the clock and the time zone.
resource "google_cloud_scheduler_job" "job" {
  for_each = var.jobs

  project          = var.project
  region           = var.region
  name             = each.key
  description      = "Starts workflow ${each.key}."
  schedule         = each.value.cron
  time_zone        = var.time_zone
  paused           = var.paused
  attempt_deadline = "180s" # to start it, not to run it

  # A second start finds the first one's work done, or waits for it.
  retry_config {
    retry_count          = 3
    min_backoff_duration = "30s"
  }

  http_target {
    http_method = "POST"
    uri         = "https://workflowexecutions.googleapis.com/v1/${each.value.workflow}/executions"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode(jsonencode({ argument = jsonencode(each.value.argument) }))
    oauth_token {
      service_account_email = var.caller
    }
  }
}
