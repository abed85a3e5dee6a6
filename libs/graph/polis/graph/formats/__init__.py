"""In what language a text of a configuration is written, as its schema says by `format`: checked when a graph is written.

CEL names the variables that an expression may speak of in `x-variables`; `item` without it. What JSON Schema has no
keyword for besides stands in `polis.graph.rules`.
"""

from polis.graph.formats.check import FORMATS, declared_faults, format_faults

__all__ = ["FORMATS", "declared_faults", "format_faults"]
