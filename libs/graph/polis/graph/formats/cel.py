"""CEL: the one language of conditions and small computations in a graph, with bounds on what a text may grow into."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from polis.graph.faults import Malformed

if TYPE_CHECKING:
    from cel_expr_python import cel

MAX_CHARS = 4_000
"""Characters of an expression."""
MAX_PLUS = 64
MAX_PLUS_IN_MACRO = 8
"""`[x].map(a, a + a).map(b, b + b)...` doubles with each step and CEL's iteration budget does not see it: with a
macro in the expression, eight additions (a factor of 256 at the most) are allowed."""
COMPILED = 1_024

_TOLD = re.compile(
    r"""
    //[^\n]*
    | [rR](?:'''.*?''' | "{3}.*?"{3} | '[^'\n]*'? | "[^"\n]*"?)
    | '''(?:\\.|[^\\])*?''' | "{3}(?:\\.|[^\\])*?"{3}
    | '(?:\\.|[^'\\\n])*'? | "(?:\\.|[^"\\\n])*"?
    """,
    re.DOTALL | re.VERBOSE,
)
"""Strings and comments, whichever begins first: a quote in a comment is none, and neither are slashes in a string."""
_MACRO = re.compile(r"\.\s*(?:map|filter|all|exists|exists_one)\s*\(")
_PLACE = re.compile(r"^(?:INVALID_ARGUMENT: )?(?:ERROR: )?<input>:(\d+):(\d+): ", re.MULTILINE)

Variables = tuple[str, ...]


@lru_cache(maxsize=COMPILED)
def program(source: str, variables: Variables = ("item",)) -> cel.Expression:
    """The compiled expression; Malformed with line and column."""
    _refuse_growth(source)
    try:
        return _env(variables).compile(source)
    except RuntimeError as error:
        raise Malformed(_compiler_said(str(error))) from None


@lru_cache(maxsize=64)
def _env(variables: Variables) -> cel.Env:
    """The compiler is large, so who checks no expression does not load it."""
    from cel_expr_python import cel

    return cel.NewEnv(variables=dict.fromkeys(variables, cel.Type.DYN))


def without_texts(source: str) -> str:
    """An expression without comments and without its texts."""
    return _TOLD.sub(" ", source)


def _refuse_growth(source: str) -> None:
    if len(source) > MAX_CHARS:
        raise Malformed(f"an expression has at most {MAX_CHARS} characters")
    code = without_texts(source)
    limit = MAX_PLUS_IN_MACRO if _MACRO.search(code) else MAX_PLUS
    if code.count("+") > limit:
        raise Malformed(f"more than {limit} additions: the result could grow without bound")


def _compiler_said(message: str) -> str:
    """The first complaint of the compiler as `line 1, column 11: ...`, without its drawing."""
    first = message.removesuffix(" [INVALID_ARGUMENT]").split("\n |")[0]
    return _PLACE.sub(lambda at: f"line {at[1]}, column {at[2]}: ", first).strip()
