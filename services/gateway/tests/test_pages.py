"""What the pages are made of that needs no browser: Markdown, the part of a conversation that is held, what waits to be sent."""

from __future__ import annotations

import shutil
from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from pathlib import Path

import pytest

NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="no Node on this machine")
async def test_the_parts_of_the_chat_do_what_their_own_tests_say():
    node = await create_subprocess_exec(
        NODE, "--test", str(Path(__file__).parent / "pages"), stdout=PIPE, stderr=STDOUT
    )
    told, _ = await node.communicate()

    assert node.returncode == 0, told.decode()
