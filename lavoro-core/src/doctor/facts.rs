//! The facts that the doctor judges.

use std::collections::BTreeMap;
use std::time::Duration;

/// A fact, or why it could not be had.
pub(crate) type Look<T> = Result<T, String>;

/// Everything that was gathered.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) server: Server,
    /// The schema's name.
    pub(crate) schema: String,
    /// The version of the schema and that which this program needs.
    pub(crate) version: Look<i32>,
    pub(crate) latest: i32,
    pub(crate) collation: Look<Option<Collation>>,
    pub(crate) settings: Look<Settings>,
    /// Where commits do not wait for the disk: the setting, and its place.
    pub(crate) relaxed: Look<Vec<(String, String)>>,
    pub(crate) standbys: Look<Standbys>,
    pub(crate) line: Line,
    pub(crate) tables: Look<Vec<TableFacts>>,
    pub(crate) snapshots: Look<Vec<Holder>>,
    pub(crate) idle: Look<Vec<Idle>>,
    pub(crate) ages: Look<Vec<Ages>>,
    pub(crate) objects: Look<Objects>,
    /// What this role may not do, by table or sequence; without those of which it lacks nothing.
    pub(crate) lacks: Look<BTreeMap<String, Vec<String>>>,
    pub(crate) unserved: Look<Vec<Unserved>>,
    pub(crate) workers: Look<Vec<WorkerFacts>>,
    pub(crate) leftovers: Look<Leftovers>,
    pub(crate) schedules: Look<Vec<ScheduleFacts>>,
}

/// The server, and this session with it.
#[expect(clippy::struct_excessive_bools, reason = "facts, each with a check of its own")]
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// As `server_version_num`.
    pub(crate) version: i32,
    /// The oldest that Lavoro runs on.
    pub(crate) oldest: i32,
    pub(crate) version_text: String,
    pub(crate) encoding: String,
    pub(crate) read_only: bool,
    pub(crate) standby: bool,
    pub(crate) role: String,
    pub(crate) database: String,
    /// Whether this role sees what other roles' sessions do.
    pub(crate) sees_all: bool,
    /// Whether the schema exists and this role may look into it; none: it does not exist.
    pub(crate) usable: Option<bool>,
    /// Whether the schema has a record of migrations.
    pub(crate) migrated: bool,
    /// How many milliseconds this machine's clock is ahead of the server's.
    pub(crate) ahead_ms: i64,
    /// How far off that may be: half a round trip.
    pub(crate) error_ms: i64,
}

/// The version of a collation when the database was made, and now.
#[derive(Clone, Debug)]
pub(crate) struct Collation {
    pub(crate) name: String,
    pub(crate) recorded: Option<String>,
    pub(crate) actual: Option<String>,
}

/// Settings of the server.
#[expect(clippy::struct_excessive_bools, reason = "settings, each with a check of its own")]
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) fsync: bool,
    pub(crate) full_page_writes: bool,
    pub(crate) standby_names: String,
    pub(crate) autovacuum: bool,
    pub(crate) track_counts: bool,
    pub(crate) max_connections: i64,
    /// Connections that only superusers may take.
    pub(crate) reserved: i64,
    pub(crate) connections: i64,
    pub(crate) freeze_max_age: i64,
    pub(crate) multixact_freeze_max_age: i64,
}

/// The standbys that follow.
#[derive(Clone, Debug)]
pub(crate) struct Standbys {
    pub(crate) following: i64,
    pub(crate) synchronous: i64,
    pub(crate) names: String,
}

/// What lies between this program and the server.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Whether this program was told of a transaction pooler.
    pub(crate) declared: bool,
    /// Whether a connection changed its session of the server, as behind a transaction pooler.
    pub(crate) shared: Look<bool>,
    /// Whether a named prepared statement could be run again; else what was said.
    pub(crate) named: Look<Result<(), String>>,
    /// After how long a message to ourselves came back; none: it did not.
    pub(crate) heard: Look<Option<Duration>>,
}

/// A table as vacuum sees it.
#[derive(Clone, Debug)]
pub(crate) struct TableFacts {
    pub(crate) name: String,
    pub(crate) live: i64,
    pub(crate) dead: i64,
    pub(crate) bytes: i64,
    /// The last vacuum, in RFC 3339.
    pub(crate) vacuumed_at: Option<String>,
    pub(crate) autovacuum_off: bool,
}

/// Who keeps dead rows from being removed.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    /// `session`, `standby`, `slot` or `prepared`.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) transactions: i64,
    /// Since when, where that is known.
    pub(crate) seconds: Option<i64>,
}

/// A transaction that locks Lavoro's tables and does nothing.
#[derive(Clone, Debug)]
pub(crate) struct Idle {
    pub(crate) name: String,
    pub(crate) seconds: i64,
    pub(crate) tables: String,
}

/// The ages of a database's oldest numbers.
#[derive(Clone, Debug)]
pub(crate) struct Ages {
    pub(crate) database: String,
    pub(crate) transactions: i64,
    pub(crate) multixacts: i64,
}

/// What the schema holds: by name, whether it can be used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    pub(crate) relations: BTreeMap<String, bool>,
    pub(crate) functions: BTreeMap<String, bool>,
}

