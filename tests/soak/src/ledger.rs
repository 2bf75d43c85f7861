//! What every process wrote down, read back.
//!
//! A directory holds, each a line per event with its words parted by spaces and times in
//! microseconds of `CLOCK_BOOTTIME`:
//!
//! | file | lines |
//! |---|---|
//! | `producer-PID` | `try KIND MARK TIME`, `ack MARK ID NEW TIME`, `maybe MARK TIME`, `undone MARK TIME` |
//! | `worker-PID` | `start ID ATTEMPT TOKEN PID TIME`, `end ID ATTEMPT TOKEN VERDICT SAID TIME`, `commit ID TOKEN HOW TIME`, `poison ID TIME` |
//! | `nemesis` | `fault CLASS FROM TO VICTIMS`, `exit ROLE PID SIGNAL TIME`, `note …` |
//! | `jobs` | `ID KIND MARK STATE KEY CREATED FINISHED` (server's time) |
//! | `effects` | `ID TOKEN` |
//! | `follows` | `ID OF` |
//! | `unsound` | what the tables themselves contradict |
//! | `run` | `lease MICROSECONDS`, `stuck COUNT`, … |

use crate::Result;
use crate::fault::Class;
use crate::kind::Kind;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// One execution of a job, as its worker saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The job.
    pub id: i64,
    /// Which attempt it was said to be.
    pub attempt: u32,
    /// The token of its lease.
    pub token: Uuid,
    /// The worker's process.
    pub pid: u32,
    /// When.
    pub at: u64,
}

/// How it ended, as its worker saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Whether the outcome was accepted.
    pub accepted: bool,
    /// What the handler had said: `complete`, `retry` or `snooze`.
    pub said: String,
    /// When the answer was known.
    pub at: u64,
}

/// A job as it stands in the tables at last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it does.
    pub kind: Kind,
    /// What its producer called it.
    pub mark: String,
    /// `completed`, `cancelled`, `discarded` or `open`.
    pub state: String,
    /// Its unique key, `-` without.
    pub key: String,
    /// When it was enqueued, by the server's clock in microseconds.
    pub created: i64,
    /// When it ended.
    pub finished: Option<i64>,
}

/// An answer to a producer: this mark became this job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// What the producer called it.
    pub mark: String,
    /// The job, or the one that held its unique key.
    pub id: i64,
    /// Whether the job was made by this.
    pub new: bool,
}

/// Something that the nemesis did or the probe saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub class: Class,
    /// From when.
    pub from: u64,
    /// Until when.
    pub to: u64,
    /// Processes; empty: all.
    pub victims: Vec<u32>,
}

/// A child process that ended while it should not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// `worker` or `producer`.
    pub role: String,
    /// Its process.
    pub pid: u32,
    /// The signal, 0 without.
    pub signal: i32,
    /// When it was seen.
    pub at: u64,
}

/// Everything that was written down.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Marks that a producer was about to send, with their kinds.
    pub tries: HashMap<String, Kind>,
    /// Answers.
    pub acks: Vec<Ack>,
    /// Marks whose transaction was rolled back.
    pub undone: Vec<String>,
    /// Marks whose fate their producer does not know.
    pub maybe: Vec<String>,
    /// Executions.
    pub starts: Vec<Start>,
    /// Their ends, by job and token.
    pub ends: HashMap<(i64, Uuid), End>,
    /// Answers to commits of transactional jobs: `ok`, `refused`, `unknown`.
    pub commits: HashMap<(i64, Uuid), String>,
    /// Processes that ran a poison job.
    pub poisoned: Vec<u32>,
    /// Faults.
    pub faults: Vec<Fault>,
    /// Processes that ended.
    pub exits: Vec<Exit>,
    /// The tables at last.
    pub jobs: HashMap<i64, Row>,
    /// Effects that were committed.
    pub effects: HashMap<i64, Vec<Uuid>>,
    /// Follow-ups by the job they follow.
    pub follows: HashMap<i64, Vec<i64>>,
    /// What the tables themselves contradict.
    pub unsound: Vec<String>,
    /// The length of a lease.
    pub lease: Duration,
    /// From the first to the last event, in microseconds.
    pub span: (u64, u64),
    /// Other facts about the run.
    pub facts: HashMap<String, String>,
}

