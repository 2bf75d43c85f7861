//! The tables of the screen.

use super::source::{Failed, Queue, Sample, Worker};
use crate::output::printable;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table, TableState};

/// A heading above a part of the screen.
pub(super) fn title(text: String) -> Block<'static> {
    Block::new().title(Line::styled(text, Modifier::BOLD))
}

fn right(text: impl Into<String>) -> Cell<'static> {
    Cell::new(Text::raw(text.into()).right_aligned())
}

/// The queues; one of them is selected.
pub(super) fn queues(frame: &mut Frame<'_>, area: Rect, sample: &Sample, selected: Option<usize>) {
    if sample.queues.is_empty() {
        return frame.render_widget("No queue holds jobs or settings.", area);
    }
    let heads = ["AVAILABLE", "RUNNING", "RETRYING", "SCHEDULED", "DONE/S", "OLDEST"].map(right);
    let heads = [Cell::new("QUEUE")].into_iter().chain(heads).chain([Cell::new("")]);
    let number = Constraint::Length(10);
    let widths = [
        Constraint::Fill(1),
        number,
        number,
        number,
        number,
        number,
        number,
        Constraint::Length(14),
    ];
    let table = Table::new(sample.queues.iter().map(queue), widths)
        .header(Row::new(heads).style(Modifier::BOLD))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut place = TableState::new().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut place);
}

fn queue(queue: &Queue) -> Row<'static> {
    let (note, colour) = if queue.paused {
        ("paused", Some(Color::Yellow))
    } else if queue.unhandled.is_empty() {
        ("", None)
    } else {
        ("no worker", Some(Color::Red))
    };
    let row = Row::new([
        Cell::new(printable(&queue.name)),
        right(queue.available.to_string()),
        right(queue.running.to_string()),
        right(queue.retrying.to_string()),
        right(queue.scheduled.to_string()),
        right(format!("{:.1}", queue.completed_per_second)),
        right(queue.oldest_seconds.map_or_else(|| "-".to_owned(), age)),
        Cell::new(note),
    ]);
    match colour {
        Some(colour) => row.style(colour),
        None => row,
    }
}

/// The workers that have not ended.
pub(super) fn workers(frame: &mut Frame<'_>, area: Rect, workers: &[Worker]) {
    if workers.is_empty() {
        let nothing = Paragraph::new("none").block(title("WORKERS".to_owned()));
        return frame.render_widget(nothing, area);
    }
    let rows = workers.iter().map(|worker| {
        let row = Row::new([
            Cell::new(printable(&worker.name)),
            Cell::new(worker.state.clone()),
            Cell::new(printable(&worker.language)),
            right(format!("{}/{}", worker.running, worker.slots)),
            right(worker.oldest_seconds.map_or_else(|| "-".to_owned(), age)),
            Cell::new(printable(&worker.queues.join(" "))),
        ]);
        if worker.state == "alive" { row } else { row.style(Color::Red) }
    });
    let heads: [Cell<'_>; 6] = [
        "WORKER".into(),
        "STATE".into(),
        "LANGUAGE".into(),
        right("RUNNING"),
        right("OLDEST"),
        "QUEUES".into(),
    ];
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(8),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Fill(2),
    ];
    let table = Table::new(rows, widths).header(Row::new(heads).style(Modifier::BOLD));
    frame.render_widget(table, area);
}

/// The newest discarded jobs.
pub(super) fn failures(frame: &mut Frame<'_>, area: Rect, failures: &[Failed]) {
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
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
