//! Idempotency keys against a real PostgreSQL: what was asked twice is done once.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use plumbline::{
    foundation::{
        access::{Grant, Permission},
        ids::{OrganizationId, TenantId},
    },
    platform::{
        db::{Connections, Db, DbError, NewTenant, Owner},
        http::{IdempotencyKey, KeyError, Keyed, Once, once},
    },
};
use poem_openapi::types::ParseFromParameter;

use crate::support::{self, Database};

#[derive(Debug, thiserror::Error)]
enum MakeError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("refused")]
    Refused,
}

/// One tenant in a database of its own, and how often something was made.
struct World {
    db: Db,
    grant: Grant,
    made: AtomicU32,
}

impl World {
    async fn new() -> Self {
        let Database { owner, login } = support::fresh().await;
        let mut owner = Owner::connect(&owner).await.expect("the owner");
        let (tenant_id, root) = (TenantId::new(), OrganizationId::new());
        let tenant = NewTenant {
            tenant_id,
            slug: "acme".to_owned(),
            name: "Acme".to_owned(),
            issuer: "https://issuer.example/acme".to_owned(),
            root_organization_id: root,
        };
        owner.create_tenant(&tenant).await.expect("a tenant");
        let db = Db::new(Connections::to(login, 4).open().expect("connections"));
        #[allow(clippy::disallowed_methods, reason = "a test's own grant")]
        let grant = Grant::system(tenant_id, root, root, "test", Permission::ReadCalls);
        Self { db, grant, made: AtomicU32::new(0) }
    }

    /// Makes the next number, slowly, unless that was done.
    async fn make(&self, keyed: &Keyed, now: DateTime<Utc>, succeeds: bool) -> Result<Once<u32>, MakeError> {
        self.db
            .tenant(&self.grant, "test.make", async |tx| {
                once(tx, keyed, now, async || {
                    let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    if succeeds { Ok(number) } else { Err(MakeError::Refused) }
                })
                .await
            })
            .await
    }
}

fn keyed(key: Option<&str>, operation: &'static str, part: &str) -> Keyed {
    IdempotencyKey::parse_from_parameters(key).expect("a key").request(operation).with(&part.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_twice_is_done_once() {
    let world = World::new().await;
    let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let (first, other) = (keyed(Some("k"), "make", "a"), keyed(Some("k"), "make", "b"));
    let done = |value| Once { value, replayed: false };
    let again = |value| Once { value, replayed: true };

    assert_eq!(world.make(&first, now, true).await.expect("made"), done(1));
    assert_eq!(world.make(&first, now, true).await.expect("kept"), again(1));
    assert!(matches!(world.make(&other, now, true).await, Err(MakeError::Key(KeyError::Reused))));
    assert_eq!(world.made.load(Ordering::SeqCst), 1);

    // the key of another operation, and no key at all, are other requests
    assert_eq!(world.make(&keyed(Some("k"), "make_else", "a"), now, true).await.expect("made"), done(2));
    assert_eq!(world.make(&keyed(None, "make", "a"), now, true).await.expect("made"), done(3));

    // a day later the key is forgotten
    let later = now + TimeDelta::hours(24) + TimeDelta::seconds(1);
    assert_eq!(world.make(&other, later, true).await.expect("made"), done(4));
    assert_eq!(world.make(&other, later, true).await.expect("kept"), again(4));

    // what was refused keeps nothing
    let refused = keyed(Some("r"), "make", "a");
    assert!(matches!(world.make(&refused, now, false).await, Err(MakeError::Refused)));
    assert_eq!(world.make(&keyed(Some("r"), "make", "b"), now, true).await.expect("made"), done(6));

    // at the same time: one is done, the others wait for its answer
    let race = keyed(Some("race"), "make", "a");
    let (a, b, c) =
        tokio::join!(world.make(&race, now, true), world.make(&race, now, true), world.make(&race, now, true));
    let outcomes = [a, b, c].map(|outcome| outcome.expect("answered"));
    assert_eq!(outcomes.iter().filter(|outcome| !outcome.replayed).count(), 1);
    assert!(outcomes.iter().all(|outcome| outcome.value == 7), "{outcomes:?}");

    // the first of two breaks down: the second does the work
    let broken = keyed(Some("broken"), "make", "a");
    let (a, b) = tokio::join!(world.make(&broken, now, false), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        world.make(&broken, now, true).await
    });
    assert!(matches!(a, Err(MakeError::Refused)));
    assert_eq!(b.expect("made"), done(9));
}

#[tokio::test]
async fn expired_keys_do_not_pile_up() {
    let world = World::new().await;
    let now: DateTime<Utc> = "2026-11-23T12:00:00Z".parse().unwrap();
    let known = async |operation| {
        let (grant, actor) = (&world.grant, world.grant.actor().to_owned());
        let row = world.db.alone(grant).opt(sql!("http/find_key"), &[&grant.root(), &actor, &operation, &"k"]).await;
        row.unwrap().is_some()
    };
    world.make(&keyed(Some("k"), "old", "a"), now - TimeDelta::hours(25), true).await.unwrap();
    world.make(&keyed(Some("k"), "young", "a"), now - TimeDelta::hours(23), true).await.unwrap();
    assert!(known("old").await);
    world.make(&keyed(Some("k"), "new", "a"), now, true).await.unwrap();
    assert_eq!((known("old").await, known("young").await, known("new").await), (false, true, true));
}
