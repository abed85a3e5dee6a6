"""Runs JavaScript that somebody else wrote: in processes that can reach nothing, within bounds of time and memory.

It knows neither runs nor resources: a script is a source with its outputs, a call is a message with what came of it.
"""

from polis.javascript.pool import Pool
from polis.javascript.script import Call, Script, ScriptFailed

__all__ = ["Call", "Pool", "Script", "ScriptFailed"]
