resource "google_monitoring_notification_channel" "email" {
  for_each = var.notify

  project      = var.project
  type         = "email"
  display_name = "BlueGreenPrint: ${each.value}"
  labels       = { email_address = each.value }
}

locals {
  channels = [for channel in google_monitoring_notification_channel.email : channel.name]
  runbook = {
    for name in ["no_publish", "refused_audit", "failed_run", "dead_letters", "dead_delivery"] :
    name => file("${path.module}/runbooks/${name}.md")
  }
}

resource "google_monitoring_alert_policy" "no_publish" {
  project               = var.project
  display_name          = "Nothing was published by ${var.publish_by_hour_utc}:00 UTC"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "no publish in 24 hours"
    condition_prometheus_query_language {
      # A metric that was never written has no series; that counts as nothing published.
      query               = <<-QUERY
        (hour() == ${var.publish_by_hour_utc}) and on() ((sum(increase(${local.published}[24h])) or vector(0)) < 1)
      QUERY
      duration            = "300s"
      evaluation_interval = "300s"
    }
  }

  documentation {
    content   = local.runbook.no_publish
    mime_type = "text/markdown"
  }

  depends_on = [google_logging_metric.counter]
}

locals {
  published = "logging_googleapis_com:user_bgp_published{monitored_resource=\"cloud_run_revision\"}"
}

# Each refusal is told, with what the audit said, at most once in five minutes.
resource "google_monitoring_alert_policy" "log" {
  for_each = {
    refused_audit = {
      title  = "An audit refused a cycle"
      filter = google_logging_metric.counter["refused"].filter
      labels = { attempt = "EXTRACT(jsonPayload.attempt)" }
    }
    dead_delivery = {
      title  = "Load was told of something that it can never load"
      filter = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"load\" AND jsonPayload.outcome=\"dead\""
      labels = { source = "EXTRACT(jsonPayload.source)" }
    }
  }

  project               = var.project
  display_name          = each.value.title
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels

  conditions {
    display_name = each.value.title
    condition_matched_log {
      filter           = each.value.filter
      label_extractors = each.value.labels
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    content   = local.runbook[each.key]
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "metric" {
  for_each = {
    failed_run = {
      title   = "A workflow failed"
      filter  = "metric.type=\"workflows.googleapis.com/finished_execution_count\" AND resource.type=\"workflows.googleapis.com/Workflow\" AND metric.labels.status=\"FAILED\""
      aligner = "ALIGN_DELTA"
    }
    dead_letters = {
      title   = "Events could not be delivered"
      filter  = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${var.dead_letters}\""
      aligner = "ALIGN_MAX"
    }
  }

  project               = var.project
  display_name          = each.value.title
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = each.value.title
    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = each.value.aligner
      }
    }
  }

  documentation {
    content   = local.runbook[each.key]
    mime_type = "text/markdown"
  }
}
