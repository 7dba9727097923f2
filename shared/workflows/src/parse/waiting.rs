//! Which sub-workflows wait for something: those cannot be called inside an expression.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::Fault;
use crate::library::Body;
use crate::parse::variables::InnerCall;
use crate::syntax::{Action, Block, Routine, Target};
use crate::value::Text;

/// Refuses those of `calls` that would have to wait.
pub(super) fn check(routines: &HashMap<Text, Arc<Routine>>, calls: Vec<InnerCall>, faults: &mut Vec<Fault>) {
    let mut waiting: HashSet<&Text> = HashSet::new();
    loop {
        let before = waiting.len();
        for (name, routine) in routines {
            if block(&routine.body, &waiting) {
                waiting.insert(name);
            }
        }
        if waiting.len() == before {
            break;
        }
    }
    for InnerCall { line, step, routine } in calls {
        if waiting.contains(&routine) {
            let message = format!(
                "{routine} makes calls that block, sleeps, retries or runs branches, so no expression can call it: use a call \
                 step"
            );
            faults.push(Fault::new(line, message).in_step(&step));
        }
    }
}

fn block(steps: &Block, waiting: &HashSet<&Text>) -> bool {
    steps.steps.iter().any(|step| action(&step.action, waiting))
}

fn action(wanted: &Action, waiting: &HashSet<&Text>) -> bool {
    match wanted {
        Action::Call(call) => match &call.target {
            Target::Routine { name, .. } => waiting.contains(name),
            Target::Function { function, .. } => matches!(function.body, Body::Blocking(_)),
        },
        Action::Switch(cases) => cases.iter().any(|case| action(&case.action, waiting)),
        Action::Try(attempt) => {
            attempt.retry.is_some()
                || action(&attempt.body, waiting)
                || attempt.except.as_ref().is_some_and(|except| block(&except.body, waiting))
        }
        Action::For(repeat) => block(&repeat.body, waiting),
        Action::Parallel(_) => true,
        Action::Steps(inner) => block(inner, waiting),
        Action::Pass | Action::Assign(_) | Action::Return(_) | Action::Raise(_) => false,
    }
}
