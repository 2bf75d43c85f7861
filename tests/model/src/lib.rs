//! A small model of the protocol by which jobs are leased, rescued and ended.
//!
//! Every action stands for one statement or one event, and names the SQL file it stands for:
//! whoever changes one looks at the other. docs/adr/0007-model.md says what is left out.

mod action;
mod actions;
mod client;
mod properties;
mod rescue;
mod server;
mod settle;
mod state;

pub use action::Action;
pub use state::{Budget, State};

use stateright::{Model, Property};

/// How many ticks a silent worker keeps its jobs. A worker with contact beats in every tick.
const LEASE: u8 = 3;

/// A mistake. Each must be found by the checker. The engine makes none of them except the last
/// two, which this model found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A completion is accepted whatever its lease lists.
    NoFence,
    /// A rescue does not look at the heartbeat again under the lock on the worker's row.
    NoSecondLook,
    /// A completion in a transaction locks its lease and not the job.
    LeaseOnly,
    /// A completion in a transaction looks at the lease first, and then locks the job.
    LeaseFirst,
    /// A rescue waits for jobs that transactions hold, instead of passing them over.
    WaitForLocked,
    /// The rescuer judges by the server's clock alone.
    OneClock,
    /// A claim whose reply was lost is looked up without a void row in its place.
    NoVoid,
    /// Nothing makes a job's outcome unique.
    NoKey,
    /// A rescuer counts what happened before its own start as silence.
    SilentStart,
    /// A manual retry leaves the job listed in the lease it ran under.
    RetryKeepsLease,
    /// A rescue ends the worker's row after its commit. It may have deleted a void row, and a
    /// heartbeat in between keeps the worker, and with it a claim that comes late, alive.
    EndsLater,
    /// Whether an outcome was recorded is told by the start of the attempt alone, which a
    /// rescuer writes too when it discards a job.
    RecordedByStart,
}

/// The protocol, with a bound on what may go wrong.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How many jobs there are, all enqueued: 1 or 2.
    pub jobs: usize,
    /// How many workers there are.
    pub workers: usize,
    /// Whether time is modelled. If not, who is frozen or dead may be judged lost at any moment,
    /// and nobody else.
    pub clocks: bool,
    /// How often each kind of trouble may happen.
    pub budget: Budget,
    /// What is done wrong.
    pub flaw: Option<Flaw>,
}

impl Protocol {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions::enabled(self, state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        actions::apply(self, &mut state, action);
        state.tidy();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
