variable "project" {
  description = "The id of the project."
  type        = string
}

variable "region" {
  description = "Where the functions run."
  type        = string
}

variable "pipeline" {
  description = "The name of the pipeline, a label."
  type        = string
}

variable "environment" {
  description = "Variables that all functions are given; docs/configuration.md lists them."
  type        = map(string)
  default     = {}
}

variable "functions" {
  description = "The functions, by name: what each is, as whom it runs, and what it may use."
  type = map(object({
    description = string
    image       = string
    account     = string
    cpu         = optional(string, "1")
    memory      = optional(string, "512Mi")
    concurrency = optional(number, 8)
    instances   = optional(number, 2)
    environment = optional(map(string), {})
    volume      = optional(object({ medium = string, gib = number }))
    job_hours   = optional(number)
  }))

  validation {
    condition     = alltrue([for function in values(var.functions) : can(regex("@sha256:[0-9a-f]{64}$", function.image))])
    error_message = "The image of a function is named by its digest."
  }

  validation {
    condition     = alltrue([for function in values(var.functions) : function.job_hours == null || function.volume == null])
    error_message = "A job has no volume: what copies a source is a service."
  }

  validation {
    condition     = alltrue([for function in values(var.functions) : function.concurrency >= 2 && function.concurrency <= 1000])
    error_message = "A repeated request waits for the first one's outcome, beside it: concurrency is 2 to 1000."
  }
}

variable "invokers" {
  description = "Who may call which function."
  type        = map(object({ function = string, member = string }))
  default     = {}
}

variable "job_runners" {
  description = "Members who run the jobs of functions that have one."
  type        = set(string)
  default     = []
}
