"""A process that stands for a service: `stand_in.py well | stubborn | unready | fickle`, its port in POLIS_PORT."""

from __future__ import annotations

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

(MODE,) = sys.argv[1:]


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if MODE == "unready" else 200)
        self.end_headers()
        self.wfile.write(b'{"faults": {"moon": "it is not full"}}' if MODE == "unready" else b"{}")
        if MODE == "fickle":
            sys.stderr.write("I have had enough\n")
            sys.stderr.flush()
            os._exit(3)

    def log_message(self, *_: object) -> None:
        pass


if MODE == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
HTTPServer((os.environ["POLIS_HOST"], int(os.environ["POLIS_PORT"])), Health).serve_forever()
