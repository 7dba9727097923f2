output "topic" {
  description = "The name of the topic, once the functions may publish to it."
  value       = google_pubsub_topic.events.name
  depends_on  = [google_pubsub_topic_iam_member.publisher]
}

output "dead_letters" {
  description = "The subscription that holds what could not be delivered."
  value       = google_pubsub_subscription.dead.name
}
