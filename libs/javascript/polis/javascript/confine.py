"""A process gives up what it does not need, for good: privileges, files, network, other processes. Nothing of ours is imported.

What is not there on a platform is left out; `confine` says what holds.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys

_NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_FILTER = 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001
"""Let it through; answer EPERM."""

_SYSCALLS = {
    "x86_64": (0xC000003E, (0, 1, 17, 9, 10, 11, 12, 25, 28, 13, 14, 15, 131, 24, 202, 228, 229, 96, 201, 318, 219, 334, 60, 231)),
    "aarch64": (0xC00000B7, (63, 64, 67, 222, 226, 215, 214, 216, 233, 134, 135, 139, 132, 124, 98, 113, 114, 169, 278, 128, 293, 93, 94)),
}  # fmt: skip
"""What an interpreter needs that reads, computes and writes, by architecture: read, write, pread64; mmap, mprotect, munmap, brk,
mremap, madvise; rt_sigaction, rt_sigprocmask, rt_sigreturn, sigaltstack; sched_yield, futex; clock_gettime, clock_getres,
gettimeofday, time; getrandom, restart_syscall, rseq, exit, exit_group."""


def confine(memory_bytes: int, cpu_s: int) -> list[str]:
    """Give everything up. What is open stays open."""
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,
    }
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    for limit, most in limits.items():
        resource.setrlimit(limit, (most, most))
    return ["rlimits", *(_linux() if sys.platform == "linux" else [])]


def _linux() -> list[str]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return []
    program = _program(platform.machine())
    if program is None:
        return ["no_new_privs"]
    code = ctypes.create_string_buffer(program)
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    held = prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, filter_, 0, 0) == 0
    return ["no_new_privs", "seccomp"] if held else ["no_new_privs"]


def _program(machine: str) -> bytes | None:
    """Classic BPF over the number of a system call: those that are listed pass, every other one is refused."""
    if machine not in _SYSCALLS:
        return None
    architecture, allowed = _SYSCALLS[machine]
    lines = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, 0)]
    lines += [(_EQUAL, len(allowed) - at, 0, number) for at, number in enumerate(allowed)]
    lines += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
