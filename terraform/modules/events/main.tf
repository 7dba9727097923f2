# What the pipeline announces, as CloudEvents.
resource "google_pubsub_topic" "events" {
  project                    = var.project
  name                       = var.topic
  labels                     = { pipeline = var.pipeline }
  message_retention_duration = "604800s"
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = var.publishers

  project = var.project
  topic   = google_pubsub_topic.events.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

# What could not be delivered, for people to look at.
resource "google_pubsub_topic" "dead" {
  project = var.project
  name    = "${var.topic}-dead"
  labels  = { pipeline = var.pipeline }
}

resource "google_pubsub_subscription" "dead" {
  project                    = var.project
  name                       = "${var.topic}-dead"
  topic                      = google_pubsub_topic.dead.id
  labels                     = { pipeline = var.pipeline }
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = "" # never
  }
}

# Extracted partitions are pushed to load, so that those which no workflow extracted are loaded too.
resource "google_pubsub_subscription" "load" {
  count = var.load == null ? 0 : 1

  project                    = var.project
  name                       = "${var.topic}-load"
  topic                      = google_pubsub_topic.events.id
  labels                     = { pipeline = var.pipeline }
  filter                     = "attributes.ce-type = \"dev.bluegreenprint.partition.extracted.v1\""
  ack_deadline_seconds       = 600
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = "${var.load.url}/events"
    oidc_token {
      service_account_email = var.load.caller
      audience              = var.load.url
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead.id
    max_delivery_attempts = 10
  }

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub itself moves what is dead.
locals {
  pubsub = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic_iam_member" "dead" {
  count = var.load == null ? 0 : 1

  project = var.project
  topic   = google_pubsub_topic.dead.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub
}

resource "google_pubsub_subscription_iam_member" "load" {
  count = var.load == null ? 0 : 1

  project      = var.project
  subscription = google_pubsub_subscription.load[0].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub
}
