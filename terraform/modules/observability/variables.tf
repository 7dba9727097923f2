variable "project" {
  description = "The id of the project."
  type        = string
}

variable "pipeline" {
  description = "The name of the pipeline."
  type        = string
}

variable "notify" {
  description = "E-mail addresses that alerts are sent to."
  type        = set(string)
  default     = []
}

variable "traced" {
  description = "The accounts that export spans, as IAM members."
  type        = map(string)
  default     = {}
}

variable "publish_by_hour_utc" {
  description = "The hour, UTC, by which something must have been published in the last 24 hours."
  type        = number

  validation {
    condition     = var.publish_by_hour_utc >= 0 && var.publish_by_hour_utc <= 23
    error_message = "An hour is 0 to 23."
  }
}

variable "dead_letters" {
  description = "The subscription that holds what could not be delivered."
  type        = string
}
