"""What may be called a name by whoever gives one: words of any script, and nothing that hides or that turns the text around it.

Names of before are told as they are, so this binds what is sent and nothing that is answered.
"""

from __future__ import annotations

_REFUSED = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""Controls, ends of lines, and what overrides or isolates the direction of writing."""
_UNSEEN = (
    r" \xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u202f\u205f-\u2065"
    r"\u206a-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
"""Spaces, joiners, marks and fillers: parts of names in many scripts, but no name by themselves."""
_SEEN = rf"[{_UNSEEN}]*[^{_UNSEEN}{_REFUSED}][^{_REFUSED}]*"

# `(?!\n)`: in Python's dialect `$` also matches before a newline at the end; in JSON Schema's it does not.
NAME = rf"^{_SEEN}$(?!\n)"
TITLE = rf"^({_SEEN})?$(?!\n)"
"""A name, or none."""
FILE = rf"^(?!\.\.?$)[{_UNSEEN}]*[^{_UNSEEN}{_REFUSED}/\\][^{_REFUSED}/\\]*$(?!\n)"
"""A name of a file, without a path."""
HIDING = rf"[{_REFUSED}]"
"""What no name holds."""
IN_WORDS = {
    NAME: "words that show, and in which nothing breaks the line or turns the text around",
    TITLE: "a title that shows, or none, and in which nothing breaks the line or turns the text around",
    FILE: "the name of a file that shows, without a path, and in which nothing breaks the line or turns the text around",
}
"""What who was refused is told in place of the pattern."""
