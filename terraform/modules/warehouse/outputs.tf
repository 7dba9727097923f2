output "datasets" {
  description = "The names of the datasets, once the functions may use them."
  value       = local.datasets
  depends_on = [
    google_bigquery_dataset_iam_member.grant,
    google_project_iam_member.job,
    google_project_iam_member.slots,
  ]
}
