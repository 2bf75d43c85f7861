//! What a run is made of.

use crate::fault::Class;
use lavoro_core::Timing;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program whose children play the roles: `lavoro-soak` itself.
    pub program: PathBuf,
    /// Where the ledgers go. Made if it does not exist; must be empty.
    pub dir: PathBuf,
    /// What all decisions of the nemesis and the producers follow from.
    pub seed: u64,
    /// How many jobs are acknowledged at least.
    pub jobs: u64,
    /// Each class of faults with how often it strikes.
    pub faults: Vec<(Class, u32)>,
    /// After how long the nemesis stops although faults are left; after half as long again
    /// enqueueing stops although jobs are missing.
    pub limit: Duration,
    /// How many jobs are enqueued in a second, over all producers; 0 for as many as it takes to
    /// spread them over the faults.
    pub rate: u64,
    /// How many worker processes.
    pub workers: usize,
    /// How many producer processes.
    pub producers: usize,
    /// How long a silent worker keeps its jobs. Default: 2 s; heartbeats are a tenth of it.
    pub lease: Duration,
    /// Whether PostgreSQL waits for the disk.
    pub fsync: bool,
    /// What workers and producers find in `LAVORO_SABOTAGE`, for tests of the checker.
    pub sabotage: Option<String>,
    /// Whether the directory stays when nothing was found.
    pub keep: bool,
    /// Raised from outside, it ends faults and enqueueing early; the calm and the check follow.
    pub enough: Arc<AtomicBool>,
}

impl Options {
    /// A run that takes about a minute, with a few faults of each quick class.
    #[must_use]
    pub fn short(program: PathBuf, dir: PathBuf, seed: u64) -> Self {
        Self {
            program,
            dir,
            seed,
            jobs: 20_000,
            faults: Class::QUICK.iter().map(|class| (*class, 1)).collect(),
            limit: Duration::from_secs(80),
            rate: 0,
            workers: 3,
            producers: 2,
            lease: Duration::from_secs(2),
            fsync: false,
            sabotage: None,
            keep: false,
            enough: Arc::default(),
        }
    }

    /// Whether someone has had enough.
    pub(crate) fn is_enough(&self) -> bool {
        self.enough.load(Ordering::SeqCst)
    }

    /// How long all faults take, roughly, with the calm between them.
    pub(crate) fn expected(&self) -> Duration {
        let each = |(class, count): &(Class, u32)| {
            (class.duration(self.lease) + self.lease + Duration::from_millis(600)) * *count
        };
        self.faults.iter().map(each).sum::<Duration>().min(self.limit)
    }

    /// Jobs in a second.
    pub(crate) fn pace(&self) -> u64 {
        if self.rate > 0 {
            return self.rate;
        }
        (self.jobs / self.expected().as_secs().max(10)).clamp(20, 2000)
    }
}

/// The clockwork for a lease of this length.
pub(crate) fn timing(lease: Duration) -> Timing {
    Timing {
        heartbeat: lease / 10,
        lease,
        scan: Duration::from_millis(100),
        poll: Duration::from_millis(50),
        prune: Duration::from_secs(1),
        tally: Duration::from_secs(2),
    }
}
