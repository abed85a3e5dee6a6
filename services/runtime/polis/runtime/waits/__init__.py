"""What runs wait for outside of every process: opened with a run's flush, closed once, with an outcome, by anybody."""

from polis.runtime.waits.complete import complete
from polis.runtime.waits.kinds import Kind, register
from polis.runtime.waits.rows import OpenWait, by_name, get, of_run

__all__ = ["Kind", "OpenWait", "by_name", "complete", "get", "of_run", "register"]
