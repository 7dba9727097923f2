variable "project" {
  description = "The id of the project."
  type        = string
}

variable "name" {
  description = "The name of the bucket."
  type        = string
}

variable "location" {
  description = "Where the bucket is; BigQuery loads from its own place only."
  type        = string
}

variable "pipeline" {
  description = "The name of the pipeline, a label."
  type        = string
}

variable "soft_delete_days" {
  description = "For how many days deleted objects can be brought back."
  type        = number
  default     = 7
}

variable "readers" {
  description = "Members who read all objects."
  type        = map(string)
  default     = {}
}

variable "writers" {
  description = "Members who write: below prefixes, or everywhere without them."
  type = map(object({
    member   = string
    prefixes = optional(list(string))
  }))
  default = {}

  validation {
    condition     = alltrue([for writer in values(var.writers) : writer.prefixes == null || try(length(writer.prefixes) > 0 && length(writer.prefixes) <= 12, false)])
    error_message = "A writer has 1 to 12 prefixes, as many as an IAM condition takes, or none of them to write everywhere."
  }
}

variable "deletion_protection" {
  description = "Whether the bucket is kept from being destroyed."
  type        = bool
  default     = true
}
