mock_provider "google" {}

variables {
  project        = "example-project"
  project_number = "123"
  pipeline       = "retail"
  topic          = "bgp-events"
  publishers     = { load = "serviceAccount:load@example.com" }
  load           = { url = "https://load.example", caller = "push@example.com" }
}


run "what_load_does_not_take_becomes_a_dead_letter" {
  assert {
    condition     = google_pubsub_subscription.load[0].dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.dead.id
    error_message = "It would be delivered for a week, and then be gone."
  }

  assert {
    condition = (
      google_pubsub_topic_iam_member.dead[0].member == "serviceAccount:service-123@gcp-sa-pubsub.iam.gserviceaccount.com"
      && google_pubsub_subscription_iam_member.load[0].role == "roles/pubsub.subscriber"
    )
    error_message = "Pub/Sub itself can't move it."
  }
}

run "a_push_says_who_it_is" {
  command = plan

  assert {
    condition = (
      google_pubsub_subscription.load[0].push_config[0].push_endpoint == "https://load.example/events"
      && google_pubsub_subscription.load[0].push_config[0].oidc_token[0].audience == "https://load.example"
    )
    error_message = "Cloud Run would refuse the push."
  }
}

run "without_load_nothing_is_pushed" {
  command = plan

  variables {
    load = null
  }

  assert {
    condition     = length(google_pubsub_subscription.load) == 0 && google_pubsub_subscription.dead.name == "bgp-events-dead"
    error_message = "There is a subscription without anybody behind it."
  }
}

run "a_topic_has_a_name_that_google_takes" {
  command = plan

  variables {
    topic = "google-events"
  }

  expect_failures = [var.topic]
}
