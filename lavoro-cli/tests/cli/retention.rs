//! `lavoro retention`: what it says, stores and refuses.

use crate::support::Schema;
use serde_json::json;

const DAY: u64 = 86_400_000;

#[test]
fn rules_are_listed_set_and_removed() {
    let schema = Schema::new("retention");
    let built_in = json!({"task": null, "completed_ms": 7 * DAY, "cancelled_ms": 7 * DAY,
                          "discarded_ms": 30 * DAY});
    assert_eq!(schema.json(&["retention", "list"]), json!([built_in]));
    let every = schema.json(&["retention", "set", "--completed", "3d"]);
    assert_eq!(every["completed_ms"], 3 * DAY);
    assert_eq!(every["discarded_ms"], 30 * DAY);
    schema.json(&["retention", "set", "--task", "ping", "--completed", "0"]);
    let ping = json!({"task": "ping", "completed_ms": 0, "cancelled_ms": null,
                      "discarded_ms": 5_400_000});
    let set = ["retention", "set", "--task", "ping", "--discarded", "90m"];
    assert_eq!(schema.json(&set), ping, "what is left out stays");
    assert_eq!(schema.json(&["retention", "list"]), json!([every, ping]));
    let table = schema.run(&["retention", "list"]).stdout;
    let lines: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["TASK", "COMPLETED", "CANCELLED", "DISCARDED"]);
    assert_eq!(lines[1], ["(every", "task)", "3d", "7d", "30d"]);
    assert_eq!(lines[2], ["ping", "0", "-", "90m"]);

    let unset = ["retention", "unset", "--task", "ping"];
    assert_eq!(schema.json(&unset), json!({"task": "ping", "removed": true}));
    assert_eq!(schema.json(&unset), json!({"task": "ping", "removed": false}));
    assert_eq!(schema.run(&["retention", "unset"]).stdout, "Removed the rule of every task.\n");
    assert_eq!(schema.json(&["retention", "list"]), json!([built_in]));
}

#[test]
fn what_is_wrong_is_refused() {
    let schema = Schema::new("retention_refused");
    for (args, code) in [
        (&["set", "--completed", "3651d"][..], "invalid_option"),
        (&["set"], "invalid_option"),
        (&["set", "--task", "", "--completed", "1d"], "invalid_task"),
        (&["unset", "--task", ""], "invalid_task"),
        (&["set", "--completed", "-1d"], "usage"),
        (&["set", "--completed", "soon"], "usage"),
        (&["drop"], "usage"),
    ] {
        let answer = schema.run(&[&["retention"], args, &["--json"]].concat());
        assert_eq!((answer.code, answer.error_code().as_str()), (2, code), "{args:?}");
    }
    let missing = Schema::empty("retention_missing").run(&["retention", "list", "--json"]);
    assert_eq!((missing.code, missing.error_code().as_str()), (5, "schema_missing"));
}
