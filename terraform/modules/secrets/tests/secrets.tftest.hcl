mock_provider "google" {}

variables {
  reader = "serviceAccount:bgp-extract@example-project.iam.gserviceaccount.com"
}

run "only_the_reader_may_read_and_only_what_is_named" {
  command = plan

  variables {
    secrets = { shop = { project = "example-project", secret = "shop-password" } }
  }

  assert {
    condition = [for grant in google_secret_manager_secret_iam_member.reader : "${grant.secret_id} ${grant.role} ${grant.member}"] == [
      "shop-password roles/secretmanager.secretAccessor serviceAccount:bgp-extract@example-project.iam.gserviceaccount.com"
    ]
    error_message = "Somebody else may read a secret, or another one."
  }
}

run "without_secrets_nobody_may_read_any" {
  command = plan

  assert {
    condition     = length(google_secret_manager_secret_iam_member.reader) == 0
    error_message = "A right was given that nothing needs."
  }
}

run "a_name_that_google_refuses_is_refused_first" {
  command = plan

  variables {
    secrets = { shop = { project = "example-project", secret = "shop password" } }
  }

  expect_failures = [var.secrets]
}
