"""The component `xml.parse`: a tree of elements, without document types, entities of its own and anything fetched."""

from __future__ import annotations

from typing import NoReturn

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.text.given import Budget, the_text
from polis.runtime.components.worker import off_loop

Element = dict[str, object]
MAX_NODES = 100_000
"""Elements and attributes: each element takes half a kilobyte."""


@component("xml.parse")
async def xml_parse(step: Step, inputs: Inputs) -> None:
    step.emit("out", await off_loop(tree, the_text(inputs)))


def tree(text: str) -> Element:
    """The root as `{tag, attributes, text, children}`; StepFailed `xml.*` for what is none, or over its bounds."""
    from xml.parsers import expat

    building = _Building()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = building.start
    parser.EndElementHandler = building.end
    parser.CharacterDataHandler = building.data
    # Whoever has no document type can declare no entity: no bombs, nothing read from elsewhere.
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        raise StepFailed("xml.invalid", f"this is no XML: {error}") from None
    if building.root is None:
        raise StepFailed("xml.invalid", "this is no XML: it has no element")
    return building.root


class _Building:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[tuple[Element, list[Element], list[str]]] = []
        self._budget = Budget("xml", MAX_NODES)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._budget.spend(len(self._open) + 1, 1 + len(attributes))
        children: list[Element] = []
        element: Element = {"tag": tag, "attributes": attributes, "text": "", "children": children}
        if self._open:
            self._open[-1][1].append(element)
        else:
            self.root = element
        self._open.append((element, children, []))

    def end(self, _: str) -> None:
        element, _children, texts = self._open.pop()
        element["text"] = "".join(texts).strip()

    def data(self, text: str) -> None:
        self._open[-1][2].append(text)


def _refuse(*_: object) -> NoReturn:
    raise StepFailed("xml.doctype", "a document type is not taken: it could declare entities")
