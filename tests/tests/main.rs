//! End to end, with the built program: one file a topic. They are one program, so that they are linked once, and a file's last test
//! has company.

#![expect(clippy::unwrap_used, reason = "tests")]

mod assets;
mod bad_input;
mod cleanup;
mod crowds;
mod cycles;
mod damage;
mod diff;
mod doctor;
mod emulated_cloud;
mod executions;
mod formats;
mod functions;
mod googlesql;
mod hostile;
mod images;
mod init;
mod postgres;
mod processes;
mod readers;
mod refusals;
mod rollback;
mod takeovers;
mod telemetry;
mod tpch;
mod types;
mod whole;
