#!/bin/sh
# The steps of the Dockerfile without Docker, in an empty folder: each service installs from its own list and imports.
#   sh deploy/build-by-hand.sh [service ...]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv="$root/.venv/tools/bin/uv"
python=${PYTHON:-python3}

[ $# -gt 0 ] || set -- $(cd "$root/services" && ls)
"$uv" venv --quiet --python "$python" "$work/backend"
"$uv" pip sync --quiet --python "$work/backend/bin/python" --require-hashes "$root/setup/build.lock.txt"
for service in "$@"; do
    lock="$root/services/$service/requirements.lock"
    rm -rf "$work/polis" "$work/wheels"
    "$uv" venv --quiet --python "$python" "$work/polis"
    "$uv" pip sync --quiet --python "$work/polis/bin/python" --require-hashes "$lock"
    for package in $(sed -n 's/^# workspace: //p' "$lock"); do
        (cd "$root/$package" && "$work/backend/bin/hatchling" build -t wheel -d "$work/wheels" >/dev/null 2>&1)
    done
    "$uv" pip install --quiet --python "$work/polis/bin/python" --no-deps --no-index "$work"/wheels/*.whl
    sh "$root/setup/native.sh" "$work/polis/bin/python" "$service"
    (cd "$work" && "$work/polis/bin/python" -c "import polis.$service.service; polis.$service.service.service.check()")
    # The client that pages load lies elsewhere in the tree.
    [ "$service" != gateway ] || (cd "$work" && "$work/polis/bin/python" -c "from polis.gateway.static import pages; assert '/client/src/index.js' in {route.path for route in pages([]).routes}")
    echo "$service: $(ls "$work/wheels" | wc -l) packages of the tree, imports and answers its contract"
done
