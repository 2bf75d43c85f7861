#!/usr/bin/env bash
# Installs what was built under a temporary DESTDIR and uses it as a stranger would: pkg-config, CMake,
# the shared and the static library, the headers alone. Builds nothing itself.
# Usage: package.sh [PROFILE], default debug.
set -euo pipefail

readonly HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly PROFILE=${1:-debug}
readonly PREFIX=/opt/lavoro
readonly STRICT=(-Wall -Wextra -Wpedantic -Werror)

STAGE=$(mktemp -d)
readonly STAGE
readonly LIB=$STAGE$PREFIX/lib INCLUDE=$STAGE$PREFIX/include

main() {
    trap 'rm -rf "$STAGE"' EXIT
    # -o: what is there is taken as it is.
    make -s -C "$HERE" -o library install PROFILE="$PROFILE" PREFIX="$PREFIX" DESTDIR="$STAGE" >/dev/null
    write_program
    check_paths
    check_exports
    check_headers
    check_guide
    check_pkg_config
    check_static
    check_cmake
    echo "package: ok"
}

write_program() {
    cat >"$STAGE/program.c" <<'C'
#include <lavoro.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    lavoro_client *client = NULL;

    if (lavoro_abi_check(LAVORO_ABI_VERSION) != LAVORO_OK) {
        return 1;
    }
    if (lavoro_client_open("nonsense:", NULL, &client) != LAVORO_INVALID_URL || client != NULL) {
        return 2;
    }
    puts(lavoro_version());
    return strlen(lavoro_error_message()) == 0;
}
C
}

