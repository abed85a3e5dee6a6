"""A client of the gateway: `await polis.call(GetRun(run_id=id))`, `async for change in polis.follow("run/<id>")`.

It knows the contract and the gateway's HTTP, and nothing else of the mesh.
"""

from polis.client.changes import Change
from polis.client.connection import Connection
from polis.client.polis import Polis
from polis.client.problem import Problem

__all__ = ["Change", "Connection", "Polis", "Problem"]