impl Ledger {
    /// Reads a directory.
    ///
    /// # Errors
    /// If a file cannot be read, or a line is not understood.
    pub fn read(dir: &Path) -> Result<Self> {
        let mut ledger =
            Self { lease: Duration::from_secs(2), span: (u64::MAX, 0), ..Self::default() };
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(entry.path())?;
            // A line that was cut off by a kill was never answered for.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in whole.lines() {
                ledger.line(&name, line).map_err(|why| format!("{name}: {line:?}: {why}"))?;
            }
        }
        Ok(ledger)
    }

    /// Takes one line of a file in.
    ///
    /// # Errors
    /// If it is not understood.
    pub fn line(&mut self, file: &str, line: &str) -> Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        match file.split('-').next().unwrap_or_default() {
            "producer" => self.producer(&words),
            "worker" => self.worker(&words),
            "nemesis" => self.nemesis(&words),
            "jobs" => self.job(&words),
            "effects" => {
                let (id, token) = (number(&words, 0)?, word(&words, 1)?.parse()?);
                self.effects.entry(id).or_default().push(token);
                Ok(())
            }
            "follows" => {
                self.follows.entry(number(&words, 1)?).or_default().push(number(&words, 0)?);
                Ok(())
            }
            "unsound" => {
                self.unsound.push(line.to_owned());
                Ok(())
            }
            "run" => {
                if words[0] == "lease" {
                    self.lease = Duration::from_micros(number(&words, 1)?);
                }
                self.facts.insert(words[0].to_owned(), words[1..].join(" "));
                Ok(())
            }
            _ => Ok(()), // logs of the processes and of the server
        }
    }

    fn producer(&mut self, words: &[&str]) -> Result<()> {
        let last = words.len() - 1;
        self.seen(number(words, last)?);
        match words[0] {
            "try" => {
                self.tries.insert(word(words, 2)?.to_owned(), word(words, 1)?.parse()?);
            }
            "ack" => self.acks.push(Ack {
                mark: word(words, 1)?.to_owned(),
                id: number(words, 2)?,
                new: word(words, 3)? == "true",
            }),
            "maybe" => self.maybe.push(word(words, 1)?.to_owned()),
            "undone" => self.undone.push(word(words, 1)?.to_owned()),
            other => return Err(format!("a producer does not say {other:?}").into()),
        }
        Ok(())
    }

    fn worker(&mut self, words: &[&str]) -> Result<()> {
        let at = number(words, words.len() - 1)?;
        self.seen(at);
        match words[0] {
            "start" => self.starts.push(Start {
                id: number(words, 1)?,
                attempt: number(words, 2)?,
                token: word(words, 3)?.parse()?,
                pid: number(words, 4)?,
                at,
            }),
            "end" => {
                let end = End {
                    accepted: word(words, 4)? == "Accepted",
                    said: word(words, 5)?.to_owned(),
                    at,
                };
                self.ends.insert((number(words, 1)?, word(words, 3)?.parse()?), end);
            }
            "commit" => {
                let key = (number(words, 1)?, word(words, 2)?.parse()?);
                self.commits.insert(key, word(words, 3)?.to_owned());
            }
            "poison" => self.poisoned.push(number(words, 2)?),
            other => return Err(format!("a worker does not say {other:?}").into()),
        }
        Ok(())
    }

    fn nemesis(&mut self, words: &[&str]) -> Result<()> {
        match words[0] {
            "fault" => {
                let victims = word(words, 4)?.split(',').filter(|pid| *pid != "-");
                self.faults.push(Fault {
                    class: word(words, 1)?.parse()?,
                    from: number(words, 2)?,
                    to: number(words, 3)?,
                    victims: victims.map(str::parse).collect::<Result<_, _>>()?,
                });
            }
            "exit" => self.exits.push(Exit {
                role: word(words, 1)?.to_owned(),
                pid: number(words, 2)?,
                signal: number(words, 3)?,
                at: number(words, 4)?,
            }),
            _ => {}
        }
        Ok(())
    }

    fn job(&mut self, words: &[&str]) -> Result<()> {
        let row = Row {
            kind: word(words, 1)?.parse()?,
            mark: word(words, 2)?.to_owned(),
            state: word(words, 3)?.to_owned(),
            key: word(words, 4)?.to_owned(),
            created: number(words, 5)?,
            finished: number(words, 6).ok(),
        };
        self.jobs.insert(number(words, 0)?, row);
        Ok(())
    }

    fn seen(&mut self, at: u64) {
        self.span = (self.span.0.min(at), self.span.1.max(at));
    }
}

fn word<'a>(words: &[&'a str], place: usize) -> Result<&'a str> {
    words.get(place).copied().ok_or_else(|| format!("word {place} is missing").into())
}

fn number<T: std::str::FromStr>(words: &[&str], place: usize) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    Ok(word(words, place)?.parse()?)
}
