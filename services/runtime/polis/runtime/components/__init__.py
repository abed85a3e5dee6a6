"""The built-in components. Importing this package registers each of them in polis.runtime.component."""

from polis.runtime.components import compute, flow, log, template

__all__ = ["compute", "flow", "log", "template"]
