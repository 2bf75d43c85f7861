//! Declares schedules as docs/schedules.md shows it.

use lavoro_core::{Lavoro, Missed, NewJob, Overlap, Schedule};
use std::time::Duration;

#[tokio::main]
async fn main() -> lavoro_core::Result<()> {
    let lavoro = Lavoro::connect_with(lavoro_core::ConnectOptions::default()).await?;
    // docs begin
    let report = NewJob::new("report", serde_json::json!({"kind": "daily"})).queue("reports");
    let daily = Schedule::new("daily report", report).cron("0 9 * * *").time_zone("Europe/Rome");
    lavoro.declare(daily).await?;

    let digest = Schedule::new("digest", NewJob::new("digest", ()))
        .every("week")
        .on("monday")
        .at("09:30")
        .missed(Missed::Latest { within: Duration::from_hours(48) });
    lavoro.declare(digest).await?;

    let pulse = Schedule::new("pulse", NewJob::new("pulse", ()))
        .every("five minutes")
        .jitter(Duration::from_secs(30))
        .overlap(Overlap::Allow);
    lavoro.declare(pulse).await?;
    // docs end
    lavoro.close().await;
    Ok(())
}
