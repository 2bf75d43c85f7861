#!/usr/bin/env bash
# Builds the wheel, installs it into an environment of its own, and tests it there, outside of the
# source tree: what is tested is what others get. PYTHON names another interpreter, 3.9 or later.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
home=${CARGO_TARGET_DIR:-$PWD/target}/python
venv=$home/venv-$version
wheels=$home/wheels
source=$PWD/bindings-python

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
needs=$(tr '\n' ' ' <"$source/tests/requirements.txt")
if [ "$(cat "$venv/needs" 2>/dev/null)" != "$needs" ]; then
	"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$source/tests/requirements.txt"
	echo "$needs" >"$venv/needs"
fi

rm -rf "$wheels"
"$venv/bin/maturin" build --quiet --profile dev --manifest-path "$source/Cargo.toml" \
	--target-dir "${CARGO_TARGET_DIR:-$PWD/target}" --out "$wheels"
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheels"/*.whl

# A copy of the tests alone, so that nothing of the source tree is found.
rm -rf "$home/run"
mkdir -p "$home/run" "$home/docs"
cp docs/python.md docs/limits.md "$home/docs"
cp -R "$source/tests" "$source/pyproject.toml" "$home/run"
[ ! -d "$source/examples" ] || cp -R "$source/examples" "$home/run"
cd "$home/run"
export PYTHONDONTWRITEBYTECODE=1
"$venv/bin/python" -m pytest ${PYTEST_ARGUMENTS:-}

"$venv/bin/mypy" --config-file pyproject.toml --cache-dir "$home/mypy" -p lavoro
[ ! -d examples ] || "$venv/bin/mypy" --config-file pyproject.toml --cache-dir "$home/mypy" examples
"$venv/bin/python" -m mypy.stubtest lavoro._native
