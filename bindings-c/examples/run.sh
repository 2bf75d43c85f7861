#!/usr/bin/env bash
# Compiles the examples against what was built, runs each against an embedded database of its own
# making, and checks what came of it. Usage: run.sh [directory with liblavoro.so]; CFLAGS and CXXFLAGS
# are added.
set -euo pipefail

readonly HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly INCLUDE="$HERE/../include"
readonly BUILT=$(realpath "${1:-$HERE/../../target/debug}")
readonly STRICT=(-g -Wall -Wextra -Wpedantic -Werror "-I$INCLUDE")
# How long a loaded machine may take.
readonly DEADLINE=${DEADLINE:-120}

WORK=$(mktemp -d)
readonly WORK
worker=

main() {
    trap clean EXIT
    # Programs find the library by its soname.
    ln -s "$BUILT/liblavoro.so" "$WORK/liblavoro.so.1"
    ln -s liblavoro.so.1 "$WORK/liblavoro.so"
    export LD_LIBRARY_PATH="$WORK${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    compile

    # In one directory all share a server; the first that runs makes it.
    mkdir "$WORK/project"
    cd "$WORK/project"
    export LAVORO_DATABASE_URL=embedded:
    check_callback_worker
    check_pull_worker
    check_transaction
    check_raii
    check_abi
    echo "all examples work"
}

clean() {
    if [[ -n $worker ]]; then kill "$worker" 2>/dev/null || true; fi
    rm -rf "$WORK"
}

compile() {
    local name
    for name in producer pull_worker; do
        cc -std=c99 "${STRICT[@]}" ${CFLAGS:-} "$HERE/$name.c" -o "$WORK/$name" -L"$WORK" -llavoro
    done
    # It counts with <stdatomic.h>.
    cc -std=c11 -D_POSIX_C_SOURCE=200809L "${STRICT[@]}" ${CFLAGS:-} -pthread "$HERE/callback_worker.c" \
        -o "$WORK/callback_worker" -L"$WORK" -llavoro
    cc -std=c99 "${STRICT[@]}" ${CFLAGS:-} $(pkg-config --cflags libpq) "$HERE/transaction.c" \
        -o "$WORK/transaction" -L"$WORK" -llavoro $(pkg-config --libs libpq)
    c++ -std=c++11 "${STRICT[@]}" ${CXXFLAGS:-} "$HERE/raii.cpp" -o "$WORK/raii" -L"$WORK" -llavoro
}

# Starts a worker; what it prints goes to $WORK/worker.log.
start_worker() {
    "$WORK/$1" >"$WORK/worker.log" 2>&1 < <(printf 'a line\n') &
    worker=$!
}

stop_worker() {
    kill -TERM "$worker"
    wait "$worker" || fail "the worker ended with $?" "$WORK/worker.log"
    worker=
}

# Waits until a file has so many lines that match.
wait_lines() {
    local until=$((SECONDS + DEADLINE))
    while (($(grep -c -- "$3" "$1") < $2)); do
        if ((SECONDS > until)); then fail "no $2 lines '$3'" "$1"; fi
        if [[ -n $worker ]] && ! kill -0 "$worker" 2>/dev/null; then
            worker=
            fail "the worker ended by itself" "$1"
        fi
        sleep 0.1
    done
}

expect() {
    grep -q -- "$2" "$1" || fail "no line '$2'" "$1"
}

fail() {
    echo "$1 in:" >&2
    cat "$2" >&2
    exit 1
}

run() {
    timeout "$DEADLINE" "$@" >"$WORK/out.log" 2>&1 || fail "$1 ended with $?" "$WORK/out.log"
}

check_callback_worker() {
    run "$WORK/producer"
    expect "$WORK/out.log" '^greet is job [0-9]'
    expect "$WORK/out.log" 'which was there already$'
    start_worker callback_worker
    wait_lines "$WORK/worker.log" 11 '^greet {'
    wait_lines "$WORK/worker.log" 1 '^report (job [0-9]*, attempt 1)'
    stop_worker
    expect "$WORK/worker.log" '^stopped after 11 greetings$'
    echo "producer, callback_worker: ok"
}

check_pull_worker() {
    start_worker pull_worker
    wait_lines "$WORK/worker.log" 1 '^read a line$'
    run "$WORK/producer"
    wait_lines "$WORK/worker.log" 11 '^pulled {'
    stop_worker
    expect "$WORK/worker.log" '^stopped$'
    echo "pull_worker: ok"
}

check_transaction() {
    run "$WORK/transaction"
    expect "$WORK/out.log" '^a clock: shipped$'
    expect "$WORK/out.log" '^job [0-9]* is completed$'
    if grep -q regretted "$WORK/out.log"; then fail "a rolled back order" "$WORK/out.log"; fi
    echo "transaction: ok"
}

check_raii() {
    run "$WORK/raii"
    expect "$WORK/out.log" '"doubled": *2121'
    expect "$WORK/out.log" '^a second holder gets nothing$'
    expect "$WORK/out.log" '^invalid_task: '
    echo "raii: ok"
}

check_abi() {
    run python3 "$HERE/abi.py"
    expect "$WORK/out.log" '"sum": *42'
    expect "$WORK/out.log" '^refused: '
    echo "abi.py: ok"
}

main
