//! What can go wrong behind the door.

use tokio_postgres::error::SqlState;

/// An error of the database, or of the way to it.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The pool gave no connection in time, or PostgreSQL cannot be reached.
    #[error("no connection came free")]
    Busy(#[from] deadpool_postgres::PoolError),
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

    /// Whether the transaction may have taken effect all the same: the connection was lost while it was committed.
    pub fn leaves_open_whether_committed(&self) -> bool {
        let DbError::Statement { name: "commit", source } = self else {
            return false;
        };
        source.as_db_error().is_none_or(|error| error.code().code().starts_with("57")) // 57: the server was told to end it
    }

    /// Whether trying again later may help: nothing is wrong with the statement itself.
    pub fn is_temporary(&self) -> bool {
        match self {
            DbError::Busy(_) => true,
            DbError::Statement { source, .. } => match source.code() {
                None => true,
                Some(code) => {
                    *code == SqlState::T_R_SERIALIZATION_FAILURE
                        || *code == SqlState::T_R_DEADLOCK_DETECTED
                        || *code == SqlState::ADMIN_SHUTDOWN
                        || *code == SqlState::CRASH_SHUTDOWN
                        || *code == SqlState::CANNOT_CONNECT_NOW
                        || *code == SqlState::LOCK_NOT_AVAILABLE
                }
            },
            DbError::Row(_) | DbError::Stored { .. } | DbError::NoRow(_) => false,
        }
    }
}

/// The SQLSTATE and the constraint or table; never the message or the detail, which may carry values of the row.
fn state(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => {
            let place = error.constraint().or(error.table()).unwrap_or("");
            format!("{} {place}", error.code().code())
        }
        None => "the connection failed".to_owned(),
    }
}
