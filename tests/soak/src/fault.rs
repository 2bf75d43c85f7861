//! Classes of faults.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What the nemesis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// `kill -9` of a worker.
    KillWorker,
    /// `kill -9` of a producer.
    KillProducer,
    /// SIGSTOP of a worker for two leases, then SIGCONT.
    Freeze,
    /// `pg_terminate_backend` of Lavoro's sessions.
    Terminate,
    /// An immediate shutdown of the server, and its start.
    Restart,
    /// The server is down for two leases.
    Outage,
    /// A process's connections are reset and new ones refused for two leases.
    Refuse,
    /// A process's connections are reset.
    Drop,
    /// Replies to a process come late.
    Delay,
    /// What the server says to a process vanishes for two leases, its connections stay open.
    Blackhole,
    /// The reply to a commit or a statement is lost, and the connection with it.
    Swallow,
    /// Bulk changes of the same jobs, all at once.
    Deadlock,
    /// A transaction with a snapshot stays open for two leases.
    Pin,
    /// More connections than the server takes, while Lavoro's are terminated.
    Storm,
    /// The disk of the data directory is full for a lease.
    DiskFull,
    /// The server's clock jumps by an hour.
    ClockJump,
    /// Not struck but observed: the machine or the server stood still.
    Stall,
}

impl Class {
    /// Those that any machine can do, quickly.
    pub const QUICK: &'static [Self] = &[
        Self::KillWorker,
        Self::KillProducer,
        Self::Freeze,
        Self::Terminate,
        Self::Restart,
        Self::Outage,
        Self::Refuse,
        Self::Drop,
        Self::Delay,
        Self::Blackhole,
        Self::Swallow,
        Self::Deadlock,
        Self::Pin,
        Self::Storm,
    ];

    /// Every class that can be struck. Filling the disk needs root, jumps of the clock need
    /// libfaketime.
    pub const ALL: &'static [Self] = &[
        Self::KillWorker,
        Self::KillProducer,
        Self::Freeze,
        Self::Terminate,
        Self::Restart,
        Self::Outage,
        Self::Refuse,
        Self::Drop,
        Self::Delay,
        Self::Blackhole,
        Self::Swallow,
        Self::Deadlock,
        Self::Pin,
        Self::Storm,
        Self::DiskFull,
        Self::ClockJump,
    ];

    /// All that can be struck here. Says on standard error which cannot, and why.
    #[must_use]
    pub fn possible() -> Vec<Self> {
        let root = nix::unistd::geteuid().is_root();
        let possible = |class: &Self| match class {
            Self::DiskFull if !root => {
                eprintln!("left out: disk-full, since only root can mount a small disk");
                false
            }
            Self::ClockJump if !crate::cluster::can_jump() => {
                eprintln!("left out: clock-jump, since there is no libfaketime (LAVORO_FAKETIME)");
                false
            }
            _ => true,
        };
        Self::ALL.iter().copied().filter(possible).collect()
    }

    /// Its name in ledgers and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KillWorker => "kill-worker",
            Self::KillProducer => "kill-producer",
            Self::Freeze => "freeze",
            Self::Terminate => "terminate",
            Self::Restart => "restart",
            Self::Outage => "outage",
            Self::Refuse => "refuse",
            Self::Drop => "drop",
            Self::Delay => "delay",
            Self::Blackhole => "blackhole",
            Self::Swallow => "swallow",
            Self::Deadlock => "deadlock",
            Self::Pin => "pin",
            Self::Storm => "storm",
            Self::DiskFull => "disk-full",
            Self::ClockJump => "clock-jump",
            Self::Stall => "stall",
        }
    }

    /// How long one takes, roughly.
    pub(crate) fn duration(self, lease: Duration) -> Duration {
        match self {
            Self::Freeze | Self::Outage | Self::Refuse | Self::Blackhole | Self::Pin => lease * 2,
            Self::Delay | Self::DiskFull | Self::Storm | Self::Restart => lease,
            _ => lease / 4,
        }
    }

    /// Whether a fault of this class that took so long may cost an attempt its lease. A shorter
    /// silence, or one of the other classes, never may: then an extra execution is a defect.
    #[must_use]
    pub fn excuses(self, took: Duration, lease: Duration) -> bool {
        match self {
            Self::KillWorker | Self::Freeze => true,
            Self::Restart
            | Self::Outage
            | Self::Refuse
            | Self::Blackhole
            | Self::Storm
            | Self::DiskFull
            | Self::Stall => took >= lease / 2,
            Self::KillProducer
            | Self::Terminate
            | Self::Drop
            | Self::Delay
            | Self::Swallow
            | Self::Deadlock
            | Self::Pin
            | Self::ClockJump => false,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let classes = Self::ALL.iter().chain(&[Self::Stall]).copied();
        let names = Self::ALL.iter().map(|class| class.as_str()).collect::<Vec<_>>().join(", ");
        classes
            .into_iter()
            .find(|class| class.as_str() == name)
            .ok_or_else(|| format!("{name:?} is no class of faults: it takes {names}"))
    }
}
