//! Where long calls run: threads of their own, which give way to the server's. Short calls never come here: a change of threads would take
//! longer than they do.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
};
use tokio_util::task::AbortOnDropHandle;

use super::{PluginError, share::processors};

/// Looks at the clock ([`super::engine::TICK`]) at the last of which a call on its caller's thread is begun anew in the pool. Looks and not time: a
/// thread that others kept from running looks once, however long it waited.
pub(super) const SHORT: u32 = 2;
/// Calls of a plugin that go straight to the pool after one that was long or failed; so do those of its share.
const DISTRUST: u32 = 32;
/// How nice the pool's threads are to all others: a tenth of the time when everybody wants all of it, and the way is free at once for whoever wakes up.
const NICE: i32 = 10;

/// Threads for long calls, started with the first one.
#[derive(Default)]
pub(super) struct Pool {
    runtime: OnceLock<Result<Runtime, PluginError>>,
}

impl Pool {
    /// Runs a call slice by slice, each from one look at the clock to the next; a share has only so many slices at a time. A caller that goes
    /// away takes the call along.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        lanes: Arc<Semaphore>,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, PluginError> {
        let runtime = self.runtime.get_or_init(start).as_ref().map_err(Clone::clone)?;
        let task = AbortOnDropHandle::new(runtime.spawn(in_slices(lanes, Box::pin(call))));
        task.await.map_err(|error| PluginError::Host(error.to_string()))
    }
}

impl Drop for Pool {
    /// Does not wait: hosts are dropped in asynchronous tasks too.
    fn drop(&mut self) {
        if let Some(Ok(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn start() -> Result<Runtime, PluginError> {
    let give_way = || {
        // Where the system does not allow it, the pool is merely as nice as the others.
        let _ = rustix::process::setpriority_process(None, NICE);
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(processors())
        .thread_name("plugins")
        .on_thread_start(give_way)
        .build();
    runtime.map_err(|error| PluginError::Host(error.to_string()))
}

async fn in_slices<T>(lanes: Arc<Semaphore>, mut call: Pin<Box<impl Future<Output = T>>>) -> T {
    loop {
        // A closed semaphore would mean that nobody wants the result; it never is.
        let lane = lanes.acquire().await;
        let slice = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        drop(lane);
        match slice {
            Poll::Ready(found) => return found,
            Poll::Pending => tokio::task::yield_now().await,
        }
    }
}

/// How the calls of a plugin, or of a share, went lately: well until one was long or failed, and badly until many went well.
#[derive(Default)]
pub(super) struct Pace {
    distrust: AtomicU32,
}

impl Pace {
    /// Whether the next call may be tried on its caller's thread.
    pub(super) fn is_trusted(&self) -> bool {
        self.distrust.load(Ordering::Relaxed) == 0
    }

    /// Notes a call that was long or failed.
    pub(super) fn went_badly(&self) {
        self.distrust.store(DISTRUST, Ordering::Relaxed);
    }

    /// Notes a call of the pool that was short and did not fail.
    pub(super) fn went_well(&self) {
        let _ = self.distrust.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_call_is_remembered_until_many_went_well() {
        let pace = Pace::default();
        assert!(pace.is_trusted());
        pace.went_badly();
        for _ in 0..DISTRUST {
            assert!(!pace.is_trusted());
            pace.went_well();
        }
        assert!(pace.is_trusted());
    }

    /// With one lane, the slices of two calls alternate: none waits for the other's end.
    #[tokio::test]
    async fn a_lane_is_given_back_after_each_slice() {
        let (pool, lanes) = (Pool::default(), Arc::new(Semaphore::new(1)));
        let turns = Arc::new(std::sync::Mutex::new(Vec::new()));
        let call = |name: char| {
            let turns = Arc::clone(&turns);
            async move {
                for _ in 0..200 {
                    turns.lock().unwrap().push(name);
                    tokio::task::yield_now().await;
                }
            }
        };
        let (one, other) = tokio::join!(pool.run(lanes.clone(), call('a')), pool.run(lanes.clone(), call('b')));
        assert_eq!((one, other), (Ok(()), Ok(())));
        let turns = turns.lock().unwrap();
        let last = |name| turns.iter().rposition(|turn| *turn == name).unwrap();
        let first = |name| turns.iter().position(|turn| *turn == name).unwrap();
        assert!(first('a') < last('b') && first('b') < last('a'), "{turns:?}");
    }

    #[tokio::test]
    async fn a_pool_ends_inside_of_a_task() {
        let pool = Pool::default();
        assert_eq!(pool.run(Arc::new(Semaphore::new(1)), async { 7 }).await, Ok(7));
        drop(pool);
    }
}
