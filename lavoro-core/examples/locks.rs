//! The page `docs/locks.md` as a program. Its documents test runs it.

use lavoro_core::{ErrorKind, Lavoro, Result};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let lavoro = Lavoro::connect_with(lavoro_core::ConnectOptions::default()).await?;
    take(&lavoro).await?;
    choose(&lavoro).await?;
    stop(&lavoro).await?;
    hand_over(&lavoro, &lavoro).await?;
    lavoro.close().await;
    Ok(())
}

async fn take(lavoro: &Lavoro) -> Result<()> {
    // docs begin
    let lock = lavoro.lock("invoices").acquire().await?;
    write_invoices(lock.fencing_token()).await?;
    lock.release().await?;
    // docs end
    Ok(())
}

async fn choose(lavoro: &Lavoro) -> Result<()> {
    // docs begin
    let wanted = lavoro.lock("invoices").lifetime(Duration::from_mins(1)).owner("billing");
    if let Some(lock) = wanted.clone().try_acquire().await? {
        println!("{} holds it", lock.owner());
    }
    match wanted.wait(Duration::from_secs(5)).acquire().await {
        Ok(lock) => println!("ours, with the number {}", lock.fencing_token()),
        Err(error) if error.kind() == ErrorKind::Timeout => println!("still held"),
        Err(error) => return Err(error),
    }
    // docs end
    Ok(())
}

async fn stop(lavoro: &Lavoro) -> Result<()> {
    // docs begin
    let lock = lavoro.lock("invoices").acquire().await?;
    tokio::select! {
        written = write_invoices(lock.fencing_token()) => written?,
        why = lock.lost() => println!("stopped: {why:?}"),
    }
    // docs end
    Ok(())
}

async fn hand_over(here: &Lavoro, there: &Lavoro) -> Result<()> {
    // docs begin
    let lock = here.lock("video 7").acquire().await?;
    let text = lock.hand_over().await?; // a secret: whoever has it holds the lock
    let lock = there.restore_lock(&text).await?; // in another process
    lock.release().await?;
    // docs end
    Ok(())
}

async fn write_invoices(_fence: i64) -> Result<()> {
    tokio::task::yield_now().await;
    Ok(())
}
