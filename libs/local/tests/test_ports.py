"""Ports that are free until they are used."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections import deque

import pytest

from polis.local import ports

PLACE = 32_000 + os.getpid() % 700
"""Where nobody else looks, and systems give nothing."""
ANOTHER = f"""
from polis.local import ports
given = iter((0, 1))
ports._FIRST, ports.secrets.randbelow = {PLACE}, lambda _: next(given)
print(ports.free_port())
"""


@pytest.fixture
def claims(monkeypatch):
    held = deque()
    monkeypatch.setattr(ports, "_claims", held)
    yield held
    for claim in held:
        os.close(claim)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port is free where nobody listens")
def test_a_port_is_given_to_one_alone_though_nobody_listens_there_yet(monkeypatch, claims):
    given = iter((0, 0, 2))
    monkeypatch.setattr(ports, "_FIRST", PLACE)
    monkeypatch.setattr(ports.secrets, "randbelow", lambda _: next(given))

    here = [ports.free_port(), ports.free_port()]
    told = subprocess.run([sys.executable, "-c", ANOTHER], check=True, capture_output=True, text=True)

    assert (here, int(told.stdout)) == ([PLACE, PLACE + 2], PLACE + 1)
    assert len(claims) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port is free where nobody listens")
def test_where_no_claim_is_allowed_a_port_is_free_where_nobody_listens(monkeypatch, claims):
    class Barred(socket.socket):
        def bind(self, address):
            if self.family == socket.AF_UNIX:
                raise PermissionError(errno.EPERM, "a sandbox")
            super().bind(address)

    monkeypatch.setattr(ports.socket, "socket", Barred)

    assert ports.port_free(ports.free_port())
    assert not claims


def test_so_many_are_kept_and_no_more(monkeypatch, claims):
    monkeypatch.setattr(ports, "_CLAIMS", 2)

    assert len({ports.free_port() for _ in range(10)}) == 10
    assert len(claims) <= 2
