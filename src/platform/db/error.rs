//! What can go wrong behind the door.

use tokio_postgres::error::SqlState;

use super::lanes::Busy;

/// An error of the database, or of the way to it.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection came free in time, or PostgreSQL cannot be reached.
    #[error("no connection: {0}")]
    Busy(#[from] Busy),
    /// PostgreSQL refused a statement, or the connection broke while it ran.
    #[error("PostgreSQL refused {name}: {}", state(source))]
    Statement {
        /// The query's file.
        name: &'static str,
        /// What PostgreSQL said.
        source: tokio_postgres::Error,
    },
    /// A row does not fit its type: the query and the code disagree.
    #[error("a column has another type than its field")]
    Row(#[from] tokio_postgres::Error),
    /// A stored document does not fit its type.
    #[error("the stored {what} cannot be read")]
    Stored {
        /// What was read.
        what: &'static str,
        /// Why it did not fit.
        source: serde_json::Error,
    },
    /// A query that always gives a row gave none.
    #[error("{0} gave no row")]
    NoRow(&'static str),
}

impl DbError {
    /// The violated unique constraint, if that is what happened.
    pub fn unique_violation(&self) -> Option<&str> {
        let DbError::Statement { source, .. } = self else {
            return None;
        };
        let error = source.as_db_error()?;
        (*error.code() == SqlState::UNIQUE_VIOLATION).then(|| error.constraint().unwrap_or(""))
    }

    /// PostgreSQL's code for what it refused; `None` when the trouble is on the way to it.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            DbError::Statement { source, .. } => source.code().map(SqlState::code),
            _ => None,
        }
    }

    /// Whether PostgreSQL itself refused a statement before the transaction's end: nothing of the transaction is there then.
    pub fn is_refusal(&self) -> bool {
        matches!(self, DbError::Statement { name, source } if *name != "commit" && source.as_db_error().is_some())
    }

    /// Whether trying again later may help: nothing is wrong with the statement itself.
    pub fn is_temporary(&self) -> bool {
        match self {
            DbError::Busy(_) => true,
            DbError::Statement { source, .. } => match source.code() {
                None => true,
                Some(code) => passes(code),
            },
            DbError::Row(_) | DbError::Stored { .. } | DbError::NoRow(_) => false,
        }
    }
}

/// Whether the trouble is with PostgreSQL or the machine below it, or with who else is at work, and so passes: by the classes of SQLSTATE.
pub(super) fn passes(code: &SqlState) -> bool {
    // Connections; transactions rolled back; resources; operator intervention, time limits among them; the system.
    const CLASSES: [&str; 5] = ["08", "40", "53", "57", "58"];
    CLASSES.iter().any(|class| code.code().starts_with(class))
        || *code == SqlState::LOCK_NOT_AVAILABLE
        || *code == SqlState::IN_FAILED_SQL_TRANSACTION // says only that an earlier statement failed, of which nobody knows here
}

/// The SQLSTATE and the constraint or table; never the message or the detail, which may carry values of the row.
pub(super) fn state(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => {
            let place = error.constraint().or(error.table()).unwrap_or("");
            format!("{} {place}", error.code().code())
        }
        None => "the connection failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_the_surroundings_passes() {
        let passing = [
            SqlState::CONNECTION_FAILURE,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::DISK_FULL,
            SqlState::OUT_OF_MEMORY,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::IO_ERROR,
            SqlState::IN_FAILED_SQL_TRANSACTION,
        ];
        for code in passing {
            assert!(passes(&code), "{}", code.code());
        }
        let lasting = [
            SqlState::UNIQUE_VIOLATION,
            SqlState::CHECK_VIOLATION,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::UNDEFINED_TABLE,
            SqlState::OBJECT_IN_USE,
            SqlState::RAISE_EXCEPTION,
        ];
        for code in lasting {
            assert!(!passes(&code), "{}", code.code());
        }
    }
}
