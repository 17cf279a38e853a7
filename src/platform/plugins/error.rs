//! Why a plugin was refused or stopped. Every failure is one of these; an engine's own error never leaves the room.

use std::time::Duration;

/// Why a plugin was refused or stopped. Messages are bounded, so a guest cannot flood a log or a row through them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// More bytes than a component may have.
    #[error("the component has {bytes} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size allowed.
        limit: usize,
    },
    /// Not a WebAssembly component, or a broken one.
    #[error("not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// A component that the engine cannot compile under its limits.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// Imports something other than the log.
    #[error("the component imports what no plugin may: {}", .0.join(", "))]
    ForbiddenImport(Vec<String>),
    /// Its exports are of none of the worlds, or not of the one that is asked for.
    #[error("the component does not fit the world: {0}")]
    WrongWorld(String),
    /// Its manifest names fields or limits that do not exist.
    #[error("the plugin's manifest is not valid: {0}")]
    Manifest(String),
    /// The plugin refuses its settings.
    #[error("the plugin refuses its settings: {0}")]
    InvalidSettings(String),
    /// The guest returned an error of its own.
    #[error("the plugin reports: {0}")]
    GuestError(String),
    /// The guest trapped: unreachable code, bad memory access, broken results.
    #[error("the plugin trapped: {0}")]
    Trap(String),
    /// The call took too long. The only failure that may depend on how busy the machine is.
    #[error("the plugin was stopped after {} ms", .0.as_millis())]
    Deadline(Duration),
    /// The call took more instructions than the length of its text allows: the same in every run.
    #[error("the plugin used up its fuel of {0} instructions")]
    Fuel(u64),
    /// The guest called itself too deeply.
    #[error("the plugin used up its stack of {0} bytes")]
    Stack(usize),
    /// The guest asked for more memory, tables or instances than it may have.
    #[error("the plugin asked for more than it may have: {0}")]
    Memory(String),
    /// The guest logged without end.
    #[error("the plugin wrote more than {0} log messages")]
    LogFlood(u32),
    /// What the guest returned is larger than allowed.
    #[error("the plugin's result is too large: {0}")]
    OutputTooLarge(String),
    /// What the guest returned contradicts the scorecard or the contract.
    #[error("the plugin's result is not valid: {0}")]
    InvalidOutput(String),
    /// The host itself failed: not the plugin's fault.
    #[error("the plugin host failed: {0}")]
    Host(String),
}

impl PluginError {
    /// A stable word for rows, metrics and API answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotAComponent(_) => "not_a_component",
            Self::Compile(_) => "compile",
            Self::ForbiddenImport(_) => "forbidden_import",
            Self::WrongWorld(_) => "wrong_world",
            Self::Manifest(_) => "manifest",
            Self::InvalidSettings(_) => "invalid_settings",
            Self::GuestError(_) => "guest_error",
            Self::Trap(_) => "trap",
            Self::Deadline(_) => "deadline",
            Self::Fuel(_) => "fuel",
            Self::Stack(_) => "stack",
            Self::Memory(_) => "memory",
            Self::LogFlood(_) => "log_flood",
            Self::OutputTooLarge(_) => "output_too_large",
            Self::InvalidOutput(_) => "invalid_output",
            Self::Host(_) => "host",
        }
    }

    /// Whether the same call may succeed later. Everything else comes out the same way every time.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Deadline(_) | Self::Host(_))
    }
}
