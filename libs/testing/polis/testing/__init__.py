"""The test kit: real servers, services started in the test's own process, actors with signed tokens."""

from polis.testing.actors import Actors, Person
from polis.testing.patience import eventually
from polis.testing.stage import Stage

__all__ = ["Actors", "Person", "Stage", "eventually"]
