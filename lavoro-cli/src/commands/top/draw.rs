//! The screen as a picture, and as text.

use super::panes::{self, title};
use super::state::State;
use crate::output::printable;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier};
use ratatui::text::{Line, Span};
use ratatui::widgets::Sparkline;
use ratatui::{Frame, Terminal};
use std::convert::Infallible;

/// The height of the throughput's picture.
const BARS: u16 = 4;

/// How many lines the throughput takes.
fn bars(state: &State) -> u16 {
    if state.history.is_empty() { 2 } else { BARS }
}

/// How many lines workers and failures take: a heading, one for each, and one of space.
fn lower(state: &State) -> [u16; 2] {
    let counts = state.sample.as_ref().map_or([0, 0], |s| [s.workers.len(), s.failures.len()]);
    counts.map(|count| u16::try_from(count).unwrap_or(u16::MAX).saturating_add(2).max(3))
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    // Queues get what the rest leaves, and at least a few lines.
    let [workers, failures] = lower(state).map(Constraint::Max);
    let [head, bars, queues, workers, failures, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(self::bars(state)),
        Constraint::Min(4),
        workers,
        failures,
        Constraint::Length(1),
    ])
    .areas(frame.area());
    self::head(frame, head, state);
    throughput(frame, bars, state);
    if let Some(sample) = &state.sample {
        panes::queues(frame, queues, sample, state.selected());
        panes::workers(frame, workers, &sample.workers);
        panes::failures(frame, failures, &sample.failures);
    } else if state.error.is_none() {
        frame.render_widget("looking …", queues);
    }
    let keys = "q quit   ↑↓ select   p pause/resume   r interval";
    frame.render_widget(Line::styled(keys, Modifier::DIM), foot);
}

/// One frame as text, as high as it needs to be.
pub(super) fn text(state: &mut State, columns: u16) -> String {
    let rows = state.sample.as_ref().map_or(0, |sample| (sample.queues.len() + 2).max(4));
    let lower = if state.sample.is_some() { lower(state) } else { [0, 0] };
    let height = lower
        .into_iter()
        .fold(u16::try_from(rows).unwrap_or(u16::MAX), u16::saturating_add)
        .saturating_add(2 + bars(state));
    let mut terminal = match Terminal::new(TestBackend::new(columns, height)) {
        Ok(terminal) => terminal,
        Err(never) => match never {},
    };
    let drawn: Result<_, Infallible> = terminal.draw(|frame| draw(frame, state));
    let frame = match drawn {
        Ok(frame) => frame,
        Err(never) => match never {},
    };
    let mut lines: Vec<String> = (0..height)
        .map(|y| {
            let cells = (0..columns).filter_map(|x| frame.buffer.cell((x, y)));
            cells.map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
        })
        .collect();
    // The keys mean nothing on paper.
    lines.pop();
    lines.join("\n").trim_end().to_owned() + "\n"
}

fn head(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let mut spans = vec![Span::styled("lavoro top", Modifier::BOLD)];
    if let Some(sample) = &state.sample {
        let at = sample.at.format("%Y-%m-%d %H:%M:%S UTC");
        spans.push(format!("   {at}   schema {}", printable(&sample.schema)).into());
    }
    spans.push(format!("   every {:?}", state.interval).into());
    if let Some(error) = &state.error {
        let error = format!("   trying again: {}", printable(error).replace('\n', " "));
        spans.push(Span::styled(error, Color::Red));
    }
    frame.render_widget(Line::from(spans), area);
}

fn throughput(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let now = state.sample.as_ref().map_or_else(
        || "-".to_owned(),
        |sample| format!("{:.1} jobs/s completed, over the last minute", sample.throughput),
    );
    let block = title(format!("THROUGHPUT  {now}"));
    let newest = state.history.iter().rev().take(area.width.into()).rev().copied();
    let bars = Sparkline::default().data(newest).style(Color::Green).block(block);
    frame.render_widget(bars, area);
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::sample;
    use super::*;
    use std::time::Duration;

    fn shown() -> State {
        let mut state = State::new(Duration::from_secs(1));
        state.take(Ok(sample()));
        state
    }

    #[test]
    fn a_frame_shows_queues_workers_throughput_and_failures() {
        let text = text(&mut shown(), 100);
        let line = |start: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(start));
            line.unwrap_or_else(|| unreachable!("no line {start} in:\n{text}")).to_owned()
        };
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(line("lavoro top").contains("1970-01-01 00:00:00 UTC   schema lavoro   every 1s"));
        assert!(line("THROUGHPUT").contains("12.4 jobs/s"));
        assert_eq!(words(&line("default")), ["default", "1234", "3", "2", "0", "1.5", "75", "s"]);
        assert!(line("mail").ends_with("paused"));
        let worker = ["host:7", "alive", "rust", "3/10", "4", "s", "default", "mail-*"];
        assert_eq!(words(&line("host:7")), worker);
        assert!(line("42").ends_with("no such address"));
        assert!(!text.contains('\u{1b}'), "a terminal is not given orders");
        assert!(!text.contains("q quit"));
    }

    #[test]
    fn the_selected_queue_is_marked_and_an_error_is_shown() {
        let mut state = shown();
        state.take(Err("the database cannot be reached".into()));
        let mut terminal = Terminal::new(TestBackend::new(120, 20)).unwrap();
        let frame = terminal.draw(|frame| draw(frame, &mut state)).unwrap();
        let row = |y: u16| -> String {
            (0..120)
                .filter_map(|x| frame.buffer.cell((x, y)))
                .map(ratatui::buffer::Cell::symbol)
                .collect()
        };
        assert!(row(0).contains("trying again: the database cannot be reached"), "{}", row(0));
        let of = |start: &str| (0..20).find(|y| row(*y).starts_with(start)).unwrap();
        let is_marked =
            |y| frame.buffer.cell((0, y)).unwrap().modifier.contains(Modifier::REVERSED);
        assert!(is_marked(of("default")) && !is_marked(of("mail")));
        assert!(row(19).contains("q quit"));
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(1, 1), (20, 3), (10, 50), (300, 2)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &mut shown())).unwrap();
        }
        let mut empty = State::new(Duration::from_secs(1));
        assert!(text(&mut empty, 80).contains("looking"));
    }
}
