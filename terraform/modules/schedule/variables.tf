variable "project" {
  description = "The id of the project."
  type        = string
}

variable "region" {
  description = "Where the scheduler is."
  type        = string
}

variable "time_zone" {
  description = "The time zone of the pipeline."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z_+/0-9-]+$", var.time_zone))
    error_message = "A time zone is an IANA name such as America/Toronto."
  }
}

variable "paused" {
  description = "Whether nothing is started."
  type        = bool
  default     = false
}

variable "jobs" {
  description = "The jobs: which workflow, when, and with what argument. Three are free."
  type = map(object({
    workflow = string
    cron     = string
    argument = optional(map(string), {})
  }))

  validation {
    condition     = length(var.jobs) <= 3
    error_message = "Three jobs are free; what needs a fourth belongs into a workflow."
  }

  validation {
    condition     = alltrue([for job in values(var.jobs) : length(split(" ", job.cron)) == 5])
    error_message = "A schedule has five fields, minute hour day month weekday, such as 30 3 * * *."
  }
}

variable "caller" {
  description = "The e-mail address of the account that starts workflows."
  type        = string
}
