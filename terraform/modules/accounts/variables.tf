variable "project" {
  description = "The id of the project."
  type        = string
}

variable "accounts" {
  description = "What each account is for, by its name without the prefix bgp-."
  type        = map(string)

  validation {
    condition     = alltrue([for name, _ in var.accounts : can(regex("^[a-z][a-z-]{1,24}[a-z]$", name))])
    error_message = "The name of an account has 3 to 26 lower-case letters and hyphens."
  }
}

variable "impersonations" {
  description = "Who may act as an account: another one of them (`by`), or a member of IAM."
  type = map(object({
    account = string
    by      = optional(string)
    member  = optional(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for impersonation in values(var.impersonations) : (impersonation.by == null) != (impersonation.member == null)])
    error_message = "An impersonation names either an account of this module or a member."
  }
}
