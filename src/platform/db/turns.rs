//! Who gets the next connection. Pure: lanes are numbers here, and nothing waits.
//!
//! - A tenant gets one of its own few lanes, where its statements are prepared. When others are on these, it waits a moment and then takes
//!   any; when it is there itself, it takes any at once.
//! - Who holds more waits for who holds less, so that a tenant with a thousand requests delays another by one transaction and no more.
//! - Nobody takes the last lanes while holding others: what one owner may hold is bound to what is left (three times as many), so one alone
//!   gets about two thirds of the lanes, and a second one finds some. The very last one is for the platform's own work.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::foundation::ids::TenantId;

/// From so many lanes on, one is kept for the platform.
const LANES_FOR_A_RESERVE: usize = 4;
/// How many times the lanes that it leaves to others an owner may hold.
const SHARE: usize = 3;

/// Whose work a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// A tenant's.
    Tenant(TenantId),
    /// The platform's.
    Platform,
}

/// A place in the queue.
pub(super) type Ticket = u64;

struct Waiting {
    ticket: Ticket,
    home: usize,
    takes_any: bool,
}

/// Which lanes are idle, who holds how many, and who waits.
pub(super) struct Turns {
    idle: Vec<bool>,
    spread: usize,
    holds: HashMap<Owner, usize>,
    queues: HashMap<Owner, VecDeque<Waiting>>,
    next: Ticket,
}

impl Turns {
    /// All lanes idle. `spread` is how many lanes a tenant calls its own.
    pub(super) fn new(lanes: usize, spread: usize) -> Self {
        let spread = spread.clamp(1, lanes);
        Self { idle: vec![true; lanes], spread, holds: HashMap::new(), queues: HashMap::new(), next: 0 }
    }

    /// The first of the lanes that something calls its own.
    pub(super) fn home(&self, of: impl Hash) -> usize {
        let mut hasher = DefaultHasher::new();
        of.hash(&mut hasher);
        hasher.finish() as usize % self.idle.len()
    }

    /// An idle lane that the owner may have without waiting.
    pub(super) fn take(&mut self, owner: Owner, home: usize) -> Option<usize> {
        let lane =
            self.lane(owner, home, false).filter(|_| !self.queues.contains_key(&owner) && self.may_take(owner))?;
        self.hold(owner, lane);
        Some(lane)
    }

    /// A place behind the owner's others.
    pub(super) fn queue(&mut self, owner: Owner, home: usize) -> Ticket {
        self.next += 1;
        self.queues.entry(owner).or_default().push_back(Waiting { ticket: self.next, home, takes_any: false });
        self.next
    }

    /// Whoever waits so long takes any lane.
    pub(super) fn lose_patience(&mut self, owner: Owner, ticket: Ticket) {
        let mut queue = self.queues.get_mut(&owner).into_iter().flatten();
        if let Some(waiting) = queue.find(|waiting| waiting.ticket == ticket) {
            waiting.takes_any = true;
        }
    }

    /// Waits no longer.
    pub(super) fn leave(&mut self, owner: Owner, ticket: Ticket) {
        if let Some(queue) = self.queues.get_mut(&owner) {
            queue.retain(|waiting| waiting.ticket != ticket);
            if queue.is_empty() {
                self.queues.remove(&owner);
            }
        }
    }

    /// The lane is idle again.
    pub(super) fn give_back(&mut self, owner: Owner, lane: usize) {
        self.idle[lane] = true;
        if let Some(held) = self.holds.get_mut(&owner) {
            *held -= 1;
            if *held == 0 {
                self.holds.remove(&owner);
            }
        }
    }

    /// Who is next, and on which lane: of those for whom there is one, who holds the fewest; among these, who waits longest.
    pub(super) fn next(&mut self) -> Option<(Owner, Ticket, usize)> {
        if self.queues.is_empty() || !self.idle.contains(&true) {
            return None;
        }
        let candidates = self.queues.iter().filter(|(owner, _)| self.may_take(**owner)).filter_map(|(owner, queue)| {
            let first = queue.front()?;
            let lane = self.lane(*owner, first.home, first.takes_any)?;
            Some((self.held(*owner), first.ticket, *owner, lane))
        });
        let (_, ticket, owner, lane) = candidates.min_by_key(|(held, ticket, ..)| (*held, *ticket))?;
        self.leave(owner, ticket);
        self.hold(owner, lane);
        Some((owner, ticket, lane))
    }

    fn held(&self, owner: Owner) -> usize {
        self.holds.get(&owner).copied().unwrap_or(0)
    }

