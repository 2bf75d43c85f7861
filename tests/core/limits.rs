//! One corpus of hostile input with its verdicts (`tests/data/hostile.json`), held against the
//! client and against `lavoro.enqueue`. Bindings run the same file.
//!
//! An entry is one field of a job that is fine otherwise: `value`, or `generate` (a prefix, a
//! part repeated, a suffix). The values of payload, metadata and backoff are JSON *text*.
//! `verdict` is `ok` or an error code. `sql`, if present, is what plain SQL says instead:
//! PostgreSQL's own SQLSTATE where its cast comes first, or `skip` where its types cannot say it.

use chrono::{DateTime, Utc};
use lavoro_core::{Backoff, Error, ErrorKind, Lavoro, NewJob, Result};
use lavoro_tests::Database;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde::Deserialize;
use serde_json::Value;
use sqlx::Row as _;
use std::collections::HashMap;
use std::time::Duration;

const CORPUS: &str = include_str!("../data/hostile.json");

#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    field: String,
    value: Option<Value>,
    generate: Option<Generate>,
    #[serde(default)]
    with: HashMap<String, Value>,
    verdict: String,
    sql: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Generate {
    #[serde(default)]
    prefix: String,
    repeat: String,
    times: usize,
    #[serde(default)]
    suffix: String,
}

/// The fields of one job as the corpus gives them.
type Fields = HashMap<String, Value>;

fn corpus() -> Vec<(Entry, Fields)> {
    let entries: Vec<Entry> = serde_json::from_str(CORPUS).unwrap();
    entries
        .into_iter()
        .map(|entry| {
            let value = match &entry.generate {
                Some(g) => format!("{}{}{}", g.prefix, g.repeat.repeat(g.times), g.suffix).into(),
                None => entry.value.clone().unwrap(),
            };
            let mut fields = entry.with.clone();
            fields.insert(entry.field.clone(), value);
            (entry, fields)
        })
        .collect()
}

fn text<'a>(fields: &'a Fields, field: &str) -> Option<&'a str> {
    fields.get(field).map(|value| value.as_str().unwrap())
}

fn bytes(fields: &Fields) -> Vec<u8> {
    match text(fields, "payload_base64") {
        Some(encoded) => base64(encoded),
        None => text(fields, "payload").unwrap_or("{}").as_bytes().to_owned(),
    }
}

