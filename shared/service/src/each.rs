//! Several things in one request.

use std::future::Future;

use futures::{StreamExt, stream};

use crate::{Kind, Problem};

/// How many are done at once: enough that one waits while another computes, and few enough for an instance's memory.
const CONCURRENT: usize = 4;

/// The most of them in one request.
const MOST: usize = 1000;

/// Refuses a request for nothing, or for too many things.
pub fn check_number(items: usize) -> Result<(), Problem> {
    match items {
        0 => Err(Problem::rejected("items is empty; it takes 1 to 1000 of them")),
        1..=MOST => Ok(()),
        _ => Err(Problem::rejected(format!("items has {items} entries; send at most {MOST} in one request"))),
    }
}

/// Does the same for each, a few at a time, and returns the results in their order. What fails stops none of the others, for they
/// need not be done again. Of several problems the first is told that a repeated request would not mend.
pub async fn each<T, F>(work: impl IntoIterator<Item = F>) -> Result<Vec<T>, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let outcomes: Vec<_> = stream::iter(work).buffered(CONCURRENT).collect().await;
    let mut done = Vec::with_capacity(outcomes.len());
    let mut problems = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(value) => done.push(value),
            Err(problem) => problems.push(problem),
        }
    }
    let lasting = problems.iter().position(|problem| problem.kind != Kind::Unavailable).unwrap_or_default();
    if problems.is_empty() { Ok(done) } else { Err(problems.swap_remove(lasting)) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn all_are_done_in_order_and_a_few_at_a_time() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |number: usize| {
            let (running, most) = (&running, &most);
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            }
        };
        assert_eq!(each((0..20).map(work)).await.unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), CONCURRENT);
    }

    #[tokio::test]
    async fn a_problem_stops_none_of_the_others_and_the_lasting_one_is_told() {
        let done = AtomicUsize::new(0);
        let work = |number: usize| {
            let done = &done;
            async move {
                done.fetch_add(1, Ordering::SeqCst);
                match number {
                    1 => Err(Problem::new(Kind::Unavailable, "busy", "first")),
                    3 => Err(Problem::rejected("second")),
                    5 => Err(Problem::internal("third")),
                    _ => Ok(()),
                }
            }
        };
        assert_eq!(each((0..9).map(work)).await.unwrap_err().detail, "second");
        assert_eq!(done.load(Ordering::SeqCst), 9);
        assert_eq!(each((0..2).map(work)).await.unwrap_err().detail, "first");
    }
}
