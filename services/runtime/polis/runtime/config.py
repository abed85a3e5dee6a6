"""The runtime's settings beyond those of every service."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from polis.service import Settings


class Config(Settings, frozen=True, kw_only=True):
    """How much this process executes, and how soon others take over what it leaves behind."""

    instance: str = ""
    """Name of this process among its replicas, the same after a restart; empty: host and port, or a name of chance
    where the port is one of chance. A process that starts under the name of another takes over what that one ran."""
    runs_at_once: Annotated[int, Meta(ge=1, le=100_000)] = 500
    """Runs executed at a time; further ones are accepted and wait as `queued`."""
    tasks_at_once: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    """Steps at work at a time, in all runs together."""
    lease_s: Annotated[float, Meta(ge=0.5, le=300)] = 6.0
    """A process that was not seen for this long has lost its runs to the others."""
    downloads: Annotated[int, Meta(ge=1, le=1_000)] = 32
    """Artifacts read at a time, in all runs together."""
    slow_after_s: Annotated[float, Meta(gt=0, le=604_800)] = 10.0
    """A run that is at work for longer is told of as slow, where its graph does not say otherwise (`slow_after_s`)."""
    run_retention_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    """Days that ended runs are kept where an org has not said otherwise; 0: for ever."""
    run_retention_bytes: Annotated[int, Meta(ge=0)] = 0
    """Bytes of runs that an org keeps where it has not said otherwise, the newest first; 0: without a bound."""
    egress_allow: str = ""
    """Hosts that runs may connect to although their address is not public: `10.1.0.0/16, [::1]:8080, *.corp.example`."""
    run_folders: str = ""
    """Folders of this host that steps may read, by a name: `code=/srv/code`; none: git.* components are refused."""
    script_workers: Annotated[int, Meta(ge=1, le=64)] = 2
    """Processes that run the scripts of components; they start with the first call and end when there are none."""
