"""Ports of this machine: free ones, and who holds a taken one."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import sys
from collections import deque

import psutil

LOOPBACK = "127.0.0.1"
_FIRST, _PORTS = 20_000, 12_000
"""Systems give connections that are opened ports from 32768 on, also one that was free until just now."""
_CLAIMS = 64
"""Of the ports that were given, the last so many are kept for whoever asked."""
_claims: deque[int] = deque()


def free_port(host: str = LOOPBACK) -> int:
    """One that stays free until it is used, and while its holder starts again.

    No connection is given it, nor anybody who asks here, in whatever process, until this one has asked for many more.
    """
    while True:
        port = _FIRST + secrets.randbelow(_PORTS)
        if _claim(port) and port_free(port, host):
            return port


def _claim(port: int) -> bool:
    """Whether it was given to nobody lately, as far as can be known.

    On Linux a name in the kernel says so, which goes with its process (unix(7), abstract), unless a sandbox allows none.
    """
    if sys.platform != "linux":
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as claim:
        try:
            claim.bind(f"\0polis port {port}")
        except OSError as error:
            return error.errno != errno.EADDRINUSE
        _claims.append(claim.detach())
    if len(_claims) > _CLAIMS:
        os.close(_claims.popleft())
    return True


def port_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether nobody listens there. OSError when this user, or anybody, could not listen there at all."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def holder(port: int) -> str:
    """Who listens on a port, in words; "another program" where the system does not tell."""
    try:
        for connection in psutil.net_connections("tcp"):
            place = (*connection.laddr, 0, 0)
            if connection.status == psutil.CONN_LISTEN and place[1] == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return "another program"
