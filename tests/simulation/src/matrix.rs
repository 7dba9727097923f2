//! The crash matrix: one cycle, and for every call that it makes every way in which that call can break, and every way
//! in which things can go on after that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{Call, Calm, Fate, Fates, Moment, Service};

/// How a call breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Break {
    /// Before it takes effect.
    Before,
    /// After it took effect.
    After,
    /// It takes effect, and its caller is not told.
    AnswerLost,
}

impl Break {
    pub const ALL: [Self; 3] = [Self::Before, Self::After, Self::AnswerLost];
}

/// What comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Then {
    /// The workflow goes on, with another instance where the first one died.
    Resume,
    /// The workflow is dead, too; a second run comes.
    SecondRun,
    /// The process slept for longer than a lease; a second run has come, and the old one wakes up.
    OldOneWakes,
}

impl Then {
    pub const ALL: [Self; 3] = [Self::Resume, Self::SecondRun, Self::OldOneWakes];
}

/// A call of the undisturbed cycle.
///
/// Where time is real, calls that are made side by side come in any order; so a call is found again by what it is about,
/// and by how many such calls its process has made before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub process: String,
    pub call: Call,
    /// The key, slot or view, without what differs from run to run.
    pub about: String,
    pub occurrence: usize,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub position: Position,
    pub how: Break,
    pub then: Then,
    pub violations: Vec<String>,
}

/// A pipeline with one cycle published and the source of a second one at hand.
#[async_trait]
pub trait Stage: Send + Sync {
    /// Functions whose calls meet these fates.
    fn service(&self, name: &str, fates: Arc<dyn Fates>) -> Arc<Service>;
    /// The partition of the second cycle.
    fn partition(&self) -> &str;
    /// How long a process sleeps that is to be overtaken.
    fn nap(&self) -> Duration;
    /// Checks that readers see both cycles and that nothing was wrong meanwhile, and says what was.
    async fn judge(&self) -> Vec<String>;
    /// How often each model was built on this stage, by layer and name.
    fn builds(&self) -> BTreeMap<(String, String), u64>;
    /// Everything that readers and the next run depend on.
    async fn digest(&self) -> String;
}

/// Breaks one call, and notes all.
#[derive(Debug, Default)]
struct Script {
    target: Option<Position>,
    fate: Option<Fate>,
    log: Mutex<Vec<Position>>,
}

impl Fates for Script {
    fn next(&self, moment: &Moment<'_>) -> (Duration, Fate) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // Ids and digests are hexadecimal.
        let about: String = moment.subject.chars().filter(|letter| !letter.is_ascii_hexdigit()).collect();
        let is_such = |position: &&Position| {
            position.process == moment.process && position.call == moment.call && position.about == about
        };
        let occurrence = log.iter().filter(is_such).count();
        let position = Position { process: moment.process.to_owned(), call: moment.call, about, occurrence };
        let is_target = self.target.as_ref() == Some(&position);
        log.push(position);
        let fate = self.fate.filter(|_| is_target).unwrap_or(Fate::Done);
        (Duration::ZERO, fate)
    }
}

/// The calls of the undisturbed cycle.
pub async fn positions(stage: &dyn Stage) -> Vec<Position> {
    let script = Arc::new(Script::default());
    let service = stage.service("worker", script.clone());
    // The run has the name that it has in a cell, for calls about the run are to be found there again.
    let outcome = service.daily("broken", json!({"partition": stage.partition()})).await;
    assert_eq!(outcome.map_err(|raised| raised.value).unwrap()["outcome"], "published");
    let log = script.log.lock().unwrap_or_else(PoisonError::into_inner);
    log.clone()
}

/// One position of each kind: the first call of its process that is about such a thing.
pub fn kinds(positions: &[Position]) -> Vec<Position> {
    let mut kinds: BTreeMap<(Call, &str), &Position> = BTreeMap::new();
    for position in positions {
        kinds.entry((position.call, &position.about)).or_insert(position);
    }
    kinds.into_values().cloned().collect()
}

