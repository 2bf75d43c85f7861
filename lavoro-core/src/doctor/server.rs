//! The server itself: its version, encoding, collation, and clock.

use super::{Check, Facts, Finding};

const SERVER: Check =
    Check { name: "server", why: "Lavoro uses what PostgreSQL has had since version 14." };
const ENCODING: Check = Check {
    name: "encoding",
    why: "A payload may hold any text; only UTF8 stores it in every language alike.",
};
const COLLATION: Check = Check {
    name: "collation",
    why: "When the operating system sorts otherwise than when an index was built, the index may \
          not find what it holds. Lavoro's own keys use the collation C and are safe; your \
          tables beside them may not be.",
};
const READ_ONLY: Check = Check {
    name: "read_only",
    why: "Nothing can be enqueued, claimed or completed on a read-only server.",
};
const CLOCK: Check = Check {
    name: "clock",
    why: "The server's clock decides when a job is due. A program that computes run_at by a clock \
          that differs has its jobs run early or late by as much.",
};

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    vec![server(facts), encoding(facts), collation(facts), read_only(facts), clock(facts)]
}

fn server(facts: &Facts) -> Finding {
    let server = &facts.server;
    let found = format!("PostgreSQL {}", server.version_text);
    if server.version < server.oldest {
        return SERVER.problem(found, "upgrade the server to PostgreSQL 14 or later");
    }
    SERVER.ok(found)
}

fn encoding(facts: &Facts) -> Finding {
    let encoding = &facts.server.encoding;
    if encoding == "UTF8" {
        return ENCODING.ok("the database's encoding is UTF8");
    }
    ENCODING.problem(
        format!("the database's encoding is {encoding}"),
        "use a database made with encoding 'UTF8'",
    )
}

fn collation(facts: &Facts) -> Finding {
    match &facts.collation {
        Err(said) => COLLATION.unseen(said),
        Ok(None) => COLLATION.ok("the database's collation is not the operating system's"),
        Ok(Some(collation)) => match (&collation.recorded, &collation.actual) {
            (Some(recorded), Some(actual)) if recorded != actual => COLLATION.warning(
                format!(
                    "{} had version {recorded} when the database was made, and has {actual} now",
                    collation.name
                ),
                format!(
                    "run `reindex database {0}`, then `alter database {0} refresh collation \
                     version`",
                    lavoro_migrations::quote(&facts.server.database)
                ),
            ),
            (Some(recorded), Some(_)) => {
                COLLATION.ok(format!("{}, version {recorded}", collation.name))
            }
            _ => COLLATION.ok(format!("{}, without a version", collation.name)),
        },
    }
}

fn read_only(facts: &Facts) -> Finding {
    match (facts.server.standby, facts.server.read_only) {
        (true, _) => {
            READ_ONLY.problem("this is a standby", "mend the URL: it must name the primary")
        }
        (false, true) => READ_ONLY.problem(
            "transactions are read-only here",
            "see who sets default_transaction_read_only: server, database or role",
        ),
        (false, false) => READ_ONLY.ok("the server can be written to"),
    }
}

fn clock(facts: &Facts) -> Finding {
    let (ahead, error) = (facts.server.ahead_ms, facts.server.error_ms);
    let word = if ahead < 0 { "behind" } else { "ahead of" };
    let found = format!(
        "this machine's clock is {} ms {word} the server's (give or take {error} ms)",
        ahead.abs()
    );
    let remedy = "set both clocks by NTP; or enqueue with a delay, which the server adds to its own \
                  clock, instead of run_at";
    match ahead.abs() - error {
        i64::MIN..=1_000 => CLOCK.ok(found),
        1_001..=60_000 => CLOCK.warning(found, remedy),
        _ => CLOCK.problem(found, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Collation;
    use super::super::tests::status;

    #[test]
    fn an_old_server_and_a_foreign_encoding_are_problems() {
        assert_eq!(status("server", |f| f.server.version = 130_012), "problem");
        assert_eq!(status("encoding", |f| f.server.encoding = "LATIN1".into()), "problem");
    }

    #[test]
    fn a_collation_that_changed_is_a_warning() {
        let collation = |actual: &str| {
            Ok(Some(Collation {
                name: "en_US.UTF-8".into(),
                recorded: Some("2.31".into()),
                actual: Some(actual.into()),
            }))
        };
        assert_eq!(status("collation", |f| f.collation = collation("2.36")), "warning");
        assert_eq!(status("collation", |f| f.collation = collation("2.31")), "ok");
    }

    #[test]
    fn a_server_that_cannot_be_written_to_is_a_problem() {
        assert_eq!(status("read_only", |f| f.server.standby = true), "problem");
        assert_eq!(status("read_only", |f| f.server.read_only = true), "problem");
    }

    #[test]
    fn a_clock_is_judged_beyond_what_the_round_trip_explains() {
        assert_eq!(status("clock", |f| f.server.ahead_ms = 1_500), "warning");
        assert_eq!(status("clock", |f| f.server.ahead_ms = -1_500), "warning");
        assert_eq!(status("clock", |f| f.server.ahead_ms = -3_600_000), "problem");
        assert_eq!(
            status("clock", |f| (f.server.ahead_ms, f.server.error_ms) = (1_500, 800)),
            "ok"
        );
    }
}
