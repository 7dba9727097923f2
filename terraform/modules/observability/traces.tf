# Who exports spans. The Telemetry API wants to know which project pays, and whoever names one has to be allowed to.
locals {
  trace_roles = ["roles/serviceusage.serviceUsageConsumer", "roles/telemetry.tracesWriter"]
}

resource "google_project_iam_member" "traces" {
  for_each = { for pair in setproduct(keys(var.traced), local.trace_roles) : "${pair[0]} ${pair[1]}" => { member = var.traced[pair[0]], role = pair[1] } }

  project = var.project
  role    = each.value.role
  member  = each.value.member
}
