"""The built-in components. Importing this package registers each of them in polis.runtime.component.

What a component needs besides the standard library and what the engine loads anyway is imported where it is first used:
a process that never runs it does not pay for it.
"""

from polis.runtime.components import (
    ask,
    child,
    compute,
    control,
    data,
    files,
    flow,
    log,
    mesh,
    moments,
    nested,
    outside,
    steered,
    template,
    text,
    timer,
    web,
)
from polis.runtime.components.mail import read_mailbox, threads
from polis.runtime.components.summary import summarize

__all__ = [
    "ask",
    "child",
    "compute",
    "control",
    "data",
    "files",
    "flow",
    "log",
    "mesh",
    "moments",
    "nested",
    "outside",
    "read_mailbox",
    "steered",
    "summarize",
    "template",
    "text",
    "threads",
    "timer",
    "web",
]