fn base64(encoded: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in encoded.bytes().filter(|digit| *digit != b'=') {
        let value = DIGITS.iter().position(|known| *known == digit).unwrap();
        bits = (bits << 6 | u32::try_from(value).unwrap()) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

/// An instant that the type cannot hold is refused before there is a job.
fn instant(fields: &Fields, field: &'static str) -> Result<Option<DateTime<Utc>>> {
    let parse = |at: &str| at.parse().map_err(|_| Error::new(ErrorKind::InvalidTime, field));
    text(fields, field).map(parse).transpose()
}

fn tags(fields: &Fields) -> Option<Vec<String>> {
    fields.get("tags").map(|tags| serde_json::from_value(tags.clone()).unwrap())
}

fn job(fields: &Fields) -> Result<NewJob> {
    let mut job = NewJob::from_json(text(fields, "task").unwrap_or("t"), bytes(fields));
    if let Some(queue) = text(fields, "queue") {
        job = job.queue(queue);
    }
    if let Some(key) = text(fields, "unique_key") {
        job = job.unique_key(key);
    }
    if let Some(delay) = fields.get("delay_ms") {
        job = job.delay_ms(delay.as_i64().unwrap());
    }
    if let Some(at) = instant(fields, "run_at")? {
        job = job.run_at(at);
    }
    if let Some(lifetime) = fields.get("expires_in_ms") {
        job = job.expires_in(Duration::from_millis(lifetime.as_u64().unwrap()));
    }
    if let Some(at) = instant(fields, "expires_at")? {
        job = job.expires_at(at);
    }
    if let Some(task) = text(fields, "on_discarded") {
        job = job.on_discarded(task);
    }
    if let Some(attempts) = fields.get("max_attempts") {
        job = job.max_attempts(attempts.as_u64().unwrap().try_into().unwrap());
    }
    if let Some(timeout) = fields.get("timeout_ms") {
        job = job.timeout(Duration::from_millis(timeout.as_u64().unwrap()));
    }
    if let Some(priority) = fields.get("priority") {
        job = job.priority(priority.as_i64().unwrap().try_into().unwrap());
    }
    if let Some(tags) = tags(fields) {
        job = job.tags(tags);
    }
    if let Some(metadata) = text(fields, "metadata") {
        job = job.metadata_json(metadata);
    }
    if let Some(backoff) = text(fields, "backoff") {
        job = job.backoff(Backoff::from_json(backoff)?);
    }
    Ok(job)
}

async fn verdict_of_client(lavoro: &Lavoro, fields: &Fields) -> (String, Option<i64>) {
    let answer = match job(fields) {
        Ok(job) => lavoro.enqueue(job).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(handle) => ("ok".to_owned(), Some(handle.id())),
        Err(error) => (error.code().to_owned(), None),
    }
}

/// By bound parameters, as any driver would.
async fn verdict_of_sql(database: &Database, fields: &Fields) -> (String, Option<i64>) {
    let number = |field: &str| fields.get(field).map(|value| value.as_i64().unwrap());
    let answer = sqlx::query(
        "select lavoro.enqueue(
             $1, convert_from($2, 'UTF8')::jsonb, $3, $4, run_at => $5,
             delay => $6 * interval '1 millisecond', max_attempts => $7, unique_key => $8,
             timeout => $9 * interval '1 millisecond', backoff => $10::jsonb, tags => $11,
             metadata => $12::jsonb, expires_at => $13, on_discarded => $14)",
    )
    .bind(text(fields, "task").unwrap_or("t"))
    .bind(bytes(fields))
    .bind(text(fields, "queue").unwrap_or("default"))
    .bind(number("priority").map_or(0, |n| i32::try_from(n).unwrap()))
    .bind(instant(fields, "run_at").unwrap())
    .bind(number("delay_ms"))
    .bind(number("max_attempts").map(|n| i32::try_from(n).unwrap()))
    .bind(text(fields, "unique_key"))
    .bind(number("timeout_ms"))
    .bind(text(fields, "backoff"))
    .bind(tags(fields))
    .bind(text(fields, "metadata"))
    .bind(instant(fields, "expires_at").unwrap())
    .bind(text(fields, "on_discarded"))
    .fetch_one(&database.pool)
    .await;
    match answer {
        Ok(row) => ("ok".to_owned(), Some(row.get(0))),
        Err(error) => {
            let state = error.as_database_error().unwrap().code().unwrap().into_owned();
            let kind = ErrorKind::from_sqlstate(&state);
            (kind.map_or(state, |kind| kind.code().to_owned()), None)
        }
    }
}

/// What was stored is the same JSON value as what was sent, and the same size as we counted.
async fn assert_stored(database: &Database, id: i64, sent: &[u8], name: &str) {
    let row = sqlx::query(
        "select j.payload = convert_from($2, 'UTF8')::jsonb,
                coalesce((select bytes from lavoro.ready where id = $1),
                         (select bytes from lavoro.scheduled where id = $1)),
                octet_length(j.payload::text)
         from lavoro.job j where id = $1",
    )
    .bind(id)
    .bind(sent)
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert!(row.get::<bool, _>(0), "{name}: another value came back");
    assert_eq!(row.get::<i32, _>(1), row.get::<i32, _>(2), "{name}: counted and actual size");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_and_sql_agree_on_hostile_input() {
    let (by_client, by_sql) = tokio::join!(Database::new(), Database::new());
    let lavoro = by_client.lavoro().await;
    let mut wrong = Vec::new();
    for (entry, fields) in corpus() {
        let (verdict, id) = verdict_of_client(&lavoro, &fields).await;
        if verdict != entry.verdict {
            wrong.push(format!("{}: client says {verdict}, not {}", entry.name, entry.verdict));
        } else if let Some(id) = id {
            assert_stored(&by_client, id, &bytes(&fields), &entry.name).await;
        }
        let expected = entry.sql.as_deref().unwrap_or(&entry.verdict);
        if expected == "skip" {
            continue;
        }
        let (verdict, id) = verdict_of_sql(&by_sql, &fields).await;
        if verdict != expected {
            wrong.push(format!("{}: SQL says {verdict}, not {expected}", entry.name));
        } else if let Some(id) = id {
            assert_stored(&by_sql, id, &bytes(&fields), &entry.name).await;
        }
    }
    assert!(wrong.is_empty(), "{} verdicts are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let ok = corpus().iter().filter(|(entry, _)| entry.verdict == "ok").count();
    let stored = "select count(*) from lavoro.job";
    assert_eq!(by_client.one::<i64>(stored).await, i64::try_from(ok).unwrap());
    assert_eq!(by_sql.one::<i64>(stored).await, i64::try_from(ok).unwrap());
    by_client.assert_sound().await;
    by_sql.assert_sound().await;
}

#[test]
fn the_corpus_names_real_codes_and_no_entry_twice() {
    let mut names = std::collections::HashSet::new();
    for (entry, _) in corpus() {
        let known = ErrorKind::ALL.iter().any(|kind| kind.code() == entry.verdict);
        assert!(known || entry.verdict == "ok", "{}", entry.name);
        assert!(names.insert(entry.name.clone()), "{} comes twice", entry.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_field_limit_and_remedy() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let large = lavoro.enqueue(NewJob::new("t", "a".repeat(2 << 20))).await.unwrap_err();
    assert_eq!(
        large.message(),
        "payload has 2097154 bytes: the limit is 1048576. Store large data elsewhere and enqueue \
         a reference."
    );
    let both = NewJob::new("t", ()).delay(Duration::ZERO).run_at(Utc::now());
    let both = lavoro.enqueue(both).await.unwrap_err();
    assert_eq!(both.message(), "run_at and delay are both given: pass one of them");
    database.assert_sound().await;
}

fn json() -> impl Strategy<Value = Value> {
    let whole = 9_007_199_254_740_991_i64;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-whole..=whole).prop_map(Value::from),
        any::<f64>().prop_filter("in range", |n| n.abs() <= 9e15).prop_map(Value::from),
        (-1e15..1e15).prop_map(|n: f64| Value::from(n)),
        (-1e-3..1e-3).prop_map(|n: f64| Value::from(n)),
        (0..16, -16_i32..16).prop_map(|(n, e)| Value::from(f64::from(n) * 10_f64.powi(e % 15))),
        "[^\\x00]{0,20}".prop_map(Value::from),
        "[\\x01-\\x20\"\\\\/]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map("[^\\x00]{0,9}", inner, 0..8).prop_map(Value::from_iter),
        ]
    })
}

/// The seed of a failure is printed; `PROPTEST_RNG_SEED` repeats it.
#[tokio::test(flavor = "multi_thread")]
async fn any_json_comes_back_as_it_was_and_has_the_counted_size() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = tokio::runtime::Handle::current();
    let (database, lavoro) = tokio::task::spawn_blocking(move || {
        let given = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| Utc::now().timestamp_micros().unsigned_abs());
        println!("PROPTEST_RNG_SEED={seed}");
        let rng_seed = RngSeed::Fixed(seed);
        let config =
            Config { cases: 200, rng_seed, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&json(), |value| {
                handle.block_on(async {
                    let id = lavoro.enqueue(NewJob::new("t", &value)).await.unwrap().id();
                    let sent = value.to_string();
                    assert_stored(&database, id, sent.as_bytes(), &sent).await;
                });
                Ok(())
            })
            .unwrap();
        (database, lavoro)
    })
    .await
    .unwrap();
    assert_eq!(lavoro.queues().await.unwrap()[0].available, 200);
    database.assert_sound().await;
}
