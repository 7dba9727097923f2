variable "secrets" {
  description = "The secrets of Secret Manager that are read, by any name."
  type        = map(object({ project = string, secret = string }))
  default     = {}

  validation {
    condition     = alltrue([for secret in values(var.secrets) : can(regex("^[A-Za-z0-9_-]{1,255}$", secret.secret))])
    error_message = "The name of a secret has letters, digits, hyphens and underscores."
  }
}

variable "reader" {
  description = "The IAM member who reads them."
  type        = string
}
