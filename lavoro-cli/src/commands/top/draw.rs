//! The screen as a picture, and as text.

use super::source::{Failed, Queue, Sample};
use super::state::State;
use crate::output::printable;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table, TableState};
use ratatui::{Frame, Terminal};
use std::convert::Infallible;

/// The height of the throughput's picture.
const BARS: u16 = 4;

/// How many lines the throughput takes.
fn bars(state: &State) -> u16 {
    if state.history.is_empty() { 2 } else { BARS }
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let failures = state.sample.as_ref().map_or(0, |sample| sample.failures.len());
    // Queues get what the rest leaves, and at least a few lines.
    let failed = u16::try_from(failures).unwrap_or(u16::MAX).saturating_add(2);
    let [head, bars, queues, failures, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(self::bars(state)),
        Constraint::Min(4),
        Constraint::Max(failed.max(3)),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    self::head(frame, head, state);
    throughput(frame, bars, state);
    if let Some(sample) = &state.sample {
        self::queues(frame, queues, sample, state.selected());
        self::failures(frame, failures, &sample.failures);
    } else if state.error.is_none() {
        frame.render_widget("looking …", queues);
    }
    let keys = "q quit   ↑↓ select   p pause/resume   r interval";
    frame.render_widget(Line::styled(keys, Modifier::DIM), foot);
}

/// One frame as text, as high as it needs to be.
pub(super) fn text(state: &mut State, columns: u16) -> String {
    let rows = state
        .sample
        .as_ref()
        .map_or(0, |sample| (sample.queues.len() + 2).max(4) + (sample.failures.len() + 2).max(3));
    let height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2 + bars(state));
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

fn title(text: String) -> Block<'static> {
    Block::new().title(Line::styled(text, Modifier::BOLD))
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
    let now = state.sample.as_ref().and_then(|sample| sample.throughput);
    let now = now.map_or_else(
        || "-".to_owned(),
        |rate| format!("{rate:.1} jobs/s, by which the queues shrink"),
    );
    let block = title(format!("THROUGHPUT  {now}"));
    let newest = state.history.iter().rev().take(area.width.into()).rev().copied();
    let bars = Sparkline::default().data(newest).style(Color::Green).block(block);
    frame.render_widget(bars, area);
}

fn right(text: impl Into<String>) -> Cell<'static> {
    Cell::new(Text::raw(text.into()).right_aligned())
}

fn queues(frame: &mut Frame<'_>, area: Rect, sample: &Sample, selected: Option<usize>) {
    if sample.queues.is_empty() {
        return frame.render_widget("No queue holds jobs or settings.", area);
    }
    let heads = ["AVAILABLE", "RUNNING", "RETRYING", "SCHEDULED", "CHANGE/S", "OLDEST"].map(right);
    let heads = [Cell::new("QUEUE")].into_iter().chain(heads).chain([Cell::new("")]);
    let rows = sample.queues.iter().map(|queue| {
        let Queue { available, running, retrying, scheduled, .. } = queue;
        let row = Row::new([
            Cell::new(printable(&queue.name)),
            right(available.to_string()),
            right(running.to_string()),
            right(retrying.to_string()),
            right(scheduled.to_string()),
            right(
                queue
                    .change_per_second
                    .map_or_else(|| "-".to_owned(), |rate| format!("{rate:+.1}")),
            ),
            right(queue.oldest_seconds.map_or_else(|| "-".to_owned(), age)),
            Cell::new(if queue.paused { "paused" } else { "" }),
        ]);
        if queue.paused { row.style(Color::Yellow) } else { row }
    });
    let number = Constraint::Length(10);
    let widths = [
        Constraint::Fill(1),
        number,
        number,
        number,
        number,
        number,
        number,
        Constraint::Length(6),
    ];
    let table = Table::new(rows, widths)
        .header(Row::new(heads).style(Modifier::BOLD))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut place = TableState::new().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut place);
}

fn failures(frame: &mut Frame<'_>, area: Rect, failures: &[Failed]) {
    if failures.is_empty() {
        let nothing = Paragraph::new("none").block(title("DISCARDED".to_owned()));
        return frame.render_widget(nothing, area);
    }
    let rows = failures.iter().map(|job| {
        let at = job.finished_at.map(|at| at.format("%m-%d %H:%M:%S").to_string());
        Row::new([
            right(job.id.clone()),
            Cell::new(at.unwrap_or_default()),
            Cell::new(printable(&job.queue)),
            Cell::new(printable(&job.task)),
            Cell::new(printable(&job.error)),
        ])
    });
    let heads =
        Row::new([right("DISCARDED"), "AT".into(), "QUEUE".into(), "TASK".into(), "ERROR".into()]);
    let widths = [
        Constraint::Length(10),
        Constraint::Length(14),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Fill(3),
    ];
    let table = Table::new(rows, widths).header(heads.style(Modifier::BOLD));
    frame.render_widget(table, area);
}

/// An age for people.
fn age(seconds: i64) -> String {
    match seconds {
        i64::MIN..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
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
    fn a_frame_shows_queues_throughput_and_failures() {
        let text = text(&mut shown(), 100);
        let line = |start: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(start));
            line.unwrap_or_else(|| unreachable!("no line {start} in:\n{text}")).to_owned()
        };
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(line("lavoro top").contains("1970-01-01 00:00:00 UTC   schema lavoro   every 1s"));
        assert!(line("THROUGHPUT").contains("12.4 jobs/s"));
        assert_eq!(words(&line("default")), ["default", "1234", "3", "2", "0", "-1.5", "75", "s"]);
        assert!(line("mail").ends_with("paused"));
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
