//! `lavoro schedules`: what it makes, shows and refuses.

use crate::support::Schema;
use serde_json::json;

#[test]
fn a_schedule_is_made_shown_paused_run_and_removed() {
    let schema = Schema::new("schedules");
    let add = ["schedules", "add", "nightly", "--task", "report", "--tz", "Europe/Rome"];
    let made = schema.json(&[&add[..], &["--cron", "30 3 * * *", "--payload", "[1]"]].concat());
    assert_eq!(made["cron"], "30 3 * * *");
    assert_eq!(made["next"].as_array().unwrap().len(), 5);
    let again = schema.run(&[&add[..], &["--every", "day", "--json"]].concat());
    assert_eq!((again.code, again.error_code().as_str()), (7, "schedule_exists"));
    let words = ["--every", "week", "--on", "monday", "--at", "09:30", "--replace"];
    let replaced = schema.json(&[&add[..], &words].concat());
    assert_eq!(replaced["cron"], "30 9 * * 1");

    assert_eq!(
        schema.json(&["schedules", "pause", "nightly"]),
        json!({"name": "nightly", "paused": true})
    );
    let list = schema.json(&["schedules", "list"]);
    assert_eq!(list[0]["next"], json!([]));
    assert!(schema.run(&["schedules", "list"]).stdout.contains("paused"));
    schema.json(&["schedules", "resume", "nightly"]);

    let id = schema.json(&["schedules", "run", "nightly"])["id"].as_str().unwrap().to_owned();
    let job = schema.json(&["jobs", "show", &id]);
    assert_eq!(job["metadata"]["schedule"]["name"], "nightly");
    let refused = schema.run(&["schedules", "run", "nightly", "--json"]);
    assert_eq!((refused.code, refused.error_code().as_str()), (7, "invalid_state"));
    let shown = schema.json(&["schedules", "show", "nightly"]);
    assert_eq!(shown["slots"][0]["job"], json!(id));
    assert_eq!(shown["schedule"]["last_job"], json!(id));
    let text = schema.run(&["schedules", "show", "nightly"]).stdout;
    assert!(text.contains("time_zone: Europe/Rome") && text.contains("run by hand"), "{text}");

    schema.json(&["schedules", "remove", "nightly"]);
    for command in ["remove", "show", "pause", "resume", "run"] {
        let gone = schema.run(&["schedules", command, "nightly", "--json"]);
        assert_eq!((gone.code, gone.error_code().as_str()), (3, "schedule_not_found"), "{command}");
    }
    assert_eq!(schema.json(&["schedules", "list"]), json!([]));
}

#[test]
fn the_list_has_pages_and_jobs_have_an_end() {
    let schema = Schema::new("schedules_pages");
    for name in ["a", "b", "c"] {
        let add = ["schedules", "add", name, "--task", "t", "--every", "day"];
        let made = schema
            .json(&[&add[..], &["--expires-in", "90s", "--on-discarded", "apology"]].concat());
        assert_eq!(
            (&made["expires_ms"], &made["on_discarded"]),
            (&json!(90_000), &json!("apology"))
        );
    }
    let names = |args: &[&str]| -> Vec<String> {
        let page = schema.json(&[&["schedules", "list"][..], args].concat());
        let page = page.as_array().unwrap().iter();
        page.map(|schedule| schedule["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["--limit", "2"]), ["a", "b"]);
    assert_eq!(names(&["--limit", "2", "--after", "b"]), ["c"]);
    assert!(names(&["--after", "c"]).is_empty());
    for args in [["--limit", "0"], ["--limit", "1001"]] {
        let refused = schema.run(&[&["schedules", "list", "--json"][..], &args].concat());
        assert_eq!((refused.code, refused.error_code().as_str()), (2, "usage"));
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let schema = Schema::new("schedules_refused");
    for (args, code) in [
        (&["--cron", "0 0 30 2 *"][..], "invalid_schedule"),
        (&["--cron", "* * *"], "invalid_schedule"),
        (&["--every", "fortnight"], "invalid_schedule"),
        (&["--every", "hour", "--tz", "Mars"], "invalid_schedule"),
        (&["--at", "25:00"], "invalid_schedule"),
        (&["--every", "hour", "--missed", "all"], "invalid_schedule"),
        (&["--every", "hour", "--jitter", "25h"], "invalid_schedule"),
        (&["--every", "hour", "--max-attempts", "0"], "invalid_option"),
        (&["--every", "hour", "--payload", "{"], "invalid_payload"),
        (&["--every", "hour", "--expires-in", "0s"], "invalid_time"),
        (&["--every", "hour", "--on-discarded", ""], "invalid_task"),
        (&["--every", "hour", "--cron", "* * * * *"], "usage"),
        (&["--every", "hour", "--overlap", "maybe"], "usage"),
        (&[], "usage"),
    ] {
        let answer = schema
            .run(&[&["schedules", "add", "s", "--task", "t"][..], args, &["--json"]].concat());
        assert_eq!((answer.code, answer.error_code().as_str()), (2, code), "{args:?}");
    }
    assert_eq!(schema.json(&["schedules", "list"]), json!([]));
}
