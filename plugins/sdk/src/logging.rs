//! Messages to the plugin's author.

use crate::Level;

/// Leaves a message to the plugin's author. The host keeps the first ones and counts the rest; without end, it stops the call.
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::scorer::plumbline::plugin::host::log(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::keep(level, message);
}

/// A message for the author's own search.
pub fn debug(message: &str) {
    log(Level::Debug, message);
}

/// A message that is worth knowing.
pub fn info(message: &str) {
    log(Level::Info, message);
}

/// A message about something that is not as it should be.
pub fn warn(message: &str) {
    log(Level::Warn, message);
}

/// A message about something that is wrong.
pub fn error(message: &str) {
    log(Level::Error, message);
}
