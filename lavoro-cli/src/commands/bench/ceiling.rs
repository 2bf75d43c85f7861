//! What PostgreSQL itself does on this machine: bare inserts by pgbench, the figure that some of
//! ours are judged by.

use super::place::Place;
use super::progress::Progress;
use serde::Serialize;
use std::process::Stdio;
use tokio::process::Command;

/// For how long each is measured.
const SECONDS: &str = "4";
const TABLE: &str = "create table if not exists bench_bare (\
    id bigint generated always as identity primary key, \
    created_at timestamptz not null default clock_timestamp(), \
    queue text not null, task text not null, payload jsonb not null)";
const INSERT: &str = "insert into bench_bare (queue, task, payload) values ('q', 'noop', '{\"id\": 1}') returning id;\n";

/// Inserts per second, each with a commit of its own.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Ceiling {
    /// One connection.
    pub(super) one: f64,
    /// 16 connections.
    pub(super) sixteen: f64,
}

/// Measures it. None: pgbench is not to be had, or the database is not ours to put a table in.
pub(super) async fn measure(place: &Place, progress: &Progress) -> Option<Ceiling> {
    progress.begin("bare inserts by pgbench", 0);
    let url = place.private_url()?;
    let made = Place::program("psql").args(["-X", "-q", "-c", TABLE, &url]).status().await;
    made.ok().filter(std::process::ExitStatus::success)?;
    let script = tempfile::NamedTempFile::new().ok()?;
    tokio::fs::write(script.path(), INSERT).await.ok()?;
    let run = async |clients: &str| {
        let mut pgbench: Command = Place::program("pgbench");
        pgbench.args(["-n", "-M", "prepared", "-c", clients, "-T", SECONDS, "-f"]);
        let answer = pgbench.arg(script.path()).arg(&url).output().await.ok()?;
        rate(&String::from_utf8_lossy(&answer.stdout))
    };
    Some(Ceiling { one: run("1").await?, sixteen: run("16").await? })
}

/// Holds a snapshot open until it is dropped; the server goes soon after.
pub(super) fn pin(place: &Place) -> Option<tokio::process::Child> {
    let url = place.private_url()?;
    let sql = "begin isolation level repeatable read; select count(*) from pg_class; \
               select pg_sleep(3600)";
    let mut psql = Place::program("psql");
    psql.args(["-X", "-q", "-c", sql, &url]).stdout(Stdio::null()).stderr(Stdio::null());
    psql.kill_on_drop(true).spawn().ok()
}

fn rate(stdout: &str) -> Option<f64> {
    let line = stdout.lines().find(|line| line.starts_with("tps = "))?;
    line.split_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read() {
        let stdout = "latency average = 0.7 ms\ntps = 1380.25 (without initial connection time)\n";
        assert_eq!(rate(stdout), Some(1380.25));
        assert_eq!(rate("tps = none"), None);
    }
}
