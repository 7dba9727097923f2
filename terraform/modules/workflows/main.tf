# The workflows, as they are in the files that a laptop runs too.
resource "google_workflows_workflow" "workflow" {
  for_each = var.sources

  project             = var.project
  region              = var.region
  name                = each.key
  description         = "BlueGreenPrint: ${each.key}.yaml"
  service_account     = var.account.email
  source_contents     = each.value
  call_log_level      = "LOG_ERRORS_ONLY"
  deletion_protection = false # it holds no data
  labels              = { pipeline = var.pipeline }
  user_env_vars = merge(
    { for name, url in var.urls : "${upper(name)}_URL" => url },
    { for name, job in var.jobs : "${upper(name)}_JOB" => job },
  )

  lifecycle {
    precondition {
      condition     = length(each.value) <= 131072
      error_message = "Workflow ${each.key} has more than the 128 KB that Google Workflows takes."
    }
    precondition {
      # A variable that is not there fails the run that reads it.
      condition = length(setsubtract(
        toset(flatten(regexall("sys[.]get_env\\(\"([A-Z]+)_URL\"", each.value))),
        toset([for name in concat(keys(var.urls), tolist(var.optional)) : upper(name)])
      )) == 0
      error_message = "Workflow ${each.key} calls a function that is not deployed."
    }
  }
}

locals {
  # Only a workflow that starts others needs the right to.
  starts_others = anytrue([for source in values(var.sources) : strcontains(source, "googleapis.workflow")])
}

resource "google_project_iam_member" "account" {
  for_each = toset(concat(["roles/logging.logWriter"], local.starts_others ? ["roles/workflows.invoker"] : []))

  project = var.project
  role    = each.value
  member  = var.account.member
}

resource "google_project_iam_member" "invoker" {
  for_each = var.invokers

  project = var.project
  role    = "roles/workflows.invoker"
  member  = each.value
}
