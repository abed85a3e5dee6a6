#!/bin/sh
# What `make check` runs: every tool to its end, then one verdict.
set -u
cd "$(dirname "$0")/.."
failed=""
run() {
    name=$1
    shift
    if "$@"; then echo "ok      $name"; else failed="$failed $name"; echo "FAILED  $name"; fi
}
bin=.venv/bin
documents() {
    fresh=$(mktemp -d)
    "$bin/python" -m polis.specs "$fresh/documents" "$fresh/client" >/dev/null && diff -r "$fresh/documents" proto/generated >/dev/null &&
        diff -r "$fresh/client" clients/typescript/generated >/dev/null
    same=$?
    rm -rf "$fresh"
    [ $same = 0 ] || echo "what is generated is not what the contract says: run \`make specs\`" >&2
    return $same
}
run format "$bin/ruff" format --check --quiet .
run lint "$bin/ruff" check --quiet .
MYPYPATH=$(echo proto libs/* clients/python services/* | tr " " ":")
export MYPYPATH
run types "$bin/mypy" proto libs clients services
run layers "$bin/python" setup/layers.py
run documents documents
run spelling "$bin/codespell" --ignore-words-list=ans,pares,strin,strng,te --skip='.venv,.polis,.git,*.lock,*.lock.txt,generated,samples,*.mbox,.mypy_cache,.ruff_cache,*/components/mail/*,*/components/summary/*,*/pages/vendor/*,*/tests/components/*,*/polis/testing/mailbox.py' .
[ -z "$failed" ] || { echo "make check failed:$failed" >&2; exit 1; }
