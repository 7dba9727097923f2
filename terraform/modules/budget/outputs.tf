output "name" {
  description = "The name of the budget."
  value       = google_billing_budget.month.display_name
}
