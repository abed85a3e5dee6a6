"""Takes bounds upon itself, then becomes a command: `limits.py BOUNDS COMMAND...`, BOUNDS as JSON by the names of rlimits.

It imports nothing of Polis: it is started by its path, for each job anew.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_PDEATHSIG, _SIGKILL = 38, 1, 9


def main(bounds: dict[str, int], command: list[str]) -> None:
    for name, most in bounds.items():
        limit = getattr(resource, f"RLIMIT_{name.upper()}")
        hard = resource.getrlimit(limit)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (bound, bound))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    os.execvp(command[0], command)  # noqa: S606 - what the operator has allowed


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
