mock_provider "google" {
  mock_resource "google_cloud_run_v2_service" {
    defaults = {
      uri = "https://function.example"
    }
  }
}

variables {
  project     = "example-project"
  region      = "us-central1"
  pipeline    = "retail"
  environment = { BGP_TARGET = "bigquery" }
  functions = {
    load    = { description = "Loads.", account = "load@example.com", image = "us-central1-docker.pkg.dev/example-project/bluegreenprint/functions@sha256:0000000000000000000000000000000000000000000000000000000000000000", environment = { BGP_LOG = "debug" } }
    extract = { description = "Extracts.", account = "extract@example.com", image = "us-central1-docker.pkg.dev/example-project/bluegreenprint/functions@sha256:0000000000000000000000000000000000000000000000000000000000000000", memory = "4Gi", volume = { medium = "MEMORY", gib = 2 } }
  }
  invokers = { "workflows calls load" = { function = "load", member = "serviceAccount:workflows@example.com" } }
}


run "a_function_is_reached_from_inside_by_who_may_call_it" {
  assert {
    condition     = alltrue([for function in google_cloud_run_v2_service.function : function.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"])
    error_message = "A function is open to the internet."
  }

  assert {
    condition     = [for invoker in google_cloud_run_v2_service_iam_member.invoker : "${invoker.member} ${invoker.role} ${invoker.name}"] == ["serviceAccount:workflows@example.com roles/run.invoker load"]
    error_message = "Somebody else may call a function."
  }

  assert {
    condition     = google_cloud_run_v2_service.function["load"].template[0].service_account == "load@example.com"
    error_message = "It runs as another account than its own."
  }

  assert {
    condition     = output.urls["load"] == "https://function.example"
    error_message = "Workflows would call something else."
  }
}

run "it_outlives_the_call_of_a_workflow" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.function["load"].template[0].timeout == "3600s"
    error_message = "A step that a workflow waits for in a second call would be cut off."
  }

  assert {
    condition     = google_cloud_run_v2_service.function["load"].template[0].containers[0].startup_probe[0].http_get[0].path == "/health"
    error_message = "It is not asked whether it has started."
  }
}

run "variables_of_its_own_go_before_those_of_all" {
  command = plan

  assert {
    condition     = { for variable in google_cloud_run_v2_service.function["load"].template[0].containers[0].env : variable.name => variable.value } == { BGP_TARGET = "bigquery", BGP_LOG = "debug" }
    error_message = "It is given other variables."
  }
}

run "what_is_written_has_a_bound_where_a_source_is_copied" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.function["extract"].template[0].volumes[0].empty_dir[0].size_limit == "2Gi" && length(google_cloud_run_v2_service.function["load"].template[0].volumes) == 0
    error_message = "The volume is missing, or everywhere."
  }
}

run "a_job_is_the_same_program_with_more_time" {
  variables {
    functions = {
      load      = { description = "Loads.", account = "load@example.com", image = "us-central1-docker.pkg.dev/example-project/bluegreenprint/functions@sha256:0000000000000000000000000000000000000000000000000000000000000000" }
      transform = { description = "Builds.", account = "transform@example.com", image = "us-central1-docker.pkg.dev/example-project/bluegreenprint/dbt@sha256:0000000000000000000000000000000000000000000000000000000000000000", job_hours = 6 }
    }
    job_runners = ["serviceAccount:workflows@example.com"]
  }

  assert {
    condition     = keys(output.jobs) == ["transform"] && keys(output.urls) == ["load", "transform"]
    error_message = "A job is missing, or everywhere, or instead of the service."
  }

  assert {
    condition = alltrue([for task in google_cloud_run_v2_job.function["transform"].template[0].template : (
      task.timeout == "21600s" && task.max_retries == 0 && task.service_account == "transform@example.com"
      && task.containers[0].command == google_cloud_run_v2_service.function["transform"].template[0].containers[0].command
      && task.containers[0].image == google_cloud_run_v2_service.function["transform"].template[0].containers[0].image
      && task.containers[0].env == google_cloud_run_v2_service.function["transform"].template[0].containers[0].env
    )])
    error_message = "The job is something else than the function with more time."
  }

  assert {
    condition     = join(", ", [for runner in google_cloud_run_v2_job_iam_member.runner : "${runner.member} ${runner.role} ${runner.name}"]) == "serviceAccount:workflows@example.com roles/run.jobsExecutorWithOverrides transform, serviceAccount:workflows@example.com roles/run.viewer transform"
    error_message = "Somebody else may run a job, or who has to may not."
  }
}

run "an_image_by_tag_is_refused" {
  command = plan

  variables {
    functions = { load = { description = "Loads.", account = "load@example.com", image = "load:latest" } }
  }

  expect_failures = [var.functions]
}

run "a_repeated_request_needs_room_beside_the_first" {
  command = plan

  variables {
    functions = { load = { description = "Loads.", account = "load@example.com", concurrency = 1, image = "us-central1-docker.pkg.dev/example-project/bluegreenprint/functions@sha256:0000000000000000000000000000000000000000000000000000000000000000" } }
  }

  expect_failures = [var.functions]
}