/// Jobs that no living worker has a handler for.
#[derive(Clone, Debug)]
pub(crate) struct Unserved {
    pub(crate) queue: String,
    pub(crate) task: String,
    pub(crate) jobs: i64,
    pub(crate) seconds: i64,
}

/// A worker that has not ended, or holds leases.
#[derive(Clone, Debug)]
pub(crate) struct WorkerFacts {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) ended: bool,
    pub(crate) silent_seconds: i64,
    pub(crate) lease_ms: i64,
    /// Jobs that it holds.
    pub(crate) jobs: i64,
}

impl WorkerFacts {
    /// Whether its heartbeat is older than its lease.
    pub(crate) fn is_silent(&self) -> bool {
        !self.ended && self.silent_seconds * 1000 > self.lease_ms
    }

    pub(crate) fn lives(&self) -> bool {
        !self.ended && !self.is_silent()
    }
}

/// What maintenance should have dealt with.
#[derive(Clone, Debug)]
pub(crate) struct Leftovers {
    /// Jobs whose time has come and which have not become available.
    pub(crate) due: i64,
    /// How late the oldest of them is.
    pub(crate) late_seconds: i64,
    pub(crate) producers: i64,
    /// Producers unseen for two days; they are removed after one.
    pub(crate) old_producers: i64,
}

/// A schedule that somebody may have to look at.
#[derive(Clone, Debug)]
pub(crate) struct ScheduleFacts {
    pub(crate) name: String,
    /// Why it cannot fire.
    pub(crate) problem: Option<String>,
    /// Its lost run waits for a person.
    pub(crate) held: bool,
    /// For how long it has been due.
    pub(crate) late_seconds: i64,
    /// It was declared in code, and no living process declares it.
    pub(crate) undeclared: bool,
    /// For how long it has been paused.
    pub(crate) paused_seconds: i64,
}

impl Facts {
    /// Whether there is a schema that this program and role can ask about its work.
    pub(crate) fn has_schema(&self) -> bool {
        self.server.migrated && self.server.usable == Some(true) && self.version != Ok(0)
    }
}

#[cfg(test)]
impl Facts {
    /// A database with nothing to complain of.
    pub(super) fn healthy() -> Self {
        Self {
            server: healthy_server(),
            schema: "lavoro".into(),
            version: Ok(6),
            latest: 6,
            collation: Ok(None),
            settings: Ok(healthy_settings()),
            relaxed: Ok(Vec::new()),
            standbys: Ok(Standbys { following: 0, synchronous: 0, names: String::new() }),
            line: Line {
                declared: false,
                shared: Ok(false),
                named: Ok(Ok(())),
                heard: Ok(Some(Duration::from_millis(2))),
            },
            tables: Ok(vec![TableFacts {
                name: "ready".into(),
                live: 100,
                dead: 20,
                bytes: 1 << 20,
                vacuumed_at: None,
                autovacuum_off: false,
            }]),
            snapshots: Ok(Vec::new()),
            idle: Ok(Vec::new()),
            ages: Ok(vec![Ages { database: "app".into(), transactions: 5_000, multixacts: 5 }]),
            objects: Ok(super::schema::expected()),
            lacks: Ok(BTreeMap::new()),
            unserved: Ok(Vec::new()),
            workers: Ok(vec![WorkerFacts {
                name: "host:1".into(),
                version: "0.1.0".into(),
                ended: false,
                silent_seconds: 2,
                lease_ms: 15_000,
                jobs: 3,
            }]),
            leftovers: Ok(Leftovers { due: 2, late_seconds: 1, producers: 3, old_producers: 0 }),
            schedules: Ok(Vec::new()),
        }
    }

    /// As if nothing could be looked at.
    pub(super) fn blind(&mut self, said: &str) {
        let said = said.to_owned();
        self.version = Err(said.clone());
        self.collation = Err(said.clone());
        self.settings = Err(said.clone());
        self.relaxed = Err(said.clone());
        self.standbys = Err(said.clone());
        self.line.shared = Err(said.clone());
        self.line.named = Err(said.clone());
        self.line.heard = Err(said.clone());
        self.tables = Err(said.clone());
        self.snapshots = Err(said.clone());
        self.idle = Err(said.clone());
        self.ages = Err(said.clone());
        self.objects = Err(said.clone());
        self.lacks = Err(said.clone());
        self.unserved = Err(said.clone());
        self.workers = Err(said.clone());
        self.leftovers = Err(said.clone());
        self.schedules = Err(said);
    }
}

#[cfg(test)]
fn healthy_server() -> Server {
    Server {
        version: 150_008,
        oldest: 140_000,
        version_text: "15.8".into(),
        encoding: "UTF8".into(),
        read_only: false,
        standby: false,
        role: "app".into(),
        database: "app".into(),
        sees_all: true,
        usable: Some(true),
        migrated: true,
        ahead_ms: 3,
        error_ms: 1,
    }
}

#[cfg(test)]
fn healthy_settings() -> Settings {
    Settings {
        fsync: true,
        full_page_writes: true,
        standby_names: String::new(),
        autovacuum: true,
        track_counts: true,
        max_connections: 100,
        reserved: 3,
        connections: 20,
        freeze_max_age: 200_000_000,
        multixact_freeze_max_age: 400_000_000,
    }
}
