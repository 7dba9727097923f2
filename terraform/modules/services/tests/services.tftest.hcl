mock_provider "google" {}

variables {
  project = "example-project"
  apis    = ["run.googleapis.com"]
}


run "apis_stay_on_when_the_pipeline_goes" {
  command = plan

  assert {
    condition     = google_project_service.api["run.googleapis.com"].disable_on_destroy == false
    error_message = "Destroying would turn off what others may use."
  }
}

run "an_api_is_named_in_full" {
  command = plan

  variables {
    apis = ["run"]
  }

  expect_failures = [var.apis]
}
