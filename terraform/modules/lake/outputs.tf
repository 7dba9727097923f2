output "name" {
  description = "The name of the bucket, once the functions may use it."
  value       = google_storage_bucket.lake.name
  depends_on  = [google_storage_bucket_iam_member.reader, google_storage_bucket_iam_member.writer]
}

output "project_number" {
  description = "The number of the project, by which Google names its own accounts in it."
  value       = google_storage_bucket.lake.project_number
}
