output "accounts" {
  description = "E-mail address and IAM member of each account."
  value       = local.accounts
}
