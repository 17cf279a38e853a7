//! The integration tests: one binary, a file per room.

mod hostile;
mod idempotency;
mod plugins;
