# One account a function, and one for everything else that calls something: so a right is given to who needs it.
resource "google_service_account" "account" {
  for_each = var.accounts

  project      = var.project
  account_id   = "bgp-${each.key}"
  display_name = "BlueGreenPrint ${each.key}"
  description  = each.value
}

# Acting as another account, without a key.
resource "google_service_account_iam_member" "impersonation" {
  for_each = var.impersonations

  service_account_id = google_service_account.account[each.value.account].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value.by == null ? each.value.member : local.accounts[each.value.by].member
}

locals {
  accounts = {
    for name, account in google_service_account.account : name => {
      # As Google makes it, so that a plan shows who gets a right.
      email  = "${account.account_id}@${account.project}.iam.gserviceaccount.com"
      member = "serviceAccount:${account.account_id}@${account.project}.iam.gserviceaccount.com"
    }
  }
}
