//! Lines for a person: coloured in a terminal, plain in a pipe.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

/// How a text stands out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    /// As it is.
    Plain,
    /// A heading or a name.
    Bold,
    /// It went well.
    Good,
    /// It went wrong, perhaps on purpose.
    Bad,
    /// Worth a look.
    Note,
}

/// Writes to standard output, with the time since the start.
#[derive(Debug)]
pub(crate) struct Console {
    start: Instant,
    colour: bool,
}

impl Console {
    /// A console whose clock starts now.
    pub(crate) fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { start: Instant::now(), colour: std::io::stdout().is_terminal() && !plain }
    }

    /// The text in a style, if this is a terminal.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => "1",
            Style::Good => "32",
            Style::Bad => "1;31",
            Style::Note => "33",
            Style::Plain => "",
        };
        if !self.colour || code.is_empty() {
            return text.to_owned();
        }
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// A line that says what has just happened.
    pub(crate) fn step(&self, style: Style, label: &str, text: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        self.line(&format!(
            "{seconds:5.1} s  {}  {text}",
            self.paint(style, &format!("{label:<9}"))
        ));
    }

    /// A line.
    #[allow(clippy::unused_self, reason = "everything that is said goes through the console")]
    pub(crate) fn line(&self, text: &str) {
        // A reader that has gone away is no reason to leave the children behind.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}
