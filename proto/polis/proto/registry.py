"""The services of the mesh. A new one is its folder under services/ and its line here."""

from __future__ import annotations

from importlib import import_module

from msgspec import Struct


class ServiceEntry(Struct, frozen=True):
    """A service by its name, which is also its proto module, schema, role and NATS user; and its health port."""

    name: str
    port: int
    schema: bool = True


SERVICES: tuple[ServiceEntry, ...] = (
    ServiceEntry("identity", 5001),
    ServiceEntry("catalog", 5003),
    ServiceEntry("messaging", 5005),
    ServiceEntry("runtime", 5006),
    ServiceEntry("gateway", 8080, schema=False),
)


def load() -> None:
    """Import every service's declarations, so that `operations()` and `events()` are complete."""
    import_module("polis.proto.problems")
    for service in SERVICES:
        import_module(f"polis.proto.{service.name}")
