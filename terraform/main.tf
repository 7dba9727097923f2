module "services" {
  source = "./modules/services"

  project = var.project
  apis = toset(concat([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtrace.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "storage.googleapis.com",
    "telemetry.googleapis.com",
    "workflowexecutions.googleapis.com",
    "workflows.googleapis.com",
    ],
    var.budget == null ? [] : ["billingbudgets.googleapis.com"],
    length(local.secrets) == 0 ? [] : ["secretmanager.googleapis.com"],
  ))
}

module "accounts" {
  source = "./modules/accounts"

  project = module.services.project
  accounts = merge({ for name, function in local.functions : name => function.description }, {
    live-reader = "Reads live as its readers do, before each commit."
    workflows   = "Runs the workflows, and calls the functions."
    scheduler   = "Starts the workflows."
    push        = "Delivers events to load."
    build       = "Builds the images."
  })
  impersonations = merge(
    { "publish as live-reader" = { account = "live-reader", by = "publish" } },
    { for member in var.operators : "${member} as publish" => { account = "publish", member = member } },
  )
}

module "secrets" {
  source = "./modules/secrets"

  # It waits until the API is on.
  secrets = { for name, secret in local.secrets : name => merge(secret, {
    project = secret.project == var.project ? module.services.project : secret.project
  }) }
  reader = local.accounts.extract.member
}

module "registry" {
  source = "./modules/registry"

  project       = module.services.project
  region        = var.region
  build_account = local.accounts.build
  may_deploy    = var.deploy_from_build
  state_bucket  = "${var.project}-terraform"
}

module "lake" {
  source = "./modules/lake"

  project             = module.services.project
  name                = local.bucket
  location            = local.location
  pipeline            = local.name
  soft_delete_days    = var.soft_delete_days
  readers             = { for name, _ in local.functions : name => local.accounts[name].member }
  writers             = { for name, function in local.functions : name => { member = local.accounts[name].member, prefixes = function.writes } }
  deletion_protection = var.deletion_protection
}

module "warehouse" {
  source = "./modules/warehouse"

  project  = module.services.project
  location = local.location
  pipeline = local.name
  raw      = local.raw
  live     = local.live
  grants   = local.grants
  readers  = { for member in var.readers : member => member }
  job_users = merge(
    { for name, function in local.functions : name => local.accounts[name].member if try(function.jobs, false) },
    { live-reader = local.accounts.live-reader.member },
  )
  slot_maker          = local.accounts.publish.member
  deletion_protection = var.deletion_protection
}

module "events" {
  source = "./modules/events"

  project        = module.services.project
  project_number = module.lake.project_number
  pipeline       = local.name
  topic          = local.topic
  publishers     = { for name, function in local.functions : name => local.accounts[name].member if try(function.publishes, false) }
  load           = var.images == null || !var.load_on_extract ? null : { url = module.functions.urls.load, caller = local.accounts.push.email }
}

module "functions" {
  source = "./modules/functions"

  project     = module.services.project
  region      = var.region
  pipeline    = local.name
  environment = local.environment
  functions = {
    for name, function in local.functions : name => {
      description = function.description
      image       = var.images[function.image]
      account     = local.accounts[name].email
      cpu         = try(function.cpu, null)
      memory      = try(function.memory, null)
      concurrency = try(function.concurrency, null)
      instances   = try(function.instances, null)
      environment = name == "publish" ? local.slot_environment : try(function.environment, {})
      volume      = try(function.volume, null)
      job_hours   = name == "transform" ? var.transform_hours : null
    } if var.images != null
  }
  invokers = {
    for call in concat([for name, _ in local.functions : ["workflows", name]], var.load_on_extract ? [["push", "load"]] : []) :
    "${call[0]} calls ${call[1]}" => { function = call[1], member = local.accounts[call[0]].member } if var.images != null
  }

  job_runners = [local.accounts.workflows.member]

  # They look for their datasets when they start.
  depends_on = [module.warehouse]
}

module "workflows" {
  source = "./modules/workflows"

  project  = module.services.project
  region   = var.region
  pipeline = local.name
  sources  = local.workflows
  urls     = module.functions.urls
  jobs     = module.functions.jobs
  optional = ["generate"]
  account  = local.accounts.workflows
  invokers = merge({ scheduler = local.accounts.scheduler.member }, { for member in var.operators : member => member })
}

module "schedule" {
  source = "./modules/schedule"

  project   = module.services.project
  region    = var.region
  time_zone = local.pipeline.time_zone
  paused    = var.schedule_paused
  caller    = local.accounts.scheduler.email
  jobs = {
    for name in ["daily", "cleanup"] : name => { workflow = module.workflows.ids[name], cron = local.schedule[name] } if var.images != null
  }
}

module "observability" {
  source = "./modules/observability"

  project             = module.services.project
  pipeline            = local.name
  notify              = var.notify
  traced              = { for name, _ in local.functions : name => local.accounts[name].member }
  publish_by_hour_utc = var.publish_by_hour_utc
  dead_letters        = module.events.dead_letters
}

module "budget" {
  source = "./modules/budget"
  count  = var.budget == null ? 0 : 1

  project         = module.services.project
  project_number  = module.lake.project_number
  billing_account = var.budget.billing_account
  units           = var.budget.units
  channels        = slice(module.observability.channels, 0, min(5, length(module.observability.channels)))
}
