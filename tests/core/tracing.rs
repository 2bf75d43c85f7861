//! A trace goes on from whoever enqueues a job to its handler, in any language.

use lavoro_core::{
    ErrorKind, Finish, Job, Lavoro, NewJob, Next, Outcome, PullWorker, Worker, WorkerOptions,
    testing,
};
use lavoro_tests::{Database, PATIENCE, Quick as _, quick};
use opentelemetry::trace::{SpanId, SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::json;
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn pull(lavoro: &Lavoro) -> PullWorker {
    let options =
        WorkerOptions { tasks: vec!["t".to_owned()], timing: quick(), ..WorkerOptions::default() };
    PullWorker::start(lavoro, options).await.unwrap()
}

async fn next(worker: &PullWorker) -> Job {
    let job = worker.next_jobs(1).await.remove(0);
    let done = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
    worker.finish(vec![done]).await;
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_context_travels_in_the_metadata() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = pull(&lavoro).await;
    let new = NewJob::new("t", 1)
        .trace_context(PARENT, Some("rojo=00f067aa0ba902b7"))
        .metadata(json!({"tenant": 7}));
    lavoro.enqueue(new).await.unwrap();
    let job = next(&worker).await;
    assert_eq!(job.traceparent().as_deref(), Some(PARENT));
    assert_eq!(job.tracestate().as_deref(), Some("rojo=00f067aa0ba902b7"));
    let metadata: serde_json::Value = serde_json::from_str(job.metadata_json().unwrap()).unwrap();
    assert_eq!(metadata["tenant"], 7);

    // From SQL it is metadata like any other.
    let sql =
        format!("select lavoro.enqueue('t', '1', metadata => '{{\"traceparent\": \"{PARENT}\"}}')");
    database.run(&sql).await;
    let job = next(&worker).await;
    assert_eq!((job.traceparent().as_deref(), job.tracestate()), (Some(PARENT), None));
    lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let job = next(&worker).await;
    assert_eq!((job.traceparent(), job.metadata_json()), (None, None));
    worker.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_trace_context_is_refused() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for (job, word) in [
        (NewJob::new("t", 1).trace_context("00-abc", None), "traceparent"),
        (NewJob::new("t", 1).trace_context(PARENT, Some("no entry")), "tracestate"),
        (NewJob::new("t", 1).metadata(1).trace_context(PARENT, None), "metadata"),
    ] {
        let error = lavoro.enqueue(job).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert!(error.message().starts_with(word), "{error}");
    }
    let full = json!({"a": "x".repeat((64 << 10) - 20)});
    let job = NewJob::new("t", 1).metadata(full).trace_context(PARENT, None);
    let error = lavoro.enqueue(job).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PayloadTooLarge, "{error}");
}

/// A subscriber for this thread that keeps what is exported.
struct Traces {
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
    _default: tracing::subscriber::DefaultGuard,
}

impl Traces {
    fn start() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        Self { exporter, provider, _default: default }
    }

    fn spans(&self) -> Vec<SpanData> {
        self.provider.force_flush().unwrap();
        self.exporter.get_finished_spans().unwrap()
    }
}

fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"))
}

fn attribute(span: &SpanData, key: &str) -> String {
    let found = span.attributes.iter().find(|pair| pair.key.as_str() == key);
    found.map_or_else(String::new, |pair| pair.value.to_string())
}

/// From the producer's span through the database into handler and middleware.
#[tokio::test(flavor = "current_thread")]
async fn the_handlers_span_is_a_child_of_the_producers() {
    let traces = Traces::start();
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .queue("mail", 1)
        .middleware(|job: Job, next: Next| {
            async move { next.run(job).await }.instrument(tracing::info_span!("in middleware"))
        })
        .handler("send", |_| async {
            tracing::info_span!("in handler").in_scope(|| ());
            Outcome::fail("secret words")
        })
        .quick()
        .start()
        .await
        .unwrap();
    let enqueue = async {
        let new = NewJob::new("send", "secret").queue("mail").metadata(json!({"tenant": 7}));
        lavoro.enqueue(new).await.unwrap()
    };
    let job = enqueue.instrument(tracing::info_span!("produce")).await;
    job.result(PATIENCE).await.unwrap();
    worker.stop(PATIENCE).await;
    assert_eq!(job.info().await.unwrap().metadata.unwrap()["tenant"], 7);

    let spans = traces.spans();
    let [produce, process, middleware, handler] =
        ["produce", "process send", "in middleware", "in handler"].map(|name| named(&spans, name));
    assert_ne!(produce.span_context.span_id(), SpanId::INVALID);
    for (child, parent) in [(process, produce), (middleware, process), (handler, middleware)] {
        assert_eq!(child.parent_span_id, parent.span_context.span_id(), "{}", child.name);
        assert_eq!(child.span_context.trace_id(), produce.span_context.trace_id());
    }
    assert!(process.parent_span_is_remote);
    assert_eq!(process.span_kind, SpanKind::Consumer);
    assert!(matches!(process.status, Status::Error { .. }));
    for (key, value) in [
        ("messaging.system", "lavoro"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "mail"),
        ("messaging.message.id", &job.id().to_string()),
        ("lavoro.task", "send"),
        ("lavoro.attempt", "1"),
        ("lavoro.outcome", "failed"),
        ("error.type", "failed"),
    ] {
        assert_eq!(attribute(process, key), value, "{key}");
    }
    assert!(!format!("{spans:?}").contains("secret"), "neither payloads nor errors are traced");
    database.assert_sound().await;
}

/// All ways to enqueue carry it; what the application says of itself comes first; metadata that
/// is full goes without.
#[tokio::test(flavor = "current_thread")]
async fn every_enqueue_carries_the_current_span() {
    let traces = Traces::start();
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let full = || json!({"a": "x".repeat((64 << 10) - 20)});
    let enqueue = async {
        lavoro.enqueue_many([NewJob::new("t", 1), NewJob::new("t", 2)]).await.unwrap();
        let mut tx = database.pool.begin().await.unwrap();
        lavoro.enqueue_in(&mut tx, NewJob::new("t", 3)).await.unwrap();
        tx.commit().await.unwrap();
        lavoro.enqueue(NewJob::new("t", 4).unique_key("k")).await.unwrap();
        lavoro.enqueue(NewJob::new("t", 5).trace_context(PARENT, None)).await.unwrap();
        let own = NewJob::new("t", 6).metadata(json!({"traceparent": "our own"}));
        lavoro.enqueue(own).await.unwrap();
        lavoro.enqueue(NewJob::new("t", 7).metadata(full())).await.unwrap();
    };
    enqueue.instrument(tracing::info_span!("produce")).await;
    let produce = named(&traces.spans(), "produce").span_context.clone();
    for id in 1..=7 {
        let metadata = lavoro.job(id).info().await.unwrap().metadata.unwrap();
        let own = format!("00-{}-{}-01", produce.trace_id(), produce.span_id());
        let expected = match id {
            5 => json!(PARENT),
            6 => json!("our own"),
            7 => json!(null),
            _ => json!(own),
        };
        assert_eq!(metadata["traceparent"], expected, "job {id}");
    }
    // A batch is linked to each of its producers.
    let worker = Worker::builder(&lavoro).batch_handler("t", 9, |jobs: Vec<Job>| async move {
        vec![Outcome::complete(); jobs.len()]
    });
    testing::drain(worker).run().await.unwrap();
    let spans = traces.spans();
    let linked = spans.iter().filter(|span| span.name == "process t" && span.links.len() == 1);
    assert_eq!(linked.count(), 5);
}
