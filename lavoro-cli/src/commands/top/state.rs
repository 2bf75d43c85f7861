//! What the screen shows, and what keys do to it. No input or output.

use super::source::Sample;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::collections::VecDeque;
use std::time::Duration;

/// How many looks the throughput is kept for: more than any terminal is wide.
const HISTORY: usize = 500;
/// What the key r goes through.
const INTERVALS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing more than drawing again.
    None,
    Quit,
    /// Pause the queue, or resume it.
    Pause {
        queue: String,
        paused: bool,
    },
    /// Look this often from now on.
    Interval(Duration),
}

/// What the screen shows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) sample: Option<Sample>,
    /// Why there is nothing newer.
    pub(super) error: Option<String>,
    /// Throughputs in jobs per second, oldest first.
    pub(super) history: VecDeque<u64>,
    pub(super) interval: Duration,
    /// The selected queue, by its name, since queues come and go.
    selected: Option<String>,
}

impl State {
    /// A screen without anything on it yet.
    pub(super) fn new(interval: Duration) -> Self {
        Self { sample: None, error: None, history: VecDeque::new(), interval, selected: None }
    }

    /// Takes what a look came to. An error leaves the figures as they were.
    pub(super) fn take(&mut self, sample: Result<Sample, String>) {
        match sample {
            Ok(sample) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a rate that is not negative"
                )]
                self.history.push_back(sample.throughput.round() as u64);
                if self.history.len() > HISTORY {
                    self.history.pop_front();
                }
                self.sample = Some(sample);
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// The place of the selected queue.
    pub(super) fn selected(&self) -> Option<usize> {
        let queues = &self.sample.as_ref()?.queues;
        let named = queues.iter().position(|queue| Some(&queue.name) == self.selected.as_ref());
        named.or((!queues.is_empty()).then_some(0))
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::None;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Action::Quit,
            KeyCode::Char('q') | KeyCode::Esc => Action::Quit,
            KeyCode::Up | KeyCode::Char('k') => self.select(-1),
            KeyCode::Down | KeyCode::Char('j') => self.select(1),
            KeyCode::Char('p') => self.pause(),
            KeyCode::Char('r') => {
                let next = INTERVALS.into_iter().find(|interval| *interval > self.interval);
                self.interval = next.unwrap_or(INTERVALS[0]);
                Action::Interval(self.interval)
            }
            _ => Action::None,
        }
    }

    fn select(&mut self, step: isize) -> Action {
        if let (Some(place), Some(sample)) = (self.selected(), &self.sample) {
            let place = place.saturating_add_signed(step).min(sample.queues.len() - 1);
            self.selected = Some(sample.queues[place].name.clone());
        }
        Action::None
    }

    fn pause(&mut self) -> Action {
        let queue = self.selected().and_then(|place| self.sample.as_ref()?.queues.get(place));
        match queue {
            Some(queue) => Action::Pause { queue: queue.name.clone(), paused: !queue.paused },
            None => Action::None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::source::{Failed, Queue, Worker};
    use super::*;

    /// A look at two queues.
    pub(in super::super) fn sample() -> Sample {
        let queue = |name: &str, available, paused| Queue {
            name: name.to_owned(),
            available,
            scheduled: 0,
            retrying: 2,
            running: 3,
            oldest_seconds: Some(75),
            completed_per_second: 1.5,
            paused,
            unhandled: Vec::new(),
        };
        Sample {
            at: chrono::DateTime::UNIX_EPOCH,
            schema: "lavoro".into(),
            throughput: 12.4,
            queues: vec![queue("default", 1234, false), queue("mail", 5, true)],
            workers: vec![Worker {
                name: "host:7".into(),
                state: "alive".into(),
                language: "rust".into(),
                running: 3,
                slots: 10,
                oldest_seconds: Some(4),
                queues: vec!["default".into(), "mail-*".into()],
            }],
            failures: vec![Failed {
                id: "42".into(),
                queue: "mail".into(),
                task: "send\u{1b}[2J".into(),
                finished_at: Some(chrono::DateTime::UNIX_EPOCH),
                error: "no such address".into(),
            }],
        }
    }

    fn press(state: &mut State, code: KeyCode) -> Action {
        state.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn keys_do_what_the_help_says() {
        let mut state = State::new(Duration::from_secs(1));
        assert_eq!(press(&mut state, KeyCode::Char('p')), Action::None, "nothing is there yet");
        assert_eq!(press(&mut state, KeyCode::Down), Action::None);
        state.take(Ok(sample()));
        let pause = |queue: &str, paused| Action::Pause { queue: queue.into(), paused };
        assert_eq!(press(&mut state, KeyCode::Char('p')), pause("default", true));
        press(&mut state, KeyCode::Down);
        press(&mut state, KeyCode::Down);
        assert_eq!(press(&mut state, KeyCode::Char('p')), pause("mail", false));
        press(&mut state, KeyCode::Up);
        assert_eq!(state.selected(), Some(0));
        let interval = Action::Interval(Duration::from_secs(2));
        assert_eq!(press(&mut state, KeyCode::Char('r')), interval);
        for _ in 0..2 {
            press(&mut state, KeyCode::Char('r'));
        }
        assert_eq!(state.interval, Duration::from_millis(500), "it begins again");
        assert_eq!(press(&mut state, KeyCode::Char('q')), Action::Quit);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(state.press(interrupt), Action::Quit);
    }

    #[test]
    fn the_selection_follows_its_queue() {
        let mut state = State::new(Duration::from_secs(1));
        state.take(Ok(sample()));
        press(&mut state, KeyCode::Down);
        let mut fewer = sample();
        fewer.queues.remove(0);
        state.take(Ok(fewer));
        assert_eq!(state.selected(), Some(0));
        state.take(Ok(sample()));
        assert_eq!(state.selected(), Some(1));
        let mut none = sample();
        none.queues.clear();
        state.take(Ok(none));
        assert_eq!((state.selected(), press(&mut state, KeyCode::Up)), (None, Action::None));
    }

    #[test]
    fn an_error_leaves_the_figures_until_the_next_look() {
        let mut state = State::new(Duration::from_secs(1));
        state.take(Ok(sample()));
        state.take(Err("gone".into()));
        assert!(state.sample.is_some() && state.error.is_some());
        state.take(Ok(sample()));
        assert_eq!((state.error.as_deref(), state.history.len()), (None, 2));
    }
}
