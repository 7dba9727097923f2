variable "project" {
  description = "The id of the project."
  type        = string
}

variable "project_number" {
  description = "The number of the project."
  type        = string
}

variable "pipeline" {
  description = "The name of the pipeline, a label."
  type        = string
}

variable "topic" {
  description = "The name of the topic."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9._~+%-]{2,240}$", var.topic)) && !startswith(var.topic, "goog")
    error_message = "A topic has 3 to 240 letters, digits and -._~+%, a letter first, and does not begin with goog."
  }
}

variable "publishers" {
  description = "Members who publish, by name."
  type        = map(string)
  default     = {}
}

variable "load" {
  description = "The URL of load, and the e-mail address of the account that pushes to it; without it nothing is pushed."
  type        = object({ url = string, caller = string })
  default     = null
}
