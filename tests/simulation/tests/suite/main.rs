//! The protocol under everything that can go wrong: nights by chance, the crash matrix, and what each guard is worth.
//! One binary, because each would be linked against all of the pipeline.

#![expect(clippy::unwrap_used, reason = "tests")]

mod matrix;
mod nights;
mod power;
