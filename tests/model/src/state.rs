//! The tables, the statements under way and the processes, as little of each as matters.

use crate::Protocol;

pub(crate) type Token = u8;

/// How often each kind of trouble may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Budget {
    pub claims: u8,
    pub crashes: u8,
    pub freezes: u8,
    pub lost: u8,
    pub outages: u8,
    pub jumps: u8,
    pub restarts: u8,
    pub retries: u8,
    pub cancels: u8,
    pub returns: u8,
    pub transactions: u8,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(crate) jobs: Vec<Job>,
    pub(crate) leases: Vec<Lease>,
    pub(crate) rows: Vec<Row>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) open: Vec<Open>,
    pub(crate) rescuer: Rescuer,
    pub(crate) down: bool,
    pub(crate) left: Budget,
    pub(crate) seen: Seen,
}

/// A job, and its rows in `ready`, `outcome` and `past_outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Job {
    /// How many packs list it.
    pub(crate) ready: u8,
    pub(crate) suspect: bool,
    pub(crate) outcomes: Vec<Outcome>,
    /// Effects of transactions that completed it, committed since it was last retried by hand.
    pub(crate) effects: u8,
    /// The attempt that may end it: known to the model only.
    pub(crate) holder: Option<Token>,
}

/// An outcome: which attempt ended it, and who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outcome {
    pub(crate) token: Option<Token>,
    pub(crate) by: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum By {
    Report,
    Transaction,
    Rescue,
    Cancel,
}

/// A row of `lease`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    pub(crate) token: Token,
    pub(crate) row: usize,
    pub(crate) jobs: Vec<usize>,
}

/// A row of `worker`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) worker: usize,
    /// How old `beat_at` is by the server's clock.
    pub(crate) age: u8,
    pub(crate) ended: bool,
    /// Whole ticks in which it could have beaten and did not: known to the model only.
    pub(crate) missed: u8,
    pub(crate) beaten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    Runs,
    Frozen,
    Dead,
}

/// A worker's process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) status: Status,
    pub(crate) row: usize,
    pub(crate) claim: Claim,
    pub(crate) attempts: Vec<Attempt>,
}

/// What the worker knows of its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    None,
    Waits(Token),
    Doubts(Token),
    Voided(Token),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    pub(crate) job: usize,
    pub(crate) token: Token,
    /// Whether its outcome lets the job wait again.
    pub(crate) returns: bool,
    pub(crate) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Runs,
    /// Its outcome is under way.
    Waits,
    /// Its outcome is to be sent again.
    Again,
    /// Its outcome was not accepted: perhaps because it had been before.
    Doubts,
}

/// A statement under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sent {
    pub(crate) what: Statement,
    /// Whether the sender waits for the answer.
    pub(crate) asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Statement {
    Claim {
        row: usize,
        token: Token,
    },
    /// `saw`: whether its snapshot has an outcome of the job; none until it is taken.
    Finish {
        job: usize,
        token: Token,
        saw: Option<bool>,
    },
    GiveBack {
        job: usize,
        token: Token,
    },
}

impl Sent {
    /// Whether this worker sent it.
    pub(crate) fn is_from(&self, worker: usize, rows: &[Row], workers: &[Worker]) -> bool {
        match self.what {
            Statement::Claim { row, .. } => rows[row].worker == worker,
            Statement::Finish { job, token, .. } | Statement::GiveBack { job, token } => {
                workers[worker].attempts.iter().any(|a| (a.job, a.token) == (job, token))
            }
        }
    }
}

/// A user's open transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Open {
    pub(crate) worker: usize,
    pub(crate) job: usize,
    pub(crate) token: Token,
    /// Whether it holds the job's row.
    pub(crate) locked: bool,
    /// Whether it has inserted its outcome, and holds the lease's key.
    pub(crate) inserted: bool,
}

