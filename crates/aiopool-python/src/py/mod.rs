//! The ground: the interpreter and its loops. No file here knows of pools.

pub(crate) mod apart;
pub(crate) mod awaitable;
pub(crate) mod check;
pub(crate) mod context;
pub(crate) mod errors;
pub(crate) mod event_loop;
pub(crate) mod ffi;
pub(crate) mod fork;
pub(crate) mod guarded;
pub(crate) mod imports;
pub(crate) mod limits;
pub(crate) mod loop_end;
pub(crate) mod name;
pub(crate) mod outcome;
pub(crate) mod owner;
pub(crate) mod plain_tasks;
pub(crate) mod shape;
