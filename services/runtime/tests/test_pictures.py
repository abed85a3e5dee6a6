"""Pictures of runs: every node and wire is there, in layers, and no text is more than text."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from polis.proto import runtime
from polis.proto.graph import Edge, Graph, Node
from polis.proto.runtime import Step
from polis.runtime.pictures import mermaid, svg
from polis.runtime.pictures.layout import lay_out

NASTY = '"]; click n0 "javascript:alert(1)" <script>&amp;\x00\u2028`#quot;'
SVG = "{http://www.w3.org/2000/svg}"


def drawing():
    graph = Graph(
        nodes={"a": Node("x", title=NASTY), "b": Node("x"), "c": Node("x"), "d": Node("x")},
        edges=(Edge("a.out", "b.in"), Edge("a.error", "c.in"), Edge("b.out", "d.in"), Edge("c.out", "d.in")),
    )
    return lay_out("g: failed", graph, [Step("a", "x", "", "idle", "failed", 2, 1, 3, 10, 1_510)])


def test_nodes_stand_behind_all_of_their_sources_and_beside_one_another():
    places = {box.name: (box.layer, box.row) for box in drawing().boxes}

    assert places == {"a": (0, 0), "b": (1, 0), "c": (1, 1), "d": (2, 0)}


def test_the_svg_is_well_formed_and_holds_nothing_but_shapes_and_text():
    root = ET.fromstring(svg.write(drawing()))

    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "defs", "marker", "path", "rect", "text", "g"}
    assert not [
        name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name
    ]
    texts = "\n".join(element.text or "" for element in root.iter(f"{SVG}text"))
    assert '"]; click n0 "javascript' in texts
    assert "failed · 1,500 ms · 2 in, 1 out" in texts
    assert len(list(root.iter(f"{SVG}path"))) == 1 + 4


def test_mermaid_reads_nothing_in_a_text():
    lines = mermaid.write(drawing()).splitlines()

    first = next(line for line in lines if line.startswith("  n0["))
    assert first.count('"') == 2
    assert first.endswith('"]:::failed')
    assert not [part for part in ("<script>", "#quot;", "`", "\u2028") if part in first]
    assert "  n0 -.-> n2" in lines
    assert "  n0 --> n1" in lines


async def test_a_run_is_drawn_as_it_is_for_who_may_read_it(
    ada, actors, caller, played, effects, graph_of, refused
):
    played.graphs["drawn"] = graph_of("split", "test.effect")
    effects.gate.clear()
    run = await ada.call(runtime.StartRun(graph="drawn", input={"x": [1]}))

    drawn = await ada.call(runtime.GetRunPicture(run_id=run.id))
    written = await ada.call(runtime.GetRunPicture(run_id=run.id, format="mermaid"))
    effects.gate.set()

    assert (drawn.media_type, written.media_type) == ("image/svg+xml", "text/vnd.mermaid")
    assert ET.fromstring(drawn.content).find(f"{SVG}title").text == "drawn: running"
    assert "n0 --> n1" in written.content
    eve = actors.person("owner")
    eve.caller = caller
    hidden = await refused(eve.call(runtime.GetRunPicture(run_id=run.id)))
    assert hidden == runtime.RunNotFound(run_id=run.id)
