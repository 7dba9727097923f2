# The functions: a service of Cloud Run each, which only this project's own services reach, and only who may call it.
resource "google_cloud_run_v2_service" "function" {
  for_each = var.functions

  project             = var.project
  name                = each.key
  location            = var.region
  description         = each.value.description
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  deletion_protection = false # it holds no data
  launch_stage        = try(each.value.volume.medium, null) == "DISK" ? "BETA" : "GA"
  labels              = { pipeline = var.pipeline }

  template {
    service_account                  = each.value.account
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    max_instance_request_concurrency = each.value.concurrency
    # Longer than the 1800 s that a workflow waits for: its next call finds the step at work, and waits for the outcome.
    timeout = "3600s"
    labels  = { pipeline = var.pipeline }

    scaling {
      min_instance_count = 0
      max_instance_count = each.value.instances
    }

    containers {
      image   = each.value.image
      command = ["/app/${each.key}"]

      ports {
        container_port = 8080
      }

      resources {
        limits = {
          cpu    = each.value.cpu
          memory = each.value.memory
        }
        # Billed while a request is at work, and only then.
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge(var.environment, each.value.environment)
        content {
          name  = env.key
          value = env.value
        }
      }

      # It listens once it has seen its bucket and datasets.
      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 30
        http_get {
          path = "/health"
          port = 8080
        }
      }

      dynamic "volume_mounts" {
        for_each = each.value.volume == null ? [] : [each.value.volume]
        content {
          name       = "home"
          mount_path = "/home/bgp"
        }
      }
    }

    # Without it, what is written counts as memory without a bound.
    dynamic "volumes" {
      for_each = each.value.volume == null ? [] : [each.value.volume]
      content {
        name = "home"
        empty_dir {
          medium     = volumes.value.medium
          size_limit = "${volumes.value.gib}Gi"
        }
      }
    }
  }

  lifecycle {
    # Said by whatever client touched it last.
    ignore_changes = [client, client_version]
  }
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.function[each.value.function].name
  role     = "roles/run.invoker"
  member   = each.value.member
}

# What may take longer than the hour of a request: the same program, which answers the one request of its arguments and ends.
resource "google_cloud_run_v2_job" "function" {
  for_each = { for name, function in var.functions : name => function if function.job_hours != null }

  project             = var.project
  name                = each.key
  location            = var.region
  deletion_protection = false # it holds no data
  labels              = { pipeline = var.pipeline }

  template {
    labels = { pipeline = var.pipeline }

    template {
      service_account       = each.value.account
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      timeout               = "${each.value.job_hours * 3600}s"
      # The run of a workflow decides whether there is another try.
      max_retries = 0

      containers {
        image   = each.value.image
        command = ["/app/${each.key}"]

        resources {
          limits = {
            cpu    = each.value.cpu
            memory = each.value.memory
          }
        }

        dynamic "env" {
          for_each = merge(var.environment, each.value.environment)
          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }

  lifecycle {
    # Said by whatever client touched it last.
    ignore_changes = [client, client_version]
  }
}

resource "google_cloud_run_v2_job_iam_member" "runner" {
  for_each = {
    for pair in setproduct(keys(google_cloud_run_v2_job.function), var.job_runners, ["roles/run.jobsExecutorWithOverrides", "roles/run.viewer"]) :
    join(" ", pair) => { job = pair[0], member = pair[1], role = pair[2] }
  }

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_job.function[each.value.job].name
  role     = each.value.role
  member   = each.value.member
}