# No path of this build is in what is installed.
check_paths() {
    local found
    found=$(grep -rIl -e "$STAGE" -e "$HERE" "$STAGE$PREFIX" || true)
    if [[ -n $found ]]; then fail "the place of installation is in $found"; fi
    for found in "$LIB"/liblavoro.so "$LIB"/liblavoro.so.1; do
        [[ -L $found && -e $found ]] || fail "$found is no link that leads to a file"
        [[ $(readlink "$found") != */* ]] || fail "$found leads out of its directory"
    done
    man --warnings -l "$STAGE$PREFIX/share/man/man3/lavoro.3" >/dev/null 2>"$STAGE/man.log" || true
    [[ ! -s $STAGE/man.log ]] || fail "the man page: $(head -3 "$STAGE/man.log")"
}

# What is exported is what the header declares, and nothing else.
check_exports() {
    readelf -d "$LIB/liblavoro.so" | grep -q 'soname: \[liblavoro\.so\.1\]' || fail "the soname"
    nm -D --defined-only "$LIB/liblavoro.so" | awk '{ print $3 }' | sort -u >"$STAGE/exported"
    cc -E -P -x c "$INCLUDE/lavoro.h" | tr '\n' ' ' | grep -oE 'lavoro_[a-z_]+\(' | tr -d '(' | sort -u \
        >"$STAGE/declared"
    diff "$STAGE/declared" "$STAGE/exported" >&2 || fail "declared (<) and exported (>) differ"
}

check_headers() {
    local standard
    for standard in c99 c11 c17; do
        cc -std=$standard "${STRICT[@]}" -fsyntax-only -x c "$INCLUDE/lavoro.h"
    done
    for standard in c++11 c++20; do
        c++ -std=$standard "${STRICT[@]}" -fsyntax-only -x c++ "$INCLUDE/lavoro.h"
        # Included, as a header of C++ is; twice, and in two files of one program.
        printf '#include <lavoro.hpp>\n#include <lavoro.hpp>\nint one() { return LAVORO_OK; }\n' \
            >"$STAGE/one.cpp"
        # A worker may move, but not onto one whose callbacks may run.
        cat >"$STAGE/two.cpp" <<'CPP'
#include <lavoro.hpp>
#include <type_traits>
static_assert(std::is_move_constructible<lavoro::worker>::value, "moves");
static_assert(!std::is_move_assignable<lavoro::worker>::value, "is not replaced");
int one();
int main() { return one() + lavoro::error(LAVORO_OK).is_transient(); }
CPP
        c++ -std=$standard "${STRICT[@]}" "-I$INCLUDE" "$STAGE/one.cpp" "$STAGE/two.cpp" \
            -o "$STAGE/cpp" "-L$LIB" -llavoro
    done
    # The initialisers are constants, and complete.
    printf '%s\n' '#include <lavoro.h>' 'lavoro_client_options a = LAVORO_CLIENT_OPTIONS_INIT;' \
        'lavoro_job_options b = LAVORO_JOB_OPTIONS_INIT;' 'lavoro_new_job c = LAVORO_NEW_JOB_INIT;' \
        'lavoro_worker_options d = LAVORO_WORKER_OPTIONS_INIT;' \
        'lavoro_lock_options e = LAVORO_LOCK_OPTIONS_INIT;' >"$STAGE/initial.c"
    cc -std=c99 "${STRICT[@]}" "-I$INCLUDE" -fsyntax-only "$STAGE/initial.c"
    c++ -std=c++11 "${STRICT[@]}" "-I$INCLUDE" -fsyntax-only -x c++ "$STAGE/initial.c"
}

# The C of docs/c.md compiles, and all methods that it can call are listed.
check_guide() {
    local guide=$HERE/../docs/c.md block name
    awk -v out="$STAGE/guide" '/^```c$/ { open = 1; n++; next } /^```/ { open = 0 }
        open { print > (out n ".c") }' "$guide"
    for block in "$STAGE"/guide*.c; do
        cc -std=c99 -D_POSIX_C_SOURCE=200809L "${STRICT[@]}" "-I$INCLUDE" \
            $(pkg-config --cflags libpq) -fsyntax-only "$block"
    done
    while read -r name; do
        grep -q "^| \`$name\` |" "$guide" || fail "docs/c.md does not list the method $name"
    done < <(sed -n '/^methods! {/,/^}/s/^    "\([a-z_.]*\)".*/\1/p' \
        "$HERE/../bindings-common/src/call/mod.rs")
}

check_pkg_config() {
    cc -std=c99 "${STRICT[@]}" "$STAGE/program.c" -o "$STAGE/shared" $(package --cflags --libs lavoro)
    runs "$STAGE/shared" "$(package --modversion lavoro)"
    readelf -d "$STAGE/shared" | grep -q 'NEEDED.*\[liblavoro\.so\.1\]' || fail "the name it asks for"
}

# pkg-config with the root that a packager would give it.
package() {
    PKG_CONFIG_SYSROOT_DIR="$STAGE" PKG_CONFIG_LIBDIR="$LIB/pkgconfig" pkg-config "$@"
}

# With what pkg-config says that a static library needs, and no shared one to fall back on.
check_static() {
    mkdir "$STAGE/only"
    ln "$LIB/liblavoro.a" "$STAGE/only/"
    cc -std=c99 "${STRICT[@]}" "$STAGE/program.c" -o "$STAGE/static" $(package --cflags lavoro) \
        "-L$STAGE/only" $(package --static --libs-only-l lavoro)
    if readelf -d "$STAGE/static" | grep -q 'NEEDED.*lavoro'; then fail "it is not static"; fi
    runs "$STAGE/static" "$(package --modversion lavoro)"
}

check_cmake() {
    command -v cmake >/dev/null || { echo "package: no cmake here, not checked"; return; }
    local version
    version=$(package --modversion lavoro)
    mkdir "$STAGE/project"
    cat >"$STAGE/project/CMakeLists.txt" <<CMAKE
cmake_minimum_required(VERSION 3.16)
project(program C)
find_package(lavoro $version REQUIRED)
find_package(lavoro $version REQUIRED) # as two parts of a project do
add_executable(program ../program.c)
target_link_libraries(program PRIVATE lavoro::lavoro)
add_executable(program_static ../program.c)
target_link_libraries(program_static PRIVATE lavoro::static)
CMAKE
    cmake -S "$STAGE/project" -B "$STAGE/made" "-DCMAKE_PREFIX_PATH=$STAGE$PREFIX" >"$STAGE/cmake.log" &&
        cmake --build "$STAGE/made" >>"$STAGE/cmake.log" || fail "CMake: $(tail -20 "$STAGE/cmake.log")"
    runs "$STAGE/made/program" "$version"
    runs "$STAGE/made/program_static" "$version"
    refused_by_cmake 99
}

# A version that is not there is not found.
refused_by_cmake() {
    sed -i "s/find_package(lavoro [^ ]*/find_package(lavoro $1/" "$STAGE/project/CMakeLists.txt"
    if cmake -S "$STAGE/project" -B "$STAGE/made-$1" "-DCMAKE_PREFIX_PATH=$STAGE$PREFIX" \
        >"$STAGE/cmake.log" 2>&1; then
        fail "CMake took this for version $1"
    fi
}

# A program runs and says its version.
runs() {
    local said
    said=$(LD_LIBRARY_PATH="$LIB" timeout 60 "$1") || fail "$1 ended with $?"
    [[ $said == "$2" ]] || fail "$1 said $said, not $2"
}

fail() {
    echo "package: $1" >&2
    exit 1
}

main
