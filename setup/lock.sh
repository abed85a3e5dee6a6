#!/bin/sh
# Refreshes the hash-pinned requirement files, for the whole tree and for each service's image. They name no address.
set -eu
cd "$(dirname "$0")/.."
uv=.venv/tools/bin/uv
trap 'rm -f uv.lock' EXIT
"$uv" lock --quiet --upgrade
export_to() { "$uv" export --quiet --format requirements-txt --no-emit-workspace --no-annotate --no-header "$@"; }
export_to --all-packages --all-groups --output-file requirements.lock >/dev/null
for folder in services/*; do
    name=$(basename "$folder")
    export_to --package "polis-$name" --no-dev --output-file "$folder/requirements.lock" >/dev/null
    .venv/bin/python setup/workspace.py "$name" >>"$folder/requirements.lock"
done
if grep -nE '://|--index|--find-links' requirements.lock services/*/requirements.lock; then
    echo "a lock file names an address" >&2
    exit 1
fi
