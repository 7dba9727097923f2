mock_provider "google" {}

variables {
  project = "example-project"
  images = {
    functions = "us-central1-docker.pkg.dev/example-project/bluegreenprint/functions@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    dbt       = "us-central1-docker.pkg.dev/example-project/bluegreenprint/functions@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    duckdb    = "us-central1-docker.pkg.dev/example-project/bluegreenprint/functions@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  }
}


run "names_come_from_the_pipeline_file" {
  command = plan

  assert {
    condition     = local.raw.dataset == local.pipeline.raw.dataset && local.live == local.pipeline.live.dataset
    error_message = "A dataset is called otherwise than pipeline.yaml says."
  }

  assert {
    condition     = join(",", sort(keys(local.functions))) == "audit,extract,generate,load,publish,transform"
    error_message = "The functions are others: ${join(", ", keys(local.functions))}"
  }

  assert {
    condition     = local.schedule == local.pipeline.schedule
    error_message = "Something runs at another time than pipeline.yaml says."
  }

  assert {
    condition     = contains(keys(local.workflows), "daily") && local.workflows["daily"] == file("../workflows/daily.yaml")
    error_message = "The workflows are not those of the folder."
  }

  assert {
    condition     = join(",", local.functions.generate.writes) == "source/retail.duckdb" && contains(local.functions.extract.writes, "lake/")
    error_message = "A function may write elsewhere than the pipeline file says."
  }
}

run "without_images_all_is_made_but_what_runs" {
  command = plan

  variables {
    images = null
  }

  assert {
    condition     = length(module.functions.urls) == 0 && length(module.workflows.ids) == 0 && length(module.schedule.jobs) == 0
    error_message = "Something would be made that has no image to run."
  }

  assert {
    condition     = module.lake.name == "example-project-lake"
    error_message = "The bucket is missing, or called otherwise."
  }
}

run "a_layer_that_takes_hours_is_built_by_a_job" {
  variables {
    transform_hours = 6
  }

  assert {
    condition     = keys(module.functions.jobs) == ["transform"]
    error_message = "There is no job, or others."
  }
}

run "without_hours_there_is_no_job" {
  command = plan

  assert {
    condition     = length(module.functions.jobs) == 0
    error_message = "A job would be made that nobody asked for."
  }
}

run "only_publish_may_change_what_is_live" {
  command = plan

  assert {
    condition     = [for name, grant in local.grants : name if grant.dataset == "live" && grant.role != "roles/bigquery.metadataViewer" && grant.role != "roles/bigquery.dataViewer"] == ["publish uses live"]
    error_message = "Somebody else may write live."
  }

  assert {
    condition     = [for name, function in local.functions : name if function.writes == null] == ["publish"]
    error_message = "Somebody else may write everywhere in the bucket."
  }
}

run "a_pipeline_without_a_sandbox_has_no_generate" {
  command = plan

  variables {
    pipeline_file = "tests/own.yaml"
    images        = null
  }

  assert {
    condition     = !contains(keys(local.functions), "generate") && local.raw.dataset == "raw" && join(",", sort(local.lake_prefixes)) == "archive/,lake/"
    error_message = "A function without work would be made."
  }
}

run "extract_reads_the_secrets_that_sources_name_and_nobody_else_does" {
  command = plan

  variables {
    pipeline_file = "tests/own.yaml"
    images        = null
  }

  assert {
    condition     = sort(module.secrets.secrets) == tolist(["projects/example-project/secrets/web-password", "projects/shared-project/secrets/till"])
    error_message = "Others than those that sources name: ${join(", ", module.secrets.secrets)}"
  }
}
