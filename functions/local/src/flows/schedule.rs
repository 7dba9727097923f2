//! Starts workflows at the times that pipeline.yaml says, as the scheduler does in the cloud.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pipeline::{Cron, Schedule};
use workflows::Clock;

use crate::failure::Failure;
use crate::flows::executor::Order;

/// A machine may sleep, and its clock be set: no wait is longer than this.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// One workflow and when it runs.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub workflow: &'static str,
    pub cron: Cron,
}

impl Job {
    /// The execution that the job starts: like Terraform's, without a date.
    pub(crate) fn order(&self) -> Order {
        Order {
            workflow: self.workflow.to_owned(),
            project: "local".to_owned(),
            location: "local".to_owned(),
            argument: "{}".to_owned(),
            ..Order::default()
        }
    }
}

/// The jobs of a pipeline.
pub(crate) fn jobs(schedule: &Schedule) -> Vec<Job> {
    vec![
        Job { workflow: "daily", cron: schedule.daily.clone() },
        Job { workflow: "cleanup", cron: schedule.cleanup.clone() },
    ]
}

/// Calls `start` whenever a job is due, until that fails. A time that passed while the machine slept is due once.
pub(crate) async fn run(
    jobs: &[Job],
    time_zone: &TimeZone,
    clock: Arc<dyn Clock>,
    mut start: impl FnMut(&Job) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let now = || Timestamp::try_from(clock.now()).unwrap_or(Timestamp::MAX);
    let mut due: Vec<Option<Timestamp>> = jobs.iter().map(|job| job.cron.next(now(), time_zone)).collect();
    loop {
        for (job, due) in jobs.iter().zip(&mut due) {
            if due.is_some_and(|due| due <= now()) {
                *due = job.cron.next(now(), time_zone);
                start(job)?;
            }
        }
        let next = due.iter().flatten().min();
        let wait = next.and_then(|next| Duration::try_from(next.duration_since(now())).ok());
        clock.sleep(wait.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::SystemTime;

    use async_trait::async_trait;

    use super::*;

    /// Goes on only when somebody sleeps; once it sleeps for a day longer than it was told to.
    struct Jumping(Mutex<(Timestamp, u32)>);

    #[async_trait]
    impl Clock for Jumping {
        fn now(&self) -> SystemTime {
            self.0.lock().unwrap().0.into()
        }

        async fn sleep(&self, duration: Duration) {
            let mut now = self.0.lock().unwrap();
            assert!(!duration.is_zero());
            now.0 += duration;
            now.1 += 1;
            if now.1 == 4000 {
                now.0 += Duration::from_hours(24);
            }
        }
    }

    #[tokio::test]
    async fn every_job_is_started_at_its_times_by_the_clocks_of_the_pipeline() {
        let schedule = Schedule { daily: "30 3 * * *".parse().unwrap(), cleanup: "0 5 * * 0".parse().unwrap() };
        let clock = Arc::new(Jumping(Mutex::new(("2025-08-01T12:00:10Z".parse().unwrap(), 0))));
        let mut started = Vec::new();
        let watched = clock.clone();
        let zone = TimeZone::get("America/Toronto").unwrap();
        let ended = run(&jobs(&schedule), &zone, clock, |job| {
            started.push(format!("{} {}", job.workflow, watched.0.lock().unwrap().0));
            if started.len() == 5 { Err(Failure::new("enough")) } else { Ok(()) }
        })
        .await;
        assert_eq!(ended.unwrap_err().to_string(), "enough");
        assert_eq!(
            started,
            [
                "daily 2025-08-02T07:30:00Z",
                "daily 2025-08-03T07:30:00Z",
                "cleanup 2025-08-03T09:00:00Z",
                // The day that passed in the machine's sleep is due once, and the next as ever.
                "daily 2025-08-05T06:40:00Z",
                "daily 2025-08-05T07:30:00Z",
            ]
        );
        assert_eq!(jobs(&schedule)[0].order().argument, "{}");
    }
}
