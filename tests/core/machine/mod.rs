//! A state machine of everything that can happen to jobs, in random order, on the real
//! PostgreSQL: after each step every job stands as a simple model says, and the tables are sound.
//!
//! `engine` sends the engine's own statements, so that each step is one transaction whose time
//! can be injected; losses of workers are found and mended by the real maintenance. `model` knows
//! no tables. The seed is printed; `PROPTEST_RNG_SEED` replays it.

mod engine;
mod model;
mod op;

use chrono::Utc;
use engine::Engine;
use lavoro_tests::Database;
use model::Model;
use op::Op;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// How many histories are tried, and how long each is.
const CASES: u32 = 40;
const STEPS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn any_order_of_events_leaves_every_job_where_the_model_says() {
    let handle = tokio::runtime::Handle::current();
    let database = Database::new().await;
    tokio::task::spawn_blocking(move || {
        let given = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| Utc::now().timestamp_micros().unsigned_abs());
        println!("PROPTEST_RNG_SEED={seed}");
        let config = Config {
            // A mutant ends the run where it is seen.
            cases: if std::env::var_os("LAVORO_SABOTAGE").is_some() { 5 * CASES } else { CASES },
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            // A mutant need not be understood, only seen.
            max_shrink_iters: if cfg!(feature = "sabotage") { 0 } else { 200 },
            ..Config::default()
        };
        let history = prop::collection::vec(any::<Op>(), 1..STEPS);
        TestRunner::new(config)
            .run(&history, |ops| handle.block_on(replay(&database, ops)))
            .unwrap();
    })
    .await
    .unwrap();
}

/// Runs one history from an empty database. Fails at the first step after which engine and model
/// disagree.
async fn replay(database: &Database, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut engine = Engine::start(database).await;
    let mut model = Model::default();
    for (step, op) in ops.iter().flat_map(Op::steps).enumerate() {
        let happened = engine.apply(&op, &model).await;
        let refusal = model.apply(&happened);
        prop_assert!(refusal.is_ok(), "step {step}, {op:?}: {happened:?}: {refusal:?}");
        let (real, expected) = (engine.jobs().await, model.jobs());
        prop_assert_eq!(real, expected, "step {}, {:?}: {:?}", step, op, happened);
        database.assert_sound().await;
    }
    engine.stop().await;
    Ok(())
}
