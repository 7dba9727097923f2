variable "project" {
  description = "The id of the project."
  type        = string
}

variable "region" {
  description = "Where the workflows run."
  type        = string
}

variable "pipeline" {
  description = "The name of the pipeline, a label."
  type        = string
}

variable "sources" {
  description = "The text of each workflow, by its name."
  type        = map(string)
}

variable "urls" {
  description = "The address of each function, by its name. A workflow reads them as NAME_URL."
  type        = map(string)
}

variable "jobs" {
  description = "The address of each function's job, where it has one. A workflow reads them as NAME_JOB."
  type        = map(string)
  default     = {}
}

variable "optional" {
  description = "Functions that workflows ask for whether they are needed before they call them, and that may be missing."
  type        = set(string)
  default     = []
}

variable "account" {
  description = "The account that workflows run as."
  type        = object({ email = string, member = string })
}

variable "invokers" {
  description = "Members who may start workflows, by name."
  type        = map(string)
  default     = {}
}
