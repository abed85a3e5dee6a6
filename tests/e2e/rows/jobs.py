"""Jobs as workers see them. That the job of a row is nobody's is what those are told who may work."""

from __future__ import annotations

from uuid import uuid4

from polis.cli.api import Api
from polis.testing import eventually
from tests.e2e.rows.making import fixed

_JOB = f"/jobs/{uuid4()}"
ROWS = {
    "claim_jobs": fixed("/jobs/claim", {"components": ["nothing.that.waits"]}),
    "heartbeat_job": fixed(f"{_JOB}/heartbeat", {"token": 1}),
    "complete_job": fixed(f"{_JOB}/complete", {"token": 1}),
    "fail_job": fixed(f"{_JOB}/fail", {"token": 1, "message": "no"}),
}
ALSO_ALLOWED = {(name, "allowed"): {404} for name in ("heartbeat_job", "complete_job", "fail_job")}
USERS_ONLY: set[str] = set()
BY_GRANT = {"claim_jobs"}
"""An agent needs a grant of its own for it, whatever its role holds."""


PRICED = {
    "key": "told.price",
    "title": "Price",
    "inputs": {"in": {}},
    "outputs": {"out": {}},
    "pure": False,
    "execution": {"type": "external"},
}
PRICING = {
    "nodes": {"price": {"component": "told.price"}},
    "inputs": {"x": {"target": "price.in", "required": False, "default": 1}},
}


async def live(api: Api) -> None:
    """Leave a job that somebody has claimed."""
    for kind, key, content in (("component", "told.price", PRICED), ("graph", "pricing", PRICING)):
        made = await api.call("POST", "/resources", {"type": kind, "key": key, "content": content})
        await api.call("POST", f"/resources/{made['id']}/versions", {})
        await api.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})
    await api.call("POST", "/runs", {"graph": "pricing"})

    async def claimed():
        return (await api.call("POST", "/jobs/claim", {"components": ["told.price"]}))["jobs"]

    await eventually(claimed, within_s=20)
