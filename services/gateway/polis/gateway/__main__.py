"""`python -m polis.gateway` serves until SIGTERM."""

from polis.gateway.service import service

service.run()
