"""Requests made up from the gateway's own OpenAPI: no 5xx, and no answer outside what the document says."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from polis.cli.api import Api
from polis.proto.contract import operations
from tests.e2e.rows.asks import ask_of, graph

SMALL_EXAMPLES, SMALL_S = 2, 8
FULL_CASES, FULL_S = 10_000, 5400
"""Cases of each service, and seconds that they may take."""
ROUND_S, SHORT_S = 600, 60
"""Shorter than an access token lives: behind that every case would be the same 401."""
_ENDS_S = 120
"""Behind its time a round ends with the case that it is at, and tells what it found."""
SERVED = ("identity", "catalog", "messaging", "runtime", "gateway")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def round_s(cases: int, spent_s: float) -> int:
    """Of the next round, which lasts as long as it may: no longer than what is missing needs at the pace so far."""
    needed_s = (FULL_CASES - cases) * spent_s / cases * 1.2 if cases else ROUND_S
    return round(min(max(needed_s, SHORT_S), ROUND_S))


def pytest_generate_tests(metafunc):
    """All services together at the small size; each of them by itself, and counted, at the full one."""
    if "service" in metafunc.fixturenames:
        full = metafunc.config.getoption("--chaos") == "full"
        metafunc.parametrize("service", SERVED if full else ["all"])


@pytest.fixture
def fuzz(address, tmp_path):
    """Runs schemathesis as somebody new; how many cases it made up."""

    async def fuzz(*options: str, within_s: float) -> int:
        async with Api(address) as api:
            await api.sign_up()
            org = (await api.call("GET", "/org"))["org"]["id"]
            await ask_of(api.call, await graph(api.call))  # hardly any graph that is made up could be run
        report = tmp_path / "report.json"
        report.unlink(missing_ok=True)
        schemathesis = [
            *(str(Path(sys.executable).parent / "st"), "run", f"{address}/docs/openapi.json"),
            *("--url", address, "--header", f"Authorization: Bearer {api.token}"),
            *("--header", f"X-Org-Id: {org}"),  # one that is made up is refused, and nothing else is looked at
            *("--checks", CHECKS, "--report", "json", "--report-json-path", str(report)),
            *("--exclude-operation-id", "sign_out", "--exclude-operation-id", "close_browser_session"),
            *("--suppress-health-check", "all", "--request-timeout", "10", "--no-color", "--warnings", "off"),
            *("--generation-database", "none", "--continue-on-failure", *options),
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *schemathesis, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), within_s)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, output.decode()[-8000:]
        return int(json.loads(report.read_text())["test_cases"]["generated"])

    return fuzz


@pytest.mark.timeout(FULL_S + ROUND_S + 2 * _ENDS_S)
async def test_no_request_gets_a_5xx_or_an_answer_outside_the_schema(service, fuzz, capsys):
    if service == "all":
        few = ("--phases", "examples,fuzzing", "--max-examples", str(SMALL_EXAMPLES))
        assert await fuzz(*few, "--max-time", str(SMALL_S), within_s=SMALL_S + 60) > 0
        return
    began, cases = time.monotonic(), 0
    while cases < FULL_CASES:
        left_s = FULL_S - (time.monotonic() - began)
        assert left_s > 0, f"{cases} cases in {FULL_S} s"
        # What is no chance comes once: a second time it would be counted, and find nothing.
        phases = "fuzzing,stateful" if cases else "examples,coverage,fuzzing,stateful"
        routed = sum(o.path is not None for o in operations(service))
        examples = (FULL_CASES - cases) // routed + 1
        made = await fuzz(
            *("--include-tag", service, "--phases", phases),
            *("--max-examples", str(examples), "--max-time", str(round_s(cases, time.monotonic() - began))),
            within_s=ROUND_S + _ENDS_S,
        )
        assert made > 0
        cases += made
    with capsys.disabled():
        print(f"\n{service}: {cases} cases in {time.monotonic() - began:.0f} s")
