#!/bin/sh
# Makes .venv hold exactly what requirements.lock names, and the packages of this tree in editable mode.
# A stamp of what went in makes the second run cost next to nothing. Needs Python 3.11 or later, and nothing else.
set -eu
cd "$(dirname "$0")/.."
venv=.venv
native="services/identity/polis/identity/people/argon2id.c services/gateway/polis/gateway/websocket/spread.c"

wanted() {
    pwd
    readlink -f "$venv/bin/python" 2>/dev/null || true
    cat requirements.lock setup/uv.lock.txt setup/install.sh setup/native.sh proto/pyproject.toml libs/*/pyproject.toml clients/*/pyproject.toml services/*/pyproject.toml $native | cksum
}

is_installed() { [ -x "$venv/bin/python" ] && [ "$(cat "$venv/stamp" 2>/dev/null || true)" = "$(wanted)" ]; }

is_installed && exit 0

# One at a time: two makes in two terminals must not install over each other.
exec 9>.install.lock
if command -v flock >/dev/null 2>&1; then
    flock 9
    is_installed && exit 0
fi

# What was made in another place, or by a Python that is gone, names paths that no longer hold.
is_usable() {
    version=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) &&
        [ -d "$venv/lib/python$version/site-packages" ] && [ "$(cat "$venv/place" 2>/dev/null || pwd)" = "$(pwd)" ]
}
if ! is_usable; then
    for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 none}; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi
    done
    if [ "$python" = none ] || ! "$python" -c '' 2>/dev/null; then
        echo "Python 3.11 or later is needed; PYTHON=/path/to/python3.11 make ... names one" >&2
        exit 1
    fi
    echo "making $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv --without-pip "$venv"
    pwd >"$venv/place"
fi
rm -f "$venv/stamp"

if [ ! -w "${HOME:-/nonexistent}" ]; then
    UV_CACHE_DIR=$(pwd)/$venv/cache
    export UV_CACHE_DIR
fi
uv=$venv/tools/bin/uv
tools=$(cksum <setup/uv.lock.txt)
if [ ! -x "$uv" ] || [ "$(cat "$venv/tools/stamp" 2>/dev/null || true)" != "$tools" ]; then
    if ! "$venv/bin/python" -c 'import ensurepip' 2>/dev/null; then
        echo "this Python comes without its module ensurepip; Debian keeps it in python3-venv: apt-get install python3-venv" >&2
        exit 1
    fi
    "$venv/bin/python" -m venv --clear "$venv/tools"
    "$venv/tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r setup/uv.lock.txt
    printf '%s\n' "$tools" >"$venv/tools/stamp"
fi

echo "installing what requirements.lock names"
"$uv" pip sync --quiet --python "$venv/bin/python" --compile-bytecode --require-hashes requirements.lock
set --
for package in proto libs/* clients/* services/*; do
    [ -f "$package/pyproject.toml" ] && set -- "$@" -e "./$package"
done
"$uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation "$@"
sh setup/native.sh "$venv/bin/python"
wanted >"$venv/stamp"
