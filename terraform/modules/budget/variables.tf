variable "project" {
  description = "The id of the project."
  type        = string
}

variable "project_number" {
  description = "The number of the project."
  type        = string
}

variable "billing_account" {
  description = "The billing account."
  type        = string
}

variable "units" {
  description = "Whole units of its currency a month."
  type        = number

  validation {
    condition     = var.units >= 1
    error_message = "A budget is at least 1."
  }
}

variable "channels" {
  description = "Monitoring channels that are told, at most five."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.channels) <= 5
    error_message = "A budget tells at most five channels."
  }
}
