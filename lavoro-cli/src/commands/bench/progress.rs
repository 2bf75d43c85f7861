//! A progress bar, if someone watches.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;

/// Shows what is being done. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar on stderr, if that is a terminal.
    pub(super) fn new() -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) =
            ProgressStyle::with_template("{msg:40} {wide_bar} {human_pos:>9}/{human_len}")
        {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Something new begins, in so many steps.
    pub(super) fn begin(&self, what: &'static str, steps: u32) {
        self.0.reset();
        self.0.set_length(steps.into());
        self.0.set_message(what);
    }

    /// A step is done.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
