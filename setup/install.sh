#!/bin/sh
# Makes .venv hold exactly what requirements.lock names, and the packages of this tree in editable mode.
# A stamp of what went in makes the second run cost next to nothing. Needs Python 3.11 or later, and nothing else.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=.venv

stamp=$(cat requirements.lock setup/uv.lock.txt setup/install.sh proto/pyproject.toml libs/*/pyproject.toml services/*/pyproject.toml | cksum)
if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/stamp" 2>/dev/null || true)" = "$stamp" ]; then
    exit 0
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Python 3.11 or later is needed; PYTHON=/path/to/python3.11 make ... names one" >&2
    exit 1
fi

# One at a time: two makes in two terminals must not install over each other.
exec 9>.install.lock
if command -v flock >/dev/null 2>&1; then flock 9; fi

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    echo "making $venv"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
if [ ! -x "$venv/tools/bin/uv" ]; then
    "$python" -m venv "$venv/tools"
    "$venv/tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r setup/uv.lock.txt
fi

echo "installing what requirements.lock names"
"$venv/tools/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes requirements.lock
set --
for package in proto libs/* services/*; do
    [ -f "$package/pyproject.toml" ] && set -- "$@" -e "./$package"
done
"$venv/tools/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation "$@"
printf '%s\n' "$stamp" >"$venv/stamp"
