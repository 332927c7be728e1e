//! Waiting for conditions, each with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Long enough for anything that should happen at once, on a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(30);
/// Long enough for work that takes a while.
pub const LATER: Duration = Duration::from_secs(180);

/// The pause between two looks at a condition that cannot announce itself.
const INTERVAL: Duration = Duration::from_millis(10);

/// Looks again and again until the condition gives something.
///
/// # Panics
///
/// If it gives nothing within the time.
pub async fn until<T>(what: &str, within: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {within:?} in vain: {what}");
        sleep(INTERVAL).await;
    }
}
