# Counted from the functions' logs, whose words are in their code.
locals {
  counters = {
    published   = { function = "publish", filter = "jsonPayload.message=\"committed\"" }
    rolled_back = { function = "publish", filter = "jsonPayload.message=\"rolled back\"" }
    refused     = { function = "audit", filter = "jsonPayload.message=\"audited\" AND jsonPayload.passed=false" }
  }
  sums = {
    loaded_rows     = { function = "load", message = "loaded", field = "rows", unit = "1", labels = ["table"], of = "Rows of each partition that was loaded." }
    extracted_bytes = { function = "extract", message = "extracted", field = "bytes", unit = "By", labels = ["table"], of = "Bytes of each partition that was extracted." }
    mixed_views     = { function = "publish", message = "converged", field = "mixed_milliseconds", unit = "ms", labels = [], of = "For how long views showed different cycles, at each publish." }
    data_age        = { function = "publish", message = "converged", field = "age_seconds", unit = "s", labels = [], of = "For how long the newest partition had been over, at each publish." }
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
  description     = each.value.of
  filter          = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${each.value.function}\" AND jsonPayload.message=\"${each.value.message}\""
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  label_extractors = { for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit

    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.value
        value_type = "STRING"
      }
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
