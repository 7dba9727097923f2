# What to type next.
output "build" {
  description = "Builds and pushes the images, and writes their digests to images.auto.tfvars.json in the bucket of the state."
  value       = "gcloud builds submit --config=cloudbuild.yaml --region=${var.region} --service-account=projects/${var.project}/serviceAccounts/${local.accounts.build.email} --gcs-source-staging-dir=gs://${var.project}-terraform/source --substitutions=_REGISTRY=${module.registry.address},_STATE=${var.project}-terraform"
}

output "images" {
  description = "Fetches the digests of the last build."
  value       = "gcloud storage cp gs://${var.project}-terraform/images.auto.tfvars.json ."
}

output "run" {
  description = "Runs the newest day that is over."
  value       = "gcloud workflows run daily --location=${var.region}"
}

output "laptop" {
  description = "Lets ./bgp work on this project, as the account of publish."
  value = join("\n", [
    "export BGP_TARGET=bigquery",
    "export BGP_PROJECT=${var.project}",
    "export BGP_LOCATION=${local.location}",
    "export BGP_BUCKET=${local.bucket}",
    "export BGP_TOPIC=${local.topic}",
    "export BGP_IMPERSONATE=${local.accounts.publish.email}",
  ])
}

output "read" {
  description = "Asks for what readers see."
  value       = "bq query --use_legacy_sql=false 'select * from `${var.project}.${local.live}.deployment`'"
}

output "urls" {
  description = "The address of each function; only this project's services reach them."
  value       = module.functions.urls
}
