//! Google's limits. A file that keeps them here is not refused for them there.

/// Of a source file.
pub(crate) const SOURCE_BYTES: usize = 128 * 1024;
/// Of the argument of an execution, as JSON.
pub(crate) const ARGUMENT_BYTES: usize = 32 * 1024;
/// Of all variables and arguments of an execution: text and bytes by their length, numbers as 8, the rest as 1.
pub(crate) const MEMORY_BYTES: usize = 512 * 1024;
/// Of one string.
pub(crate) const TEXT_BYTES: usize = 256 * 1024;
/// Of one sleep: a year.
pub(crate) const SLEEP_SECONDS: f64 = 31_536_000.0;
/// In one assign step.
pub(crate) const ASSIGNMENTS: usize = 50;
/// In one switch.
pub(crate) const CONDITIONS: usize = 50;
/// In one parallel step.
pub(crate) const BRANCHES: usize = 10;
/// Of one `${...}`, delimiters included.
pub(crate) const EXPRESSION_CHARACTERS: usize = 400;
/// Parallel steps inside each other.
pub(crate) const PARALLEL_DEPTH: usize = 2;
/// Branches or iterations of one parallel step that run at a time.
pub(crate) const CONCURRENCY: usize = 20;
/// Routines on the stack, main included.
pub(crate) const CALL_DEPTH: usize = 20;
/// Steps of one execution.
pub(crate) const STEPS: u64 = 100_000;
