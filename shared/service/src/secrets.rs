//! Sources with what it takes to open them: secrets are looked up when they are needed, and stand in no file.

use std::path::{Path, PathBuf};

use pipeline::{SecretReference, Source, SourceKind};

use crate::config::{BGP_PROJECT, Secret, Variables};
use crate::{Config, Problem};

/// Where the secrets are that the pipeline file names. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    variables: Variables,
    project: Option<String>,
    #[cfg(feature = "google")]
    impersonate: Option<String>,
}

/// A source, and what it takes to open it on this machine.
#[derive(Debug, Clone)]
pub struct SourceAccess {
    pub source: Source,
    /// What paths are relative to, and where what does not fit into memory is spilled.
    pub home: PathBuf,
    pub password: Option<Secret>,
}

impl Secrets {
    /// The environment, and Secret Manager as whoever this process runs as.
    pub fn of(config: &Config) -> Self {
        Self {
            variables: config.variables.clone(),
            project: config.cloud.project.clone(),
            #[cfg(feature = "google")]
            impersonate: config.cloud.impersonate.clone(),
        }
    }

    /// A source with its password, if it has one. Secrets are read anew each time, so that a new one counts at once.
    pub async fn access(&self, source: Source, home: &Path) -> Result<SourceAccess, Problem> {
        let reference = match &source.kind {
            SourceKind::Postgres(postgres) => postgres.password.as_ref(),
            SourceKind::Duckdb { .. } | SourceKind::Sql { .. } => None,
        };
        let password = match reference {
            None => None,
            Some(reference) => Some(self.secret(reference, &format!("sources.{}.password", source.name)).await?),
        };
        Ok(SourceAccess { source, home: home.to_owned(), password })
    }

    async fn secret(&self, reference: &SecretReference, key: &str) -> Result<Secret, Problem> {
        match reference {
            SecretReference::Environment(variable) => self.variables.secret(variable).ok_or_else(|| {
                Problem::rejected(format!(
                    "the variable {variable}, which {key} names, is not set; set it to the password"
                ))
            }),
            SecretReference::Secret { project, name, version } => {
                let project = project.as_ref().or(self.project.as_ref()).ok_or_else(|| {
                    Problem::rejected(format!(
                        "{key} names the secret {name} of no project; write projects/PROJECT/secrets/{name}, or set {BGP_PROJECT}"
                    ))
                })?;
                self.of_secret_manager(&format!("projects/{project}/secrets/{name}/versions/{version}"), key).await
            }
        }
    }

    #[cfg(feature = "google")]
    async fn of_secret_manager(&self, name: &str, key: &str) -> Result<Secret, Problem> {
        use google::{Budget, Connection, Credentials, Endpoints, SecretError, SecretManager};

        use crate::Kind;

        let connection = Connection {
            endpoints: Endpoints::default(),
            credentials: Credentials::application_default(self.impersonate.as_deref())
                .map_err(|error| Problem::from_error(Kind::Rejected, "secret", &error))?,
            budget: Budget::STANDARD,
        };
        let content = SecretManager::new(connection).access(name).await.map_err(|error| {
            let kind = match &error {
                SecretError::NotFound { .. } => Kind::NotFound,
                SecretError::Refused { .. } | SecretError::Credentials(_) => Kind::Rejected,
                SecretError::Unavailable { .. } | SecretError::Damaged { .. } => Kind::Unavailable,
            };
            Problem::from_error(kind, "secret", &error)
        })?;
        let text = String::from_utf8(content).ok();
        // Whoever made the secret with `echo` did not mean the line's end.
        text.and_then(|text| Secret::text(text.trim_end_matches(['\r', '\n']))).ok_or_else(|| {
            Problem::rejected(format!(
                "{name}, which {key} names, is empty or no text; add a version that is the password"
            ))
        })
    }

    #[cfg(not(feature = "google"))]
    #[expect(clippy::unused_async, reason = "stands in for what asks Secret Manager")]
    async fn of_secret_manager(&self, name: &str, key: &str) -> Result<Secret, Problem> {
        Err(Problem::rejected(format!(
            "{key} names {name}, and this program was built without Google's clients; build it with the feature google, or name \
             a variable: {{environment: NAME}}"
        )))
    }
}

impl SourceAccess {
    /// A source that needs no password.
    pub fn without_password(source: Source, home: &Path) -> Self {
        Self { source, home: home.to_owned(), password: None }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pipeline::Pipeline;

    use super::*;

    async fn access(password: &str, variables: &[(&str, &str)]) -> Result<SourceAccess, Problem> {
        let variables = [("HOME", "/somebody")].iter().chain(variables);
        let variables: BTreeMap<String, String> =
            variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let file =
            format!("sources: {{s: {{kind: postgres, host: /tmp, database: d, user: u, password: {password}}}}}");
        let sources = Pipeline::sources("p.yaml", &file).unwrap();
        Secrets::of(&Config::from_variables(&variables).unwrap()).access(sources[0].clone(), Path::new("/home")).await
    }

    #[tokio::test]
    async fn a_variable_is_looked_up_when_the_source_is_opened_and_shown_nowhere() {
        let found = access("{environment: SHOP}", &[("SHOP", "hunter2")]).await.unwrap();
        assert_eq!(found.password.as_ref().unwrap().revealed(), "hunter2");
        assert!(!format!("{found:?}").contains("hunter2"));
        for variables in [&[][..], &[("SHOP", "")]] {
            let message = access("{environment: SHOP}", variables).await.unwrap_err().detail;
            assert_eq!(
                message,
                "the variable SHOP, which sources.s.password names, is not set; set it to the password"
            );
        }
    }

    #[tokio::test]
    async fn a_secret_without_a_project_is_refused_before_anybody_is_asked() {
        let message = access("{secret: shop}", &[]).await.unwrap_err().detail;
        assert!(message.contains("projects/PROJECT/secrets/shop, or set BGP_PROJECT"), "{message}");
    }

    #[cfg(not(feature = "google"))]
    #[tokio::test]
    async fn without_googles_clients_a_secret_is_refused_by_name() {
        let message = access("{secret: shop}", &[("BGP_PROJECT", "mine")]).await.unwrap_err().detail;
        assert!(message.contains("sources.s.password names projects/mine/secrets/shop/versions/latest"), "{message}");
    }
}
