use std::sync::Arc;

use async_trait::async_trait;
use dbt::{Engine, Error, Project, RunReport, RunRequest, TestReport, TestRequest};

use super::no_answer;
use crate::{Call, Process};

#[derive(Debug)]
pub(super) struct ObservedEngine {
    inner: Arc<dyn Engine>,
    process: Arc<Process>,
}

impl ObservedEngine {
    pub(super) fn new(inner: Arc<dyn Engine>, process: Arc<Process>) -> Self {
        Self { inner, process }
    }
}

fn lost() -> Error {
    Error::Unavailable(no_answer().to_string())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Engine for ObservedEngine {
    async fn project(&self) -> Result<Arc<Project>, Error> {
        self.process.call_here(Call::DbtProject, "", lost, self.inner.project()).await
    }

    async fn run(&self, request: RunRequest) -> Result<RunReport, Error> {
        let inner = self.inner.clone();
        let subject = request.nodes.join(" ");
        self.process.call(Call::DbtRun, &subject, lost, async move { inner.run(request).await }).await
    }

    async fn test(&self, request: TestRequest) -> Result<TestReport, Error> {
        self.process.call_here(Call::DbtTest, "", lost, self.inner.test(request)).await
    }
}
