//! The terminal: keys in, frames out.

use super::draw;
use super::source::{Sample, Source};
use super::state::{Action, State};
use crate::exit::{Failure, Result};
use crate::signals::Signals;
use lavoro_core::Lavoro;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEvent};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long the thread that reads keys goes without looking whether it is still wanted.
const POLL: Duration = Duration::from_millis(100);

/// What changes the screen.
enum News {
    Key(KeyEvent),
    /// The terminal has another size, or has to be drawn again.
    Resized,
    Sample(Result<Sample, String>),
}

/// Puts the terminal back as it was, whatever happens.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows the source until a key or signal ends it.
pub(super) async fn run(source: Source, interval: Duration, signals: &mut Signals) -> Result<()> {
    let lavoro = source.lavoro().clone();
    // Takes the terminal, and gives it back on a panic.
    let mut terminal = ratatui::try_init().map_err(|error| {
        ratatui::restore();
        Failure::io("cannot take the terminal", &error)
    })?;
    let _restore = Restore;
    let (news, mut heard) = mpsc::channel(16);
    let (pace, paced) = watch::channel(interval);
    let keys = news.clone();
    std::thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || read_keys(&keys))
        .map_err(|error| Failure::io("cannot start a thread", &error))?;
    let looking = tokio::spawn(look(source, paced, news));
    let shown = show(&mut terminal, &lavoro, &mut heard, &pace, signals, interval).await;
    looking.abort();
    shown
}

async fn show(
    terminal: &mut DefaultTerminal,
    lavoro: &Lavoro,
    heard: &mut mpsc::Receiver<News>,
    pace: &watch::Sender<Duration>,
    signals: &mut Signals,
    interval: Duration,
) -> Result<()> {
    let mut state = State::new(interval);
    loop {
        terminal
            .draw(|frame| draw::draw(frame, &mut state))
            .map_err(|error| Failure::io("cannot draw", &error))?;
        let news = tokio::select! {
            news = heard.recv() => news,
            _ = signals.next() => return Ok(()),
        };
        let action = match news {
            Some(News::Key(key)) => state.press(key),
            Some(News::Sample(sample)) => {
                state.take(sample);
                Action::None
            }
            Some(News::Resized) => Action::None,
            None => return Ok(()),
        };
        match action {
            Action::None => {}
            Action::Quit => return Ok(()),
            // A change of the pace also makes the next look come at once.
            Action::Interval(interval) => drop(pace.send_replace(interval)),
            Action::Pause { queue, paused } => {
                if let Err(error) = pause(lavoro, &queue, paused).await {
                    state.take(Err(error.message().to_owned()));
                }
                pace.send_modify(|_| {});
            }
        }
    }
}

async fn pause(lavoro: &Lavoro, queue: &str, paused: bool) -> lavoro_core::Result<()> {
    if paused { lavoro.pause_queue(queue).await } else { lavoro.resume_queue(queue).await }
}

/// Looks again and again. An error is news like any other.
async fn look(source: Source, mut pace: watch::Receiver<Duration>, news: mpsc::Sender<News>) {
    loop {
        let sample = source.sample().await.map_err(|error| error.message().to_owned());
        if news.send(News::Sample(sample)).await.is_err() {
            return;
        }
        let interval = *pace.borrow_and_update();
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            changed = pace.changed() => if changed.is_err() { return },
        }
    }
}

fn read_keys(news: &mpsc::Sender<News>) {
    while !news.is_closed() {
        let heard = match event::poll(POLL).and_then(|ready| ready.then(event::read).transpose()) {
            Ok(Some(Event::Key(key))) => News::Key(key),
            Ok(Some(Event::Resize(..))) => News::Resized,
            Ok(_) => continue,
            // Without a terminal signals are left.
            Err(_) => return,
        };
        if news.blocking_send(heard).is_err() {
            return;
        }
    }
}
