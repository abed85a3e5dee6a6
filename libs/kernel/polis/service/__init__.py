"""A service's frame: handlers, actor, deadlines, outbox and inbox, discovery, settings and health."""

from polis.service.actor import ANONYMOUS, Actor
from polis.service.call import Caller
from polis.service.config import Secret, Settings
from polis.service.context import Context, EventContext
from polis.service.kernel import Kernel
from polis.service.service import Handlers, Running, Service, serving

__all__ = [
    "ANONYMOUS",
    "Actor",
    "Caller",
    "Context",
    "EventContext",
    "Handlers",
    "Kernel",
    "Running",
    "Secret",
    "Service",
    "Settings",
    "serving",
]
