# What the documents and the tests plan with. Copy it to terraform.tfvars, and say your own.
project   = "example-project"
region    = "us-central1"
readers   = ["group:analysts@example.com"]
operators = ["user:operator@example.com"]
notify    = ["operator@example.com"]
budget    = { billing_account = "012345-6789AB-CDEF01", units = 5 }

# Written by the build; see docs/deploy.md.
images = {
  functions = "us-central1-docker.pkg.dev/example-project/bluegreenprint/functions@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  dbt       = "us-central1-docker.pkg.dev/example-project/bluegreenprint/dbt@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  duckdb    = "us-central1-docker.pkg.dev/example-project/bluegreenprint/duckdb@sha256:2222222222222222222222222222222222222222222222222222222222222222"
}