    fn hold(&mut self, owner: Owner, lane: usize) {
        self.idle[lane] = false;
        *self.holds.entry(owner).or_default() += 1;
    }

    fn may_take(&self, owner: Owner) -> bool {
        let reserve = usize::from(owner != Owner::Platform && self.idle.len() >= LANES_FOR_A_RESERVE);
        let idle = self.idle.iter().filter(|idle| **idle).count();
        match (self.held(owner), idle.saturating_sub(reserve)) {
            (_, 0) => false,
            (0, _) => true,
            (held, left) => held <= SHARE * (left - 1),
        }
    }

    /// An own lane; or any, for who has lost patience and for who holds as many as its own already: it is in its own way, and so busy that
    /// other lanes soon know its statements.
    fn lane(&self, owner: Owner, home: usize, takes_any: bool) -> Option<usize> {
        let spills = takes_any || self.held(owner) >= self.spread;
        self.near(home).or_else(|| if spills { self.any(home) } else { None })
    }

    fn near(&self, home: usize) -> Option<usize> {
        (home..home + self.spread).map(|lane| lane % self.idle.len()).find(|lane| self.idle[*lane])
    }

    fn any(&self, home: usize) -> Option<usize> {
        (home..home + self.idle.len()).map(|lane| lane % self.idle.len()).find(|lane| self.idle[*lane])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> Owner {
        Owner::Tenant(TenantId::new())
    }

    /// As many lanes as the owner gets when it never gives one back.
    fn take_all(turns: &mut Turns, owner: Owner) -> usize {
        let mut taken = 0;
        loop {
            let ticket = turns.queue(owner, 0);
            turns.lose_patience(owner, ticket);
            if turns.next().is_none() {
                turns.leave(owner, ticket);
                return taken;
            }
            taken += 1;
        }
    }

    #[test]
    fn one_owner_never_holds_every_lane() {
        for (lanes, share) in [(1, 1), (2, 1), (3, 2), (4, 2), (8, 5), (16, 11), (64, 47)] {
            let mut turns = Turns::new(lanes, 4);
            assert_eq!(take_all(&mut turns, tenant()), share, "of {lanes}");
            let second = take_all(&mut turns, tenant());
            assert!(lanes == 1 || second >= 1, "{second} of {lanes} for a second one");
            assert!(lanes < LANES_FOR_A_RESERVE || take_all(&mut turns, Owner::Platform) >= 1, "of {lanes}");
        }
    }

    #[test]
    fn many_tenants_leave_one_lane_to_the_platform() {
        let mut turns = Turns::new(8, 2);
        let taken: usize = (0..20).map(|_| take_all(&mut turns, tenant())).sum();
        assert_eq!((taken, take_all(&mut turns, Owner::Platform)), (7, 1));
    }

    #[test]
    fn an_own_lane_comes_first_and_any_other_after_patience() {
        let mut turns = Turns::new(8, 2);
        let (owner, other) = (tenant(), tenant());
        assert_eq!([turns.take(other, 6), turns.take(other, 6)], [Some(6), Some(7)]);
        assert_eq!(turns.take(owner, 6), None);
        let ticket = turns.queue(owner, 6);
        assert_eq!(turns.next(), None, "other lanes are idle, but it has patience");
        turns.lose_patience(owner, ticket);
        assert_eq!(turns.next(), Some((owner, ticket, 0)));
    }

    #[test]
    fn who_is_on_its_own_lanes_itself_takes_any() {
        let mut turns = Turns::new(8, 2);
        let owner = tenant();
        assert_eq!([0; 3].map(|_| turns.take(owner, 6)), [Some(6), Some(7), Some(0)]);
    }

    #[test]
    fn who_holds_less_comes_first_then_who_waits_longer() {
        let mut turns = Turns::new(3, 3);
        let (hot, cold, colder) = (tenant(), tenant(), tenant());
        let held = [turns.take(hot, 0).unwrap(), turns.take(hot, 0).unwrap()];
        assert_eq!(turns.take(hot, 0), None);
        let hots = [turns.queue(hot, 0), turns.queue(hot, 0)];
        assert_eq!(turns.take(cold, 0), Some(2), "nobody of the same owner waits");
        let last = turns.queue(colder, 0);
        turns.give_back(hot, held[0]);
        assert_eq!(turns.next(), Some((colder, last, held[0])));
        turns.give_back(hot, held[1]);
        assert_eq!(turns.next(), Some((hot, hots[0], held[1])), "with nothing held, it waits longest");
        turns.leave(hot, hots[1]);
        turns.give_back(cold, 2);
        assert_eq!(turns.next(), None);
        assert!(turns.queues.is_empty());
    }
}
