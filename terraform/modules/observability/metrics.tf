# Counted from the functions' logs, whose words are in their code.
locals {
  counters = {
    published   = { function = "publish", filter = "jsonPayload.message=\"committed\"" }
    rolled_back = { function = "publish", filter = "jsonPayload.message=\"rolled back\"" }
    refused     = { function = "audit", filter = "jsonPayload.message=\"audited\" AND jsonPayload.passed=false" }
  }
  sums = {
    loaded_rows     = { function = "load", message = "loaded", field = "rows", unit = "1" }
    mixed_views     = { function = "publish", message = "converged", field = "mixed_milliseconds", unit = "ms" }
    extracted_bytes = { function = "extract", message = "extracted", field = "bytes", unit = "By" }
  }
}

resource "google_logging_metric" "counter" {
  for_each = local.counters

  project     = var.project
  name        = "bgp_${each.key}"
  description = "How often ${each.value.function} said so."
  filter      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${each.value.function}\" AND ${each.value.filter}"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

resource "google_logging_metric" "sum" {
  for_each = local.sums

  project         = var.project
  name            = "bgp_${each.key}"
  description     = "${title(each.value.field)} of each partition that was ${each.value.message}."
  filter          = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${each.value.function}\" AND jsonPayload.message=\"${each.value.message}\""
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"
  label_extractors = {
    table = "EXTRACT(jsonPayload.table)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit
    labels {
      key        = "table"
      value_type = "STRING"
    }
  }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 32
      growth_factor      = 2
      scale              = 1
    }
  }
}
