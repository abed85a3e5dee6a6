"""Jobs as workers see them. That the job of a row is nobody's is what those are told who may work."""

from __future__ import annotations

from uuid import uuid4

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
