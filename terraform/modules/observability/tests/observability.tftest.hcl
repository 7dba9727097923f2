mock_provider "google" {}

variables {
  project             = "example-project"
  pipeline            = "retail"
  notify              = ["operator@example.com"]
  publish_by_hour_utc = 12
  dead_letters        = "bgp-events-dead"
}


run "every_alert_tells_somebody_what_to_do" {
  assert {
    condition = alltrue([
      for alert in concat([google_monitoring_alert_policy.no_publish], values(google_monitoring_alert_policy.log), values(google_monitoring_alert_policy.metric)) :
      length(alert.notification_channels) == 1 && strcontains(alert.documentation[0].content, "1. ")
    ])
    error_message = "An alert tells nobody, or not what to do."
  }
}

run "the_day_without_a_publish_is_noticed_at_its_hour" {
  command = plan

  assert {
    condition = (
      strcontains(google_monitoring_alert_policy.no_publish.conditions[0].condition_prometheus_query_language[0].query, "hour() == 12")
      && strcontains(google_monitoring_alert_policy.no_publish.conditions[0].condition_prometheus_query_language[0].query, "or vector(0)")
    )
    error_message = "A day without a publish would not be noticed."
  }
}

run "the_dashboard_has_a_place_for_every_chart" {
  command = plan

  assert {
    condition     = length(jsondecode(google_monitoring_dashboard.pipeline.dashboard_json).mosaicLayout.tiles) == 11
    error_message = "A chart is missing."
  }
}

run "who_exports_spans_may_write_them_and_name_the_project" {
  command = plan

  variables {
    traced = { load = "serviceAccount:bgp-load@example-project.iam.gserviceaccount.com" }
  }

  assert {
    condition = (
      sort([for right in values(google_project_iam_member.traces) : right.role]) == tolist(["roles/serviceusage.serviceUsageConsumer", "roles/telemetry.tracesWriter"])
      && alltrue([for right in values(google_project_iam_member.traces) : right.member == var.traced.load])
    )
    error_message = "Spans would be refused."
  }
}

run "an_hour_is_one_of_a_day" {
  command = plan

  variables {
    publish_by_hour_utc = 24
  }

  expect_failures = [var.publish_by_hour_utc]
}
