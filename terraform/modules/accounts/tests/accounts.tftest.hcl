mock_provider "google" {}

variables {
  project  = "example-project"
  accounts = { publish = "Publishes.", live-reader = "Reads." }
  impersonations = {
    reader   = { account = "live-reader", by = "publish" }
    operator = { account = "publish", member = "user:operator@example.com" }
  }
}


run "an_account_acts_as_another_only_where_that_is_said" {
  assert {
    condition     = google_service_account_iam_member.impersonation["reader"].member == "serviceAccount:bgp-publish@example-project.iam.gserviceaccount.com"
    error_message = "Another one than publish could read as its readers."
  }

  assert {
    condition     = length(google_service_account_iam_member.impersonation) == 2
    error_message = "Somebody else may act as an account."
  }

  assert {
    condition     = output.accounts["publish"].email == "bgp-publish@example-project.iam.gserviceaccount.com"
    error_message = "The address is another one than Google makes: ${output.accounts["publish"].email}"
  }
}

run "an_impersonation_names_one_member" {
  command = plan

  variables {
    impersonations = { both = { account = "publish", by = "live-reader", member = "user:a@example.com" } }
  }

  expect_failures = [var.impersonations]
}

run "a_name_that_google_refuses_is_refused_first" {
  command = plan

  variables {
    accounts = { Publish = "Publishes." }
  }

  expect_failures = [var.accounts]
}
