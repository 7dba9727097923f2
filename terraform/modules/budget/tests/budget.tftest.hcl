mock_provider "google" {}

variables {
  project         = "example-project"
  project_number  = "123"
  billing_account = "012345-6789AB-CDEF01"
  units           = 5
}


run "a_budget_is_for_this_project" {
  assert {
    condition     = google_billing_budget.month.budget_filter[0].projects == toset(["projects/123"]) && google_billing_budget.month.amount[0].specified_amount[0].units == "5"
    error_message = "It watches something else."
  }
}

run "nothing_is_no_budget" {
  command = plan

  variables {
    units = 0
  }

  expect_failures = [var.units]
}

run "five_channels_are_told" {
  command = plan

  variables {
    channels = ["a", "b", "c", "d", "e", "f"]
  }

  expect_failures = [var.channels]
}
