//! One file a command.

pub(crate) mod assets;
pub(crate) mod backfill;
pub(crate) mod cleanup;
pub(crate) mod cost;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod digest;
pub(crate) mod doctor;
pub(crate) mod hold;
pub(crate) mod init;
pub(crate) mod publish;
pub(crate) mod receipt;
pub(crate) mod restore;
pub(crate) mod retire;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod up;
pub(crate) mod workflows;