/// Lives through one cell.
pub async fn cell(stage: &dyn Stage, position: &Position, how: Break, then: Then) -> Cell {
    let nap = stage.nap();
    let fate = match (how, then) {
        (Break::Before, Then::OldOneWakes) => Fate::SleepsBefore(nap),
        (Break::After, Then::OldOneWakes) => Fate::SleepsAfter(nap),
        (Break::AnswerLost, Then::OldOneWakes) => Fate::LostAsleep(nap),
        (Break::Before, _) => Fate::DiesBefore,
        (Break::After, _) => Fate::DiesAfter,
        (Break::AnswerLost, _) => Fate::AnswerLost,
    };
    let script = Arc::new(Script { target: Some(position.clone()), fate: Some(fate), log: Mutex::default() });
    let service = stage.service("worker", script);
    let argument = json!({"partition": stage.partition()});
    let mut violations = Vec::new();
    match then {
        Then::Resume => {
            let caller = service.caller().clone();
            tokio::select! {
                biased;
                // On a laptop whoever runs the workflow is the same process as the functions.
                () = caller.died() => service.kill(),
                _ = service.daily("broken", argument.clone()) => {}
            }
        }
        Then::SecondRun => {
            let (caller, process) = (service.caller().clone(), service.process());
            tokio::select! {
                biased;
                () = caller.died() => {}
                () = process.died() => {}
                // A lost answer kills nobody.
                _ = service.daily("broken", argument.clone()) => {}
            }
            caller.kill();
            service.kill();
            run(stage, "second", &argument, &mut violations).await;
        }
        Then::OldOneWakes => {
            let mut old = {
                let (service, argument) = (service.clone(), argument.clone());
                tokio::spawn(async move { service.daily("broken", argument).await.map_err(|raised| raised.value) })
            };
            tokio::select! {
                biased;
                () = service.fell_asleep() => {}
                _ = &mut old => violations.push("the call was never made".to_owned()),
            }
            run(stage, "second", &argument, &mut violations).await;
            if !old.is_finished() && timeout(nap * 100, old).await.is_err() {
                violations.push("the old run never ended".to_owned());
            }
        }
    }
    // A sleeper who wakes up goes on where nobody looks, and finds out only then.
    if then != Then::OldOneWakes {
        let again = stage.builds().into_iter().filter(|(_, times)| *times > 1).map(|((layer, _), _)| layer);
        let again: BTreeSet<String> = again.collect();
        if again.len() > 1 {
            violations.push(format!("more than the step that broke was done again: {again:?}"));
        }
    }
    // Whatever became of it: one undisturbed run makes everything right, and the next one has nothing to do.
    run(stage, "healer", &argument, &mut violations).await;
    violations.extend(stage.judge().await);
    let before = stage.digest().await;
    let last = run(stage, "idle", &argument, &mut violations).await;
    if last["outcome"] != "already_published" {
        violations.push("a run of what is published published it again".to_owned());
    }
    if stage.digest().await != before {
        violations.push("a run without anything to do changed something".to_owned());
    }
    violations.extend(stage.judge().await);
    violations.dedup();
    Cell { position: position.clone(), how, then, violations }
}

/// An undisturbed run. It may be told that another one is at work, and then comes again.
async fn run(stage: &dyn Stage, name: &str, argument: &Value, violations: &mut Vec<String>) -> Value {
    let service = stage.service(name, Arc::new(Calm));
    for number in 0..5 {
        match service.daily(&format!("{name}-{number}"), argument.clone()).await {
            Ok(outcome) => return outcome,
            Err(raised) if raised.value["body"]["code"] == "held" => {}
            Err(raised) => {
                violations.push(format!("the {name} run failed: {}", raised.value));
                return Value::Null;
            }
        }
    }
    violations.push(format!("the {name} run was kept out for five leases"));
    Value::Null
}
