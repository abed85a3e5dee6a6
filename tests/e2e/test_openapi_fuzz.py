"""Requests made up from the gateway's own OpenAPI: no 5xx, and no answer outside what the document says."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

SMALL_EXAMPLES, FULL_EXAMPLES = 2, 400
SMALL_S, FULL_S = 25, 1500
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


async def test_no_request_gets_a_5xx_or_an_answer_outside_the_schema(ada, address, full, tmp_path):
    schemathesis = [
        *(str(Path(sys.executable).parent / "st"), "run", f"{address}/docs/openapi.json"),
        *("--url", address, "--header", f"Authorization: Bearer {ada.token}"),
        *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing" if full else "examples,fuzzing"),
        *("--max-examples", str(FULL_EXAMPLES if full else SMALL_EXAMPLES)),
        *("--exclude-operation-id", "sign_out", "--exclude-operation-id", "close_browser_session"),
        *("--suppress-health-check", "all", "--request-timeout", "10", "--no-color", "--warnings", "off"),
        *("--generation-database", "none", "--continue-on-failure", "--max-time", str(FULL_S if full else SMALL_S)),
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *schemathesis, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), (FULL_S if full else SMALL_S) + 60)
    finally:
        if process.returncode is None:
            process.kill()

    assert process.returncode == 0, output.decode()[-8000:]
