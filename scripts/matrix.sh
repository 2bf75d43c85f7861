#!/usr/bin/env bash
# Runs the suites that depend on PostgreSQL's version on the given major versions: the guarantees of
# the core, plans included, and the SQL of the documents. One line per version; of a failure also what
# the tests said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LOGS="${CARGO_TARGET_DIR:-target}/matrix"

main() {
    local major failed=0
    mkdir -p "$LOGS"
    cargo test -q -p lavoro-tests --test core --test docs --no-run
    for major in "$@"; do
        run "$major" || failed=1
    done
    return "$failed"
}

run() {
    local bin version log="$LOGS/$1.log" started=$SECONDS passed
    bin=$(scripts/postgres.sh "$1") || return 1
    version=$("$bin/postgres" --version) || return 1
    version=${version##* }
    if LAVORO_PG_BIN=$bin cargo test -p lavoro-tests --test core --test docs >"$log" 2>&1; then
        passed=$(grep -c '^test .* ok$' "$log")
        echo "PostgreSQL $version: ok, $passed tests in $((SECONDS - started)) s"
    else
        sed -n '/^failures:$/,$p; /^error/p' "$log" >&2
        echo "PostgreSQL $version: FAILED in $((SECONDS - started)) s, see $log"
        return 1
    fi
}

main "$@"
