//! Prints `include/lavoro.h`: `make generate` writes it there.

#![allow(clippy::unwrap_used, reason = "a program for our own use")]

use cbindgen::{Builder, Config};
use std::path::Path;

/// In the order in which someone reads a header.
const MODULES: &[&str] = &[
    "version", "status", "text", "options", "client", "worker", "handlers", "job", "outcome",
    "lock", "sql", "log",
];

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::from_file(here.join("cbindgen.toml")).unwrap();
    let builder = Builder::new().with_config(config);
    let builder = MODULES
        .iter()
        .fold(builder, |builder, name| builder.with_src(here.join(format!("src/{name}.rs"))));
    builder.generate().unwrap().write(std::io::stdout());
}
