locals {
  pipeline = yamldecode(file("${path.root}/${var.pipeline_file}"))
  name     = replace(lower(local.pipeline.name), "/[^a-z0-9_-]/", "-")
  location = coalesce(var.location, var.region)
  bucket   = coalesce(var.lake_bucket, "${var.project}-lake")
  topic    = "bgp-events"
  live     = try(local.pipeline.live.dataset, "live")
  raw      = merge({ dataset = "raw" }, try(local.pipeline.raw, {}))
  schedule = merge({ daily = "30 3 * * *", cleanup = "0 5 * * 0" }, try(local.pipeline.schedule, {}))

  # The source that `generate` fills; without a sandbox there is no such function.
  sandbox_file = try(local.pipeline.sources[local.pipeline.sandbox.source].path, null)

  # The secrets that sources name, as NAME or projects/PROJECT/secrets/NAME..., by their project and name.
  secrets = { for name in distinct([
    for parts in [for source in local.pipeline.sources : split("/", source.password.secret) if can(source.password.secret)] :
    length(parts) == 1 ? "${var.project}/${parts[0]}" : "${parts[1]}/${parts[3]}"
  ]) : name => { project = split("/", name)[0], secret = split("/", name)[1] } }

  # Where objects of the lake are: the first part of every table's path.
  lake_prefixes = distinct([
    for name, table in local.pipeline.tables :
    "${split("/", try(table.lake.path, try(local.pipeline.lake.prefix, "lake")))[0]}/"
  ])

  # Of what the functions share. The images say the rest: BGP_CONFIG, BGP_HOME, BGP_CACHE, BGP_PYTHON, BGP_DBT_PARSED.
  environment = {
    BGP_TARGET   = "bigquery"
    BGP_PROJECT  = var.project
    BGP_LOCATION = local.location
    BGP_BUCKET   = module.lake.name
    BGP_TOPIC    = module.events.topic
    BGP_LOG      = var.log_filter
    # Spans, as OpenTelemetry's own libraries are told where to.
    OTEL_EXPORTER_OTLP_ENDPOINT = "https://telemetry.googleapis.com"
  }

  # A source's file has to fit into the volume twice: as it was, and as it is being changed.
  source_environment = { BGP_SOURCE_LIMIT_MIB = tostring(floor(var.source_volume.gib * 1024 / 2)) }
  source_memory      = var.source_volume.medium == "MEMORY" ? var.source_volume.gib : 0

  # The functions. `writes`: prefixes of the bucket, or null for all of it. `datasets`: roles beyond seeing that they are there.
  functions = {
    for name, function in {
      generate = {
        description = "Makes rows of the sandbox's source."
        image       = "duckdb"
        memory      = "${local.source_memory + 1}Gi"
        concurrency = 4
        instances   = 1
        volume      = var.source_volume
        environment = local.source_environment
        writes      = local.sandbox_file == null ? [] : [local.sandbox_file]
      }
      extract = {
        description = "Extracts a partition of a table into the lake."
        image       = "duckdb"
        cpu         = "2"
        memory      = "${local.source_memory + 2}Gi"
        concurrency = 4
        instances   = 2
        volume      = var.source_volume
        environment = local.source_environment
        writes      = concat(local.lake_prefixes, ["manifests/", "ledger/"])
        publishes   = true
      }
      load = {
        description = "Loads a manifest into raw."
        image       = "functions"
        concurrency = 40
        writes      = ["raw/", "ledger/", "deliveries/"]
        datasets    = { raw = "roles/bigquery.dataEditor", ops = "roles/bigquery.dataEditor" }
        jobs        = true
        publishes   = true
      }
      transform = {
        description = "Runs dbt in the slot of an attempt."
        image       = "dbt"
        memory      = "2Gi"
        writes      = ["attempts/", "state/"]
        jobs        = true
      }
      audit = {
        description = "Seals the slot of an attempt and judges it."
        image       = "dbt"
        memory      = "2Gi"
        writes      = ["attempts/", "publications/", "state/"]
        jobs        = true
        publishes   = true
      }
      publish = {
        description = "The only one that changes what is live."
        image       = "functions"
        memory      = "1Gi"
        concurrency = 20
        writes      = null # cleanup drops whatever nothing names
        datasets    = { raw = "roles/bigquery.dataEditor", live = "roles/bigquery.dataOwner", ops = "roles/bigquery.dataEditor" }
        jobs        = true
        publishes   = true
      }
    } : name => function if name != "generate" || local.sandbox_file != null
  }

  accounts = module.accounts.accounts

  # Who may do what in a slot. Audit seals it: it takes from transform the right to write it.
  slot_environment = {
    BGP_SLOT_OWNERS = join(",", [local.accounts.publish.member, local.accounts.audit.member])
    BGP_SLOT_WRITER = local.accounts.transform.member
    BGP_LIVE_READER = local.accounts.live-reader.email
  }

  # What each dataset is looked at for when a function starts.
  looks = { for pair in setproduct(keys(local.functions), ["raw", "live", "ops"]) :
    "${pair[0]} sees ${pair[1]}" => {
      dataset = pair[1]
      role    = "roles/bigquery.metadataViewer"
      member  = local.accounts[pair[0]].member
    } if !contains(keys(try(local.functions[pair[0]].datasets, {})), pair[1])
  }

  grants = merge(local.looks, {
    for grant in flatten([
      for name, function in local.functions : [
        for dataset, role in try(function.datasets, {}) : { name = name, dataset = dataset, role = role }
      ]
    ]) : "${grant.name} uses ${grant.dataset}" => { dataset = grant.dataset, role = grant.role, member = local.accounts[grant.name].member }
    }, {
    "live-reader uses live" = { dataset = "live", role = "roles/bigquery.dataViewer", member = local.accounts.live-reader.member }
  })

  workflows = var.images == null ? {} : {
    for file in fileset("${path.root}/../workflows", "*.yaml") : trimsuffix(file, ".yaml") => file("${path.root}/../workflows/${file}")
  }
}
