//! `lavoro completions`.

use crate::support::{commands, lavoro};
use serde_json::Value;

#[test]
fn every_shell_gets_a_script_that_names_every_command() {
    let commands = commands();
    for command in ["dev", "jobs", "top", "doctor", "completions"] {
        assert!(commands.iter().any(|c| c == command), "{commands:?}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let answer = lavoro(&["completions", shell]);
        assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{shell}");
        for command in &commands {
            assert!(answer.stdout.contains(command.as_str()), "{shell} lacks {command}");
        }
        assert!(answer.stdout.contains("database-url"), "{shell} lacks the options");
    }
}

#[test]
fn a_script_may_come_as_json() {
    let answer = lavoro(&["completions", "fish", "--json"]);
    let facts: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(facts["shell"], "fish");
    assert!(facts["script"].as_str().unwrap().contains("complete -c lavoro"));
}

#[test]
fn an_unknown_shell_is_exit_code_2() {
    let answer = lavoro(&["completions", "tcsh", "--json"]);
    assert_eq!((answer.code, answer.error_code().as_str()), (2, "usage"));
}
