//! Runs the branches and iterations of parallel steps.

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};

use crate::evaluate::block::bind;
use crate::evaluate::{Execution, Frame};
use crate::exception::Exception;
use crate::limits;
use crate::syntax::{Block, Parallel, Work};
use crate::value::Text;

/// The outcome of one branch, by its place among them.
type Outcome = (usize, Text, Result<(), Exception>);

impl<'a> Execution<'a> {
    /// Runs all branches or iterations to their end, whatever becomes of the others.
    pub(super) async fn run_parallel(&self, parallel: &Parallel, frame: &mut Frame<'a>) -> Result<(), Exception> {
        if frame.parallel == limits::PARALLEL_DEPTH {
            return Err(Exception::parallel_nesting(format!(
                "parallel steps nest deeper than {}",
                limits::PARALLEL_DEPTH
            )));
        }
        let limit = self.concurrency(parallel, frame)?;
        let shared = frame.scope.share(&parallel.shared)?;
        let failed = self.run_branches(parallel, limit, frame).await;
        frame.scope.unshare(&shared);
        let failed = failed?;
        if failed.is_empty() { Ok(()) } else { Err(Exception::unhandled_branches(failed)) }
    }

    fn concurrency(&self, parallel: &Parallel, frame: &Frame<'a>) -> Result<usize, Exception> {
        let Some(limit) = &parallel.concurrency_limit else { return Ok(limits::CONCURRENCY) };
        let limit = limit.int("concurrency_limit", &self.view(frame))?;
        match usize::try_from(limit) {
            Ok(limit) if limit > 0 => Ok(limit.min(limits::CONCURRENCY)),
            _ => Err(Exception::value_error(format!("concurrency_limit must be above 0, not {limit}"))),
        }
    }

    /// Returns the branches that failed, in the order in which they stand in the file.
    async fn run_branches(
        &self,
        parallel: &Parallel,
        limit: usize,
        frame: &Frame<'a>,
    ) -> Result<Vec<(String, Exception)>, Exception> {
        let mut waiting: Box<dyn Iterator<Item = BoxFuture<'_, Outcome>> + Send> = match &parallel.work {
            Work::Branches(branches) => Box::new(branches.iter().enumerate().map(|(at, branch)| {
                self.run_branch(at, branch.name.clone(), &branch.body, branch_frame(frame, branch.name.clone()))
            })),
            Work::Loop(repeat) => Box::new(self.items(repeat, frame)?.enumerate().map(move |(at, value)| {
                let id = Text::from(at.to_string());
                let mut frame = branch_frame(frame, id.clone());
                match bind(repeat, at, value, &mut frame) {
                    Ok(()) => self.run_branch(at, id, &repeat.body, frame),
                    Err(exception) => std::future::ready((at, id, Err(exception))).boxed(),
                }
            })),
        };
        let mut running: FuturesUnordered<_> = waiting.by_ref().take(limit).collect();
        let mut failed = Vec::new();
        while let Some((at, id, outcome)) = running.next().await {
            failed.extend(outcome.err().map(|exception| (at, id.to_string(), exception)));
            running.extend(waiting.next());
        }
        failed.sort_by_key(|(at, ..)| *at);
        Ok(failed.into_iter().map(|(_, id, exception)| (id, exception)).collect())
    }

    fn run_branch<'b>(&'b self, at: usize, id: Text, body: &'b Block, mut frame: Frame<'a>) -> BoxFuture<'b, Outcome> {
        async move {
            // The loader lets nothing lead out of a branch but `continue`, which ends it.
            let outcome = self.run_block(body, &mut frame).await.map(drop);
            (at, id, outcome)
        }
        .boxed()
    }
}

fn branch_frame<'a>(frame: &Frame<'a>, id: Text) -> Frame<'a> {
    Frame {
        routine: frame.routine,
        scope: frame.scope.branch(),
        depth: frame.depth,
        parallel: frame.parallel + 1,
        branch: Some(id),
    }
}
