#!/usr/bin/env bash
# Runs the guarantees of the core through a private PgBouncer in transaction mode, with two sessions of
# the server for each database. What makes no sense there is listed, with reasons, in
# tests/core/not_behind_a_pooler.txt; the other suites run it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LIST=tests/core/not_behind_a_pooler.txt

skips=()
while IFS=: read -r module name; do
    skips+=(--skip "$module::$name")
done < <(sed -n 's/^\([a-z_]*\)::\([a-z_0-9]*\): .*/\1:\2/p' "$LIST")
echo "not behind a pooler ($LIST):"
grep -v -e '^#' -e '^$' "$LIST" | sed 's/^/  /'
LAVORO_TEST_POOLER=transaction cargo test -p lavoro-tests --test core -- --exact "${skips[@]}"