/// The rescuer: what it has seen of heartbeats, and what it is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rescuer {
    /// For each worker's row, since when its heartbeat stands, and whether it still does.
    pub(crate) watch: Vec<Option<Watched>>,
    /// How long ago it last had an answer.
    pub(crate) looked: u8,
    pub(crate) phase: Rescue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Watched {
    pub(crate) since: u8,
    pub(crate) stands: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rescue {
    Idle,
    /// It has judged this row lost; `stands`: its heartbeat is still the one that was seen.
    Judged {
        row: usize,
        stands: bool,
    },
    /// It holds the row, and knows of these leases.
    Locked {
        row: usize,
        leases: Vec<Token>,
    },
    /// It holds the row, the leases and these jobs.
    Held {
        row: usize,
        leases: Vec<Token>,
        jobs: Vec<(usize, Token)>,
    },
    /// It has committed.
    Done {
        row: usize,
        stands: bool,
    },
}

/// What has happened, for the properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Seen {
    pub(crate) stale_accepted: bool,
    pub(crate) living_rescued: bool,
    pub(crate) false_verdict: bool,
}

impl State {
    pub(crate) fn new(protocol: &Protocol) -> Self {
        let job = Job { ready: 1, suspect: false, outcomes: vec![], effects: 0, holder: None };
        let row = |worker| Row { worker, age: 0, ended: false, missed: 0, beaten: true };
        let worker =
            |row| Worker { status: Status::Runs, row, claim: Claim::None, attempts: vec![] };
        Self {
            jobs: vec![job; protocol.jobs],
            leases: vec![],
            rows: (0..protocol.workers).map(row).collect(),
            workers: (0..protocol.workers).map(worker).collect(),
            sent: vec![],
            open: vec![],
            rescuer: Rescuer {
                watch: vec![None; protocol.workers],
                looked: 0,
                phase: Rescue::Idle,
            },
            down: false,
            left: protocol.budget,
            seen: Seen::default(),
        }
    }

    /// States that differ in nothing that matters become one.
    pub(crate) fn tidy(&mut self) {
        self.sent.sort();
        for worker in &mut self.workers {
            if worker.status == Status::Dead {
                worker.attempts.clear();
                worker.claim = Claim::None;
            }
        }
        // An empty lease whose claim is neither under way nor looked up can do nothing.
        let claims: Vec<Token> = self
            .sent
            .iter()
            .filter_map(|sent| match sent.what {
                Statement::Claim { token, .. } => Some(token),
                _ => None,
            })
            .chain(self.workers.iter().filter_map(|worker| match worker.claim {
                Claim::Doubts(token) | Claim::Voided(token) => Some(token),
                _ => None,
            }))
            .collect();
        self.leases.retain(|lease| !lease.jobs.is_empty() || claims.contains(&lease.token));
    }

    pub(crate) fn lease(&mut self, token: Token) -> Option<&mut Lease> {
        self.leases.iter_mut().find(|lease| lease.token == token)
    }

    pub(crate) fn lists(&self, token: Token, job: usize) -> bool {
        self.leases.iter().any(|lease| lease.token == token && lease.jobs.contains(&job))
    }

    pub(crate) fn has_ended(&self, job: usize) -> bool {
        !self.jobs[job].outcomes.is_empty()
    }

    /// Whether the rescuer holds the lease's row.
    pub(crate) fn rescuer_holds_lease(&self, token: Token) -> bool {
        matches!(&self.rescuer.phase, Rescue::Held { leases, .. } if leases.contains(&token))
    }

    /// Whether the rescuer holds the job's row.
    pub(crate) fn rescuer_holds_job(&self, job: usize) -> bool {
        matches!(&self.rescuer.phase, Rescue::Held { jobs, .. } if jobs.iter().any(|j| j.0 == job))
    }

    /// Whether a user's transaction holds the job's row.
    pub(crate) fn user_holds_job(&self, job: usize) -> bool {
        self.open.iter().any(|open| open.job == job && open.locked)
    }

    /// Whether an outcome of the job has been inserted and not committed.
    pub(crate) fn has_pending_outcome(&self, job: usize) -> bool {
        self.open.iter().any(|open| open.job == job && open.inserted)
    }

    /// Deletes the lease if all its jobs have ended and no transaction holds its key.
    pub(crate) fn drop_lease(&mut self, token: Token) {
        let held = self.open.iter().any(|open| open.token == token && open.inserted);
        let jobs = &self.jobs;
        self.leases.retain(|lease| {
            let running = lease.jobs.iter().any(|job| jobs[*job].outcomes.is_empty());
            lease.token != token || held || running
        });
    }
}
