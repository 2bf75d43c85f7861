//! The statements of the doctor, and their rows as facts.

use super::super::Store;
use crate::doctor::{
    Ages, Collation, Holder, Idle, Leftovers, Look, Objects, ScheduleFacts, Settings, Standbys,
    TableFacts, Unserved, WorkerFacts,
};
use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::Row as _;
use std::collections::BTreeMap;

impl Store {
    pub(super) async fn collation_facts(&self) -> Look<Option<Collation>> {
        let query = self.query(&self.sql.doctor_collation);
        let found = self.look(query, |row| Collation {
            name: row.get("collation"),
            recorded: row.get("recorded"),
            actual: row.get("actual"),
        });
        found.await.map(|found| found.into_iter().next())
    }

    pub(super) async fn settings_facts(&self) -> Look<Settings> {
        let query = self.query(&self.sql.doctor_settings);
        self.look_once(query, |row| Settings {
            fsync: row.get("fsync"),
            full_page_writes: row.get("full_page_writes"),
            standby_names: row.get("standby_names"),
            autovacuum: row.get("autovacuum"),
            track_counts: row.get("track_counts"),
            max_connections: row.get::<i32, _>("max_connections").into(),
            reserved: row.get::<i32, _>("reserved").into(),
            connections: row.get("connections"),
            freeze_max_age: row.get("freeze_max_age"),
            multixact_freeze_max_age: row.get("multixact_freeze_max_age"),
        })
        .await
    }

    pub(super) async fn relaxed_facts(&self) -> Look<Vec<(String, String)>> {
        let query = self.query(&self.sql.doctor_commit);
        self.look(query, |row| (row.get("setting"), row.get("place"))).await
    }

    pub(super) async fn standby_facts(&self) -> Look<Standbys> {
        let query = self.query(&self.sql.doctor_standbys);
        self.look_once(query, |row| Standbys {
            following: row.get("following"),
            synchronous: row.get("synchronous"),
            names: row.get("names"),
        })
        .await
    }

    pub(super) async fn table_facts(&self) -> Look<Vec<TableFacts>> {
        let query = self.of_schema(&self.sql.doctor_tables);
        self.look(query, |row| TableFacts {
            name: row.get("name"),
            live: row.get("live"),
            dead: row.get("dead"),
            bytes: row.get("bytes"),
            vacuumed_at: row
                .get::<Option<DateTime<Utc>>, _>("vacuumed_at")
                .map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            autovacuum_off: row.get("autovacuum_off"),
        })
        .await
    }

    pub(super) async fn snapshot_facts(&self) -> Look<Vec<Holder>> {
        let query = self.query(&self.sql.doctor_snapshots);
        self.look(query, |row| Holder {
            kind: row.get("kind"),
            name: row.get("name"),
            transactions: row.get::<Option<i64>, _>("transactions").unwrap_or(0),
            seconds: row.get("seconds"),
        })
        .await
    }

    pub(super) async fn idle_facts(&self) -> Look<Vec<Idle>> {
        let query = self.of_schema(&self.sql.doctor_idle);
        self.look(query, |row| Idle {
            name: row.get("name"),
            seconds: row.get("seconds"),
            tables: row.get("tables"),
        })
        .await
    }

    pub(super) async fn age_facts(&self) -> Look<Vec<Ages>> {
        let query = self.query(&self.sql.doctor_wraparound);
        self.look(query, |row| Ages {
            database: row.get("database"),
            transactions: row.get("transactions"),
            multixacts: row.get("multixacts"),
        })
        .await
    }

    pub(super) async fn object_facts(&self) -> Look<Objects> {
        let query = self.of_schema(&self.sql.doctor_objects);
        let rows = self
            .look(query, |row| {
                (row.get::<String, _>("kind"), row.get::<String, _>("name"), row.get("usable"))
            })
            .await?;
        let mut objects = Objects::default();
        for (kind, name, usable) in rows {
            let place =
                if kind == "function" { &mut objects.functions } else { &mut objects.relations };
            place.insert(name, usable);
        }
        Ok(objects)
    }

    pub(super) async fn privilege_facts(&self) -> Look<BTreeMap<String, Vec<String>>> {
        let query = self.of_schema(&self.sql.doctor_privileges);
        let rows = self
            .look(query, |row| (row.get::<String, _>("name"), row.get::<Vec<String>, _>("lacks")))
            .await?;
        Ok(rows.into_iter().filter(|(_, lacks)| !lacks.is_empty()).collect())
    }

    pub(super) async fn unserved_facts(&self) -> Look<Vec<Unserved>> {
        let query = self.query(&self.sql.doctor_unserved);
        self.look(query, |row| Unserved {
            queue: row.get("queue"),
            task: row.get("task"),
            jobs: row.get("jobs"),
            seconds: row.get::<Option<i64>, _>("seconds").unwrap_or(0),
        })
        .await
    }

    pub(super) async fn worker_facts(&self) -> Look<Vec<WorkerFacts>> {
        let query = self.query(&self.sql.doctor_workers);
        self.look(query, |row| WorkerFacts {
            name: row.get("name"),
            version: row.get("version"),
            ended: row.get("ended"),
            silent_seconds: row.get("silent_seconds"),
            lease_ms: row.get("lease_ms"),
            jobs: row.get("jobs"),
        })
        .await
    }

    pub(super) async fn leftover_facts(&self) -> Look<Leftovers> {
        let query = self.query(&self.sql.doctor_leftovers);
        self.look_once(query, |row| Leftovers {
            due: row.get("due"),
            late_seconds: row.get("late_seconds"),
            producers: row.get("producers"),
            old_producers: row.get("old_producers"),
        })
        .await
    }

    pub(super) async fn schedule_facts(&self) -> Look<Vec<ScheduleFacts>> {
        let query = self.query(&self.sql.doctor_schedules);
        self.look(query, |row| ScheduleFacts {
            name: row.get("name"),
            problem: row.get("problem"),
            held: row.get("held"),
            late_seconds: row.get("late_seconds"),
            undeclared: row.get("undeclared"),
            paused_seconds: row.get("paused_seconds"),
        })
        .await
    }
}
