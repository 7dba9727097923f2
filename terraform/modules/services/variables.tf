variable "project" {
  description = "The id of the project."
  type        = string
}

variable "apis" {
  description = "The APIs to turn on, such as run.googleapis.com."
  type        = set(string)

  validation {
    condition     = alltrue([for api in var.apis : can(regex("^[a-z0-9]+[.]googleapis[.]com$", api))])
    error_message = "An API is such as run.googleapis.com."
  }
}
