locals {
  own = "logging.googleapis.com/user/bgp_"

  charts = [
    { title = "Publishes a day", filter = "metric.type=\"${local.own}published\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = [] },
    { title = "Refused audits a day", filter = "metric.type=\"${local.own}refused\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = [] },
    { title = "Rollbacks a day", filter = "metric.type=\"${local.own}rolled_back\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = [] },
    { title = "Workflows by outcome", filter = "metric.type=\"workflows.googleapis.com/finished_execution_count\" resource.type=\"workflows.googleapis.com/Workflow\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.status", "resource.label.workflow_id"] },
    { title = "Rows loaded, mean of a partition", filter = "metric.type=\"${local.own}loaded_rows\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = ["metric.label.table"] },
    { title = "Bytes extracted, mean of a partition", filter = "metric.type=\"${local.own}extracted_bytes\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = ["metric.label.table"] },
    { title = "Age of the newest partition at a publish, seconds", filter = "metric.type=\"${local.own}data_age\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [] },
    { title = "Milliseconds of views of different cycles, 99th percentile", filter = "metric.type=\"${local.own}mixed_views\"", period = "86400s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = [] },
    { title = "Seconds of requests, 95th percentile", filter = "metric.type=\"run.googleapis.com/request_latencies\" resource.type=\"cloud_run_revision\"", period = "3600s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = ["resource.label.service_name"] },
    { title = "Memory of instances, highest share", filter = "metric.type=\"run.googleapis.com/container/memory/utilizations\" resource.type=\"cloud_run_revision\"", period = "3600s", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = ["resource.label.service_name"] },
    { title = "Undelivered events", filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" resource.type=\"pubsub_subscription\"", period = "3600s", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = ["resource.label.subscription_id"] },
  ]
}

resource "google_monitoring_dashboard" "pipeline" {
  project = var.project

  dashboard_json = jsonencode({
    displayName = "BlueGreenPrint: ${var.pipeline}"
    mosaicLayout = {
      columns = 12
      tiles = [for place, chart in local.charts : {
        xPos   = (place % 3) * 4
        yPos   = floor(place / 3) * 4
        width  = 4
        height = 4
        widget = {
          title = chart.title
          xyChart = {
            dataSets = [{
              plotType = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = chart.filter
                  aggregation = {
                    alignmentPeriod    = chart.period
                    perSeriesAligner   = chart.aligner
                    crossSeriesReducer = chart.reducer
                    groupByFields      = chart.by
                  }
                }
              }
            }]
          }
        }
      }]
    }
  })

  lifecycle {
    # Google writes defaults into it.
    ignore_changes = [dashboard_json]
    # So what is written here takes effect when it changes here.
    replace_triggered_by = [terraform_data.charts]
  }

  depends_on = [google_logging_metric.counter, google_logging_metric.sum]
}

resource "terraform_data" "charts" {
  input = local.charts
}
