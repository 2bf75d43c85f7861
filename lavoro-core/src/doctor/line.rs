//! What lies between this program and the server: poolers, messages, connections.

use super::{Check, Facts, Finding};
use std::time::Duration;

const POOLER: Check = Check {
    name: "pooler",
    why: "Behind a pooler in transaction mode nothing outlives a transaction: settings, prepared \
          statements and LISTEN get lost. Lavoro works there once it has been told.",
};
const PREPARED: Check = Check {
    name: "prepared_statements",
    why: "Lavoro prepares its statements once for each connection. A pooler that loses them makes \
          calls fail.",
};
const LISTEN: Check = Check {
    name: "listen",
    why: "A message wakes idle workers at once. Where none arrives they find jobs by polling, up to \
          a poll interval later.",
};
const CONNECTIONS: Check = Check {
    name: "connections",
    why: "Without a free connection a worker that starts, or comes back after an outage, is \
          refused, and its leases run out.",
};

/// Above this a message is late for a wake-up.
const SLOW: Duration = Duration::from_millis(500);

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    vec![pooler(facts), prepared(facts), listen(facts), connections(facts)]
}

fn pooler(facts: &Facts) -> Finding {
    match (&facts.line.shared, facts.line.declared) {
        (Err(said), _) => POOLER.unseen(said),
        (Ok(true), false) => POOLER.problem(
            "a pooler in transaction mode lies between, and Lavoro has not been told",
            "connect with `--pooler transaction` or ?pooler=transaction in the URL; or, faster, \
             without the pooler or in session mode",
        ),
        (Ok(true), true) => POOLER.ok("a pooler in transaction mode lies between, as declared"),
        (Ok(false), true) => POOLER.warning(
            "a transaction pooler is declared, and none was noticed",
            "leave `--pooler transaction` and ?pooler=transaction out if there is none: every \
             statement costs two round trips more",
        ),
        (Ok(false), false) => POOLER.ok("connections keep their session"),
    }
}

fn prepared(facts: &Facts) -> Finding {
    match &facts.line.named {
        Err(said) => PREPARED.unseen(said),
        Ok(Ok(())) => PREPARED.ok("a prepared statement could be run again"),
        Ok(Err(_)) if facts.line.declared => PREPARED
            .ok("they get lost on the way, and are not used: a transaction pooler is declared"),
        Ok(Err(said)) => PREPARED.problem(
            format!("a prepared statement could not be run again: {said}"),
            "connect with `--pooler transaction` or ?pooler=transaction in the URL",
        ),
    }
}

fn listen(facts: &Facts) -> Finding {
    match &facts.line.heard {
        Err(said) => LISTEN.unseen(said),
        Ok(Some(after)) => {
            let found = format!("a message to ourselves came back after {} ms", after.as_millis());
            if *after > SLOW {
                let remedy = "see what keeps the server or its network busy";
                return LISTEN.warning(found, remedy);
            }
            LISTEN.ok(found)
        }
        Ok(None) if facts.line.declared => {
            LISTEN.ok("messages do not arrive, as behind every transaction pooler: workers poll")
        }
        Ok(None) => LISTEN.warning(
            "a message to ourselves did not come back",
            "behind a transaction pooler that is so: declare it with `--pooler transaction`, or give \
             workers a URL that leads past the pooler",
        ),
    }
}

fn connections(facts: &Facts) -> Finding {
    let settings = match &facts.settings {
        Err(said) => return CONNECTIONS.unseen(said),
        Ok(settings) => settings,
    };
    let usable = (settings.max_connections - settings.reserved).max(1);
    let found = format!("{} of {usable} connections are taken", settings.connections);
    let remedy = "raise max_connections, lower the programs' pool sizes (a worker needs its pool \
                  and 2 more), or put a pooler between";
    match settings.connections * 100 / usable {
        i64::MIN..80 => CONNECTIONS.ok(found),
        80..95 => CONNECTIONS.warning(found, remedy),
        _ => CONNECTIONS.problem(found, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Facts;
    use super::super::tests::status;
    use std::time::Duration;

    fn behind_a_pooler(facts: &mut Facts) {
        facts.line.shared = Ok(true);
        facts.line.named = Ok(Err("prepared statement does not exist".into()));
        facts.line.heard = Ok(None);
    }

    #[test]
    fn a_pooler_that_lavoro_was_not_told_of_is_a_problem() {
        assert_eq!(status("pooler", behind_a_pooler), "problem");
        assert_eq!(status("prepared_statements", behind_a_pooler), "problem");
        assert_eq!(status("listen", behind_a_pooler), "warning");
    }

    #[test]
    fn a_declared_pooler_is_as_it_should_be() {
        for check in ["pooler", "prepared_statements", "listen"] {
            let declared = |facts: &mut Facts| {
                behind_a_pooler(facts);
                facts.line.declared = true;
            };
            assert_eq!(status(check, declared), "ok", "{check}");
        }
        assert_eq!(status("pooler", |f| f.line.declared = true), "warning");
    }

    #[test]
    fn late_messages_are_a_warning() {
        let late = |f: &mut Facts| f.line.heard = Ok(Some(Duration::from_secs(1)));
        assert_eq!(status("listen", late), "warning");
    }

    #[test]
    fn connections_are_judged_by_what_is_left() {
        let taken = |count| move |f: &mut Facts| f.settings.as_mut().unwrap().connections = count;
        assert_eq!(status("connections", taken(70)), "ok");
        assert_eq!(status("connections", taken(80)), "warning");
        assert_eq!(status("connections", taken(96)), "problem");
    }
}
