//! The same retries for Google's own clients, which repeat by themselves: a [`Budget`] is their policy and their pause.

use google_cloud_gax::backoff_policy::BackoffPolicy;
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::retry_policy::RetryPolicy;
use google_cloud_gax::retry_result::RetryResult;
use google_cloud_gax::retry_state::RetryState;
use std::time::Duration;

use crate::{Budget, Classify, Failure, retry_after};

impl Classify for Error {
    fn failure(&self) -> Failure {
        if self.is_transient_and_before_rpc() {
            return Failure::NOT_CONNECTED;
        }
        if let Some(status) = self.http_status_code() {
            let header = |name: &str| self.http_headers()?.get(name)?.to_str().ok();
            return Failure::of_answer(status, None, retry_after(header("retry-after"), header("date")));
        }
        match self.status().map(|status| status.code) {
            // gRPC: <https://google.aip.dev/194>, and what the services say of a lost backend.
            Some(Code::ResourceExhausted) => Failure::NOT_CONNECTED,
            Some(Code::Unavailable | Code::Internal | Code::DeadlineExceeded | Code::Aborted) => Failure::NO_ANSWER,
            None if self.is_io() || self.is_timeout() || self.is_transport() => Failure::NO_ANSWER,
            Some(_) | None => Failure::Final,
        }
    }
}

impl RetryPolicy for Budget {
    /// A call whose outcome is unknown is repeated only if the client says that it may be made twice.
    fn on_error(&self, state: &RetryState, error: Error) -> RetryResult {
        match error.failure() {
            Failure::Unknown { .. } if !state.idempotent => RetryResult::Permanent(error),
            Failure::Final => RetryResult::Permanent(error),
            _ if state.attempt_count >= self.attempts || state.start.elapsed() >= self.total => {
                RetryResult::Exhausted(error)
            }
            _ => RetryResult::Continue(error),
        }
    }

    fn remaining_time(&self, state: &RetryState) -> Option<Duration> {
        Some(self.total.saturating_sub(state.start.elapsed()))
    }
}

impl BackoffPolicy for Budget {
    fn on_failure(&self, state: &RetryState) -> Duration {
        self.jittered(state.attempt_count)
    }
}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::rpc::Status;
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16) -> Error {
        Error::http(status, HeaderMap::new(), Vec::new().into())
    }

    #[test]
    fn clients_repeat_what_this_project_repeats() {
        let budget = Budget::STANDARD;
        let (sure, unsure) = (RetryState::new(true), RetryState::new(false));
        assert!(budget.on_error(&sure, answer(503)).is_continue());
        assert!(budget.on_error(&unsure, answer(503)).is_permanent(), "it may have taken effect");
        assert!(budget.on_error(&unsure, answer(429)).is_continue());
        assert!(budget.on_error(&sure, answer(412)).is_permanent());
        let last = RetryState::new(true).set_attempt_count(budget.attempts);
        assert!(budget.on_error(&last, answer(503)).is_exhausted());
    }

    #[test]
    fn grpc_codes_are_classified() {
        for (code, expected) in [
            (Code::ResourceExhausted, Failure::NOT_CONNECTED),
            (Code::Unavailable, Failure::NO_ANSWER),
            (Code::NotFound, Failure::Final),
            (Code::PermissionDenied, Failure::Final),
        ] {
            assert_eq!(Error::service(Status::default().set_code(code)).failure(), expected, "{code:?}");
        }
    }

    #[test]
    fn what_the_service_asks_for_is_read_off_its_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", http::HeaderValue::from_static("9"));
        let failure = Error::http(429, headers, Vec::new().into()).failure();
        assert_eq!(failure, Failure::Refused { retry_after: Some(Duration::from_secs(9)) });
    }
}
