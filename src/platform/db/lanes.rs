//! Connections in lanes. A tenant calls a few lanes its own: there its statements are already prepared. Strict lanes would starve a hot
//! tenant, and free choice would make every statement cold everywhere. Who gets which one is decided in `turns`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    connect::Connector,
    connection::Connection,
    turns::{Owner, Ticket, Turns},
};
use crate::foundation::ids::TenantId;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Busy {
    /// All are in use, or as many as one tenant may hold.
    #[error("none came free in time")]
    Taken,
    /// PostgreSQL does not answer.
    #[error("PostgreSQL does not answer in time")]
    Silent,
    /// PostgreSQL cannot be reached, or refuses us.
    #[error("PostgreSQL cannot be reached")]
    Refused(#[source] tokio_postgres::Error),
}

/// Lanes of one connection each. A connection is made when it is first needed, and again when PostgreSQL has closed it.
pub struct Lanes {
    shared: Arc<Shared>,
    connector: Connector,
    patience: Duration,
    wait: Duration,
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    turns: Turns,
    /// Those of idle lanes.
    connections: Vec<Option<Connection>>,
    waiting: HashMap<Ticket, oneshot::Sender<Lane>>,
}

impl Lanes {
    /// `spread` is how many lanes a tenant calls its own; `patience`, how long it waits for one of these before it takes any, where its
    /// statements are cold; `wait`, how long a checkout may take in all.
    pub(super) fn new(connector: Connector, lanes: usize, spread: usize, patience: Duration, wait: Duration) -> Self {
        let state = State {
            turns: Turns::new(lanes, spread),
            connections: (0..lanes).map(|_| None).collect(),
            waiting: HashMap::new(),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state) }), connector, patience, wait }
    }

    /// A connection for a tenant's work.
    ///
    /// # Errors
    /// When none comes free within the wait, or PostgreSQL cannot be reached.
    pub(super) async fn tenant(&self, tenant: TenantId) -> Result<Lane, Busy> {
        let home = self.shared.state().turns.home(tenant);
        self.checkout(Owner::Tenant(tenant), home).await
    }

    /// A connection for the platform's work, on the lanes of what is called so.
    ///
    /// # Errors
    /// As [`Lanes::tenant`].
    pub(super) async fn platform(&self, name: &'static str) -> Result<Lane, Busy> {
        let home = self.shared.state().turns.home(name);
        self.checkout(Owner::Platform, home).await
    }

    async fn checkout(&self, owner: Owner, home: usize) -> Result<Lane, Busy> {
        let mut lane = self.lane(owner, home).await?;
        if lane.connection.as_ref().is_none_or(Connection::is_closed) {
            lane.connection = None;
            let made = timeout(self.wait, self.connector.connect()).await.map_err(|_| Busy::Silent)?;
            lane.connection = Some(made.map_err(Busy::Refused)?);
        }
        Ok(lane)
    }

    async fn lane(&self, owner: Owner, home: usize) -> Result<Lane, Busy> {
        let mut place = match self.shared.ask(owner, home) {
            Ok(lane) => return Ok(lane),
            Err(place) => place,
        };
        let patience = self.patience.min(self.wait);
        if let Ok(Ok(lane)) = timeout(patience, &mut place.called).await {
            return Ok(lane);
        }
        self.shared.change(|turns| turns.lose_patience(owner, place.ticket));
        match timeout(self.wait - patience, &mut place.called).await {
            Ok(Ok(lane)) => Ok(lane),
            _ => Err(Busy::Taken),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane at once, or a place in the queue.
    fn ask(self: &Arc<Self>, owner: Owner, home: usize) -> Result<Lane, Place> {
        let mut state = self.state();
        if let Some(number) = state.turns.take(owner, home) {
            let connection = state.connections[number].take();
            return Ok(Lane { shared: self.clone(), owner, number, connection });
        }
        let (call, called) = oneshot::channel();
        let ticket = state.turns.queue(owner, home);
        state.waiting.insert(ticket, call);
        Err(Place { shared: self.clone(), owner, ticket, called })
    }

    /// Changes who holds and who waits, and calls those who have their turn by that.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut Turns)) {
        self.settle(|state| change(&mut state.turns));
    }

    fn settle(self: &Arc<Self>, change: impl FnOnce(&mut State)) {
        let mut called = vec![];
        let mut state = self.state();
        change(&mut state);
        while let Some((owner, ticket, number)) = state.turns.next() {
            let connection = state.connections[number].take();
            let lane = Lane { shared: self.clone(), owner, number, connection };
            called.push((state.waiting.remove(&ticket), lane));
        }
        drop(state);
        for (call, lane) in called {
            if let Some(call) = call {
                let _ = call.send(lane); // whoever has just gone drops it, and that gives it back
            }
        }
    }
}

/// A place in the queue. Dropped, it is given up.
struct Place {
    shared: Arc<Shared>,
    owner: Owner,
    ticket: Ticket,
    called: oneshot::Receiver<Lane>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let (owner, ticket) = (self.owner, self.ticket);
        self.shared.settle(|state| {
            state.waiting.remove(&ticket);
            state.turns.leave(owner, ticket);
        });
    }
}

/// A lane that somebody holds. Dropped, it is the next one's, with the connection if it still has it.
pub(super) struct Lane {
    shared: Arc<Shared>,
    owner: Owner,
    number: usize,
    connection: Option<Connection>,
}

impl Lane {
    /// The connection; it is there from the checkout until [`Lane::close`].
    pub(super) fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a checkout gives a connection")
    }

    /// Closes the connection, so that PostgreSQL rolls back what is open on it.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let (owner, number, connection) = (self.owner, self.number, self.connection.take());
        self.shared.settle(|state| {
            state.connections[number] = connection;
            state.turns.give_back(owner, number);
        });
    }
}
