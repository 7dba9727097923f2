variable "project" {
  description = "The id of the project that holds everything. It needs billing: BigQuery's sandbox refuses DML."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "The id of a project has 6 to 30 lower-case letters, digits and hyphens, such as my-project-1; \"${var.project}\" is none."
  }
}

variable "region" {
  description = "Where the functions, workflows and images are."
  type        = string
  default     = "us-central1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is such as us-central1 or northamerica-northeast1; \"${var.region}\" is none."
  }
}

variable "location" {
  description = "Where datasets and bucket are: a region, US or EU. By default the region. It can't be changed later."
  type        = string
  default     = null

  validation {
    condition     = var.location == null || can(regex("^([a-z]+-[a-z]+[0-9]+|US|EU)$", var.location))
    error_message = "A location is a region such as us-central1, US or EU."
  }

  validation {
    condition     = try(contains(["US", "EU"], var.location), false) || var.location == null || var.location == var.region
    error_message = "BigQuery loads from a bucket of its own place only, and reading across regions is billed: name the region \"${var.region}\", US or EU."
  }
}

variable "pipeline_file" {
  description = "The pipeline file, relative to this folder. Names of datasets, the time zone and the sandbox come from it. The images must hold the same file."
  type        = string
  default     = "../pipeline.yaml"

  validation {
    condition     = can(yamldecode(file("${path.root}/${var.pipeline_file}")).name)
    error_message = "${var.pipeline_file} can't be read as a pipeline file from this folder."
  }
}

variable "images" {
  description = "The images by digest, as the build writes them to images.auto.tfvars.json. Without them all is made but what runs: functions, workflows and schedules."
  type = object({
    functions = string
    dbt       = string
    duckdb    = string
  })
  default = null

  validation {
    condition     = var.images == null || alltrue([for image in try(values(var.images), []) : can(regex("^[a-z0-9./_-]+@sha256:[0-9a-f]{64}$", image))])
    error_message = "An image is named by its digest, HOST/PROJECT/REPOSITORY/NAME@sha256:..., so that what runs is what was tested."
  }
}

variable "lake_bucket" {
  description = "The name of the bucket of lake and state, unique in the world. By default PROJECT-lake."
  type        = string
  default     = null

  validation {
    condition     = var.lake_bucket == null || can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", var.lake_bucket))
    error_message = "The name of a bucket has 3 to 63 lower-case letters, digits, hyphens and underscores."
  }
}

variable "soft_delete_days" {
  description = "For how many days Cloud Storage can bring back deleted objects; 0 turns it off. They are billed as if they were there."
  type        = number
  default     = 7

  validation {
    condition     = var.soft_delete_days == 0 || (var.soft_delete_days >= 7 && var.soft_delete_days <= 90)
    error_message = "Cloud Storage keeps deleted objects for 7 to 90 days, or not at all (0)."
  }
}

variable "readers" {
  description = "IAM members who may read the published views, and nothing else."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.readers : can(regex("^(user|group|serviceAccount|domain):[^:@]*@?[^:@]+$", member))])
    error_message = "A member is such as group:analysts@example.com; everybody (allUsers) is not taken."
  }
}

variable "operators" {
  description = "IAM members who may start workflows, and act as publish from a laptop: `./bgp --target bigquery status`."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount):[^:@]+@[^:@]+$", member))])
    error_message = "An operator is user:, group: or serviceAccount: with an e-mail address."
  }
}

variable "schedule_paused" {
  description = "Whether nothing runs by itself. pipeline.yaml says when workflows run; a paused job stays and does not run."
  type        = bool
  default     = false
}

variable "publish_by_hour_utc" {
  description = "The hour of the day, UTC, by which something must have been published in the last 24 hours. Otherwise somebody is told."
  type        = number
  default     = 12

  validation {
    condition     = var.publish_by_hour_utc >= 0 && var.publish_by_hour_utc <= 23 && floor(var.publish_by_hour_utc) == var.publish_by_hour_utc
    error_message = "An hour is a whole number from 0 to 23."
  }
}

variable "notify" {
  description = "E-mail addresses that alerts are sent to."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.notify : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "An e-mail address has one @ and no space."
  }
}

variable "budget" {
  description = "A monthly budget whose passing is told by e-mail: the billing account, and whole units of its currency. None by default."
  type = object({
    billing_account = string
    units           = number
  })
  default = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "A billing account is such as 012345-6789AB-CDEF01."
  }

  validation {
    condition     = var.budget == null || try(var.budget.units >= 1 && floor(var.budget.units) == var.budget.units, false)
    error_message = "A budget is a whole number from 1."
  }
}

variable "load_on_extract" {
  description = "Whether load is pushed each extracted partition too, so that what was extracted outside of a workflow is loaded. Loading twice changes nothing."
  type        = bool
  default     = true
}

variable "transform_hours" {
  description = "For how many hours dbt may build one layer, up to 168. By default a request builds it, which ends after an hour; where this is said, a job of Cloud Run, which takes some seconds longer to start."
  type        = number
  default     = null

  validation {
    condition     = var.transform_hours == null || try(var.transform_hours >= 1 && var.transform_hours <= 168 && floor(var.transform_hours) == var.transform_hours, false)
    error_message = "A job takes a whole number of hours, 1 to 168."
  }
}

variable "source_volume" {
  description = "Where the source's file is copied to: MEMORY, which counts as memory of the instance, or DISK, a preview of Cloud Run."
  type = object({
    medium = optional(string, "MEMORY")
    gib    = optional(number, 2)
  })
  default = {}

  validation {
    condition     = contains(["MEMORY", "DISK"], var.source_volume.medium)
    error_message = "The medium is MEMORY or DISK."
  }

  validation {
    condition     = var.source_volume.gib >= 1 && var.source_volume.gib <= (var.source_volume.medium == "MEMORY" ? 16 : 100)
    error_message = "The volume has 1 to 16 GiB in memory, 1 to 100 GiB on disk."
  }
}

variable "log_filter" {
  description = "What the functions log (BGP_LOG)."
  type        = string
  default     = "info"

  validation {
    condition     = can(regex("^[a-z_=,:]+$", var.log_filter))
    error_message = "A filter is such as info, or publish=debug,warn."
  }
}

variable "deploy_from_build" {
  description = "Whether Cloud Build may apply this configuration. Its account can then change every right in the project."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether the bucket and the datasets with data are kept from `terraform destroy`. Apply false before you destroy."
  type        = bool
  default     = true
}
