mock_provider "google" {}

variables {
  project  = "example-project"
  region   = "us-central1"
  pipeline = "retail"
  account  = { email = "workflows@example.com", member = "serviceAccount:workflows@example.com" }
  urls     = { publish = "https://publish.example" }
  sources  = { cleanup = "main:\n  steps:\n    - a:\n        return: $${sys.get_env(\"PUBLISH_URL\")}" }
  invokers = { scheduler = "serviceAccount:scheduler@example.com" }
}


run "a_workflow_is_the_file_and_finds_the_functions" {
  assert {
    condition     = google_workflows_workflow.workflow["cleanup"].source_contents == var.sources["cleanup"]
    error_message = "What is deployed is not what the file says."
  }

  assert {
    condition     = google_workflows_workflow.workflow["cleanup"].user_env_vars == tomap({ PUBLISH_URL = "https://publish.example" })
    error_message = "It does not find publish."
  }

  assert {
    condition     = keys(google_project_iam_member.account) == ["roles/logging.logWriter"]
    error_message = "A workflow that starts no other may start others."
  }
}

run "a_workflow_finds_the_jobs" {
  command = plan

  variables {
    jobs = { transform = "https://run.example/v2/projects/p/locations/l/jobs/transform" }
  }

  assert {
    condition     = google_workflows_workflow.workflow["cleanup"].user_env_vars["TRANSFORM_JOB"] == var.jobs.transform
    error_message = "It does not find the job, and a request would end after an hour."
  }
}

run "who_starts_others_may" {
  command = plan

  variables {
    sources = { backfill = "main:\n  steps:\n    - a:\n        call: googleapis.workflowexecutions.v1.projects.locations.workflows.executions.run" }
  }

  assert {
    condition     = contains(keys(google_project_iam_member.account), "roles/workflows.invoker")
    error_message = "It would be refused at the first day."
  }
}

run "a_function_that_is_not_deployed_is_missed_before_the_first_run" {
  command = plan

  variables {
    urls = { load = "https://load.example" }
  }

  expect_failures = [google_workflows_workflow.workflow["cleanup"]]
}

run "a_function_that_may_be_missing_is_not_missed" {
  command = plan

  variables {
    urls     = { load = "https://load.example" }
    optional = ["publish"]
  }

  assert {
    condition     = !contains(keys(google_workflows_workflow.workflow["cleanup"].user_env_vars), "PUBLISH_URL")
    error_message = "It would call what is not there."
  }
}
