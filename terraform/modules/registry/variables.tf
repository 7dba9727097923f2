variable "project" {
  description = "The id of the project."
  type        = string
}

variable "region" {
  description = "Where the images are: where they run."
  type        = string
}

variable "build_account" {
  description = "The account that Cloud Build runs as."
  type        = object({ email = string, member = string })
}

variable "kept_versions" {
  description = "How many versions of each image stay."
  type        = number
  default     = 2

  validation {
    condition     = var.kept_versions >= 1
    error_message = "At least one version stays: the one that runs."
  }
}

variable "may_deploy" {
  description = "Whether the build may apply this configuration."
  type        = bool
  default     = false
}

variable "state_bucket" {
  description = "The bucket of Terraform's state, which was there before Terraform."
  type        = string
}
