//! The workers: each process has one role, which is the queue that it serves.

use crate::Result;
use crate::tasks::{album, backup, mail, report, resize};
use lavoro_core::{ConnectOptions, Lavoro, Timing, Worker};
use std::io::Read as _;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How long a worker waits for its handlers when it is asked to stop.
pub(crate) const STOP: Duration = Duration::from_secs(15);

/// A clockwork that runs faster than the defaults, so that a rescue takes seconds.
pub(crate) fn timing() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(500),
        lease: Duration::from_secs(3),
        scan: Duration::from_millis(300),
        ..Timing::default()
    }
}

/// Runs a worker until it is asked to stop (SIGTERM) or the demo that started it is gone.
pub(crate) async fn run(role: &str, name: &str) -> Result<()> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let mut asked = signal(SignalKind::terminate())?;
    let gone = parent_gone();
    let lavoro = Lavoro::connect_with(ConnectOptions::default()).await?;
    let worker = Worker::builder(&lavoro).name(name).timing(timing());
    let worker = match role {
        resize::QUEUE => worker.queue(role, 2).blocking_handler(resize::TASK, resize::run),
        report::QUEUE => worker.queue(role, 2).blocking_handler(report::TASK, report::run),
        backup::QUEUE => worker.queue(role, 1).blocking_handler(backup::TASK, backup::run),
        mail::QUEUE => worker.queue(role, 5).handler(mail::TASK, mail::run),
        album::QUEUE => {
            let lavoro = lavoro.clone();
            worker.queue(role, 5).handler(album::TASK, move |job| album::run(lavoro.clone(), job))
        }
        _ => return Err(format!("there is no role {role:?}").into()),
    };
    let worker = worker.start().await?;
    tokio::select! {
        _ = asked.recv() => {}
        // The database is gone with the parent, so there is nobody to hand jobs back to.
        _ = gone => return Err("the demo has ended".into()),
    }
    let returned = worker.stop(STOP).await;
    lavoro.close().await;
    if returned { Ok(()) } else { Err("handlers were still running".into()) }
}

/// Is told when the parent is gone, however it ended: the pipe on standard input then closes.
pub(crate) fn parent_gone() -> oneshot::Receiver<()> {
    let (tell, gone) = oneshot::channel();
    std::thread::spawn(move || {
        let mut nothing = [0; 64];
        while std::io::stdin().read(&mut nothing).is_ok_and(|read| read > 0) {}
        let _ = tell.send(());
    });
    gone
}
