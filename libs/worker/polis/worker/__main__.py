"""`python -m polis.worker FILE`: does jobs by commands of this host.

FILE is JSON: `address`, `key_file` (or `client_id` and `secret_file`), `at_once`, and `components`: by key, each a command
with its folder and bounds (polis.worker.process.Command). What it does not name is not started.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from polis.worker.process import Command, handler
from polis.worker.worker import Worker


def worker_of(settings: dict[str, Any]) -> Worker:
    """The worker that settings describe. TypeError and KeyError name what is missing, or nobody knows."""
    credential = (
        (str(settings["client_id"]), _secret(settings["secret_file"]))
        if "client_id" in settings
        else _secret(settings["key_file"])
    )
    worker = Worker(settings["address"], credential, at_once=settings.get("at_once", 2))
    for key, command in settings["components"].items():
        worker.component(key)(handler(Command(**command)))
    return worker


def _secret(file: str) -> str:
    return Path(file).read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    worker_of(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).run()
