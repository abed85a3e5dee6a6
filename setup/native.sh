#!/bin/sh
# Builds the native code of this tree (Argon2id) for the Python environment that is named: one file, no network, any x86-64.
# Where it cannot be built or does not give the known hash, one line tells why and argon2-cffi's wheel does the work.
set -eu
cd "$(dirname "$0")/.."
python=$1
built=$("$python" -c 'from polis.identity.people.argon2id import BUILT; print(BUILT)')
fresh=$built.$$
trap 'rm -f "$fresh"' EXIT

build() {
    command -v "${CC:-cc}" || { echo "there is no C compiler" >&2 && return 1; }
    "${CC:-cc}" -O3 -shared -fPIC -o "$fresh" services/identity/polis/identity/people/argon2id.c &&
        "$python" -m polis.identity.people.argon2id "$fresh"
}
if why=$(build 2>&1 >/dev/null); then
    mv -f "$fresh" "$built"
else
    rm -f "$built"
    echo "passwords are hashed by argon2-cffi's wheel, not by the faster code of this tree:" \
        "$(printf '%s\n' "${why:-the C compiler failed}" | tail -n 1)"
fi
