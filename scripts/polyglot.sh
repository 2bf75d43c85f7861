#!/usr/bin/env bash
# Runs tests/polyglot with what `make python`, `make node` and `make c` have built.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
stage=$target/c/stage/lib
python=${PYTHON:-python3}
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

export POLYGLOT_C=$target/c/fleet POLYGLOT_CLI=$target/debug/lavoro
# shellcheck disable=SC2046 # flags are words
cc -std=gnu11 -Wall -Wextra -Wpedantic -Werror -o "$POLYGLOT_C" tests/polyglot/fleet.c \
    $(PKG_CONFIG_PATH=$stage/pkgconfig pkg-config --cflags --libs lavoro) -Wl,-rpath,"$stage" -lpthread
exec "$target/python/venv-$version/bin/python" tests/polyglot/fleet.py
