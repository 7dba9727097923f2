variable "project" {
  description = "The id of the project."
  type        = string
}

variable "location" {
  description = "Where the datasets are. It can't be changed later."
  type        = string
}

variable "pipeline" {
  description = "The name of the pipeline, a label."
  type        = string
}

variable "raw" {
  description = "Section raw of the pipeline file."
  type = object({
    dataset           = string
    description       = optional(string)
    labels            = optional(map(string), {})
    expiration_days   = optional(number)
    time_travel_hours = optional(number)
  })
}

variable "live" {
  description = "The dataset that readers use."
  type        = string

  validation {
    condition     = var.live != var.raw.dataset && var.live != "ops"
    error_message = "The datasets raw, live and ops must differ; live is \"${var.live}\"."
  }
}

variable "grants" {
  description = "Roles on the datasets raw, live and ops."
  type = map(object({
    dataset = string
    role    = string
    member  = string
  }))
  default = {}

  validation {
    condition     = alltrue([for grant in values(var.grants) : contains(["raw", "live", "ops"], grant.dataset)])
    error_message = "A grant is on raw, live or ops."
  }
}

variable "readers" {
  description = "Members who read the published views."
  type        = map(string)
  default     = {}
}

variable "job_users" {
  description = "Members who run jobs, by name."
  type        = map(string)
  default     = {}
}

variable "slot_maker" {
  description = "The member that makes slots."
  type        = string
}

variable "deletion_protection" {
  description = "Whether raw and live are kept from being destroyed."
  type        = bool
  default     = true
}
