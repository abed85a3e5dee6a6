"""The built-in components. Importing this package registers each of them in polis.runtime.component."""

from polis.runtime.components import compute, flow, log, template
from polis.runtime.components.mail import read_mailbox, threads
from polis.runtime.components.summary import summarize

__all__ = ["compute", "flow", "log", "read_mailbox", "summarize", "template", "threads"]
