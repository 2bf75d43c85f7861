#!/usr/bin/env bash
# The command line in the fleet: see fleet.py. POLYGLOT_CLI names the program `lavoro`.
set -euo pipefail
if [[ $1 == worker ]]; then
    exec "$POLYGLOT_CLI" worker --exec echo_cli=cat
fi
for task in "${@:2}"; do
    "$POLYGLOT_CLI" enqueue "$task" "$PAYLOAD"
done
