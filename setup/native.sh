#!/bin/sh
# Builds the native code of this tree for the Python environment that is named, or what of it a service has:
#   sh setup/native.sh python [identity|gateway ...]
# One file each, no network, any x86-64. Where one cannot be built or does not work as it should, one line tells why and what
# does the work instead.
set -eu
cd "$(dirname "$0")/.."
python=$1
shift
[ $# -gt 0 ] || set -- identity gateway

build() {
    command -v "${CC:-cc}" || { echo "there is no C compiler" >&2 && return 1; }
    "${CC:-cc}" -O3 -shared -fPIC -o "$fresh" "$source" && "$python" -m "$module" "$fresh"
}
for service in "$@"; do
    case $service in
    identity) module=polis.identity.people.argon2id without="passwords are hashed by argon2-cffi's wheel" ;;
    gateway) module=polis.gateway.websocket.spread without="live sockets are written to one by one" ;;
    *) continue ;;
    esac
    source=services/$service/$(printf %s "$module" | tr . /).c
    built=$("$python" -c "from $module import BUILT; print(BUILT)")
    fresh=$built.$$
    if why=$(build 2>&1 >/dev/null); then
        mv -f "$fresh" "$built"
    else
        rm -f "$built" "$fresh"
        echo "$without, not by the faster code of this tree: $(printf '%s\n' "${why:-the C compiler failed}" | tail -n 1)"
    fi
done
