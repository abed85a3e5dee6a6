"""llms.txt has the shape of llmstxt.org, and with llms-full.txt tells of everything."""

from __future__ import annotations

import re

from polis.proto.contract import events, operations, problems
from polis.specs.llms import llms, llms_full
from polis.specs.openapi import openapi
from polis.specs.schemas import documented


def test_the_index_is_a_title_a_quote_and_lists_of_links(service):
    lines = llms(service).splitlines()

    assert re.fullmatch(r"# Polis(: \w+)?", lines[0])
    assert lines[2].startswith("> ")
    assert [line for line in lines if line.startswith("#") and not re.match(r"#{1,2} ", line)] == []
    after = lines[next(n for n, line in enumerate(lines) if line.startswith("## ")) :]
    assert [
        line for line in after if line and not re.match(r"## \w|- \[[^]]+\]\(/docs/\S+\): \S", line)
    ] == []


def test_every_link_to_an_operation_leads_to_it(service):
    paths = openapi(service)["paths"]

    for pointer, verb in re.findall(r"openapi\.json#/paths/(\S+)/(\w+)\)", llms(service)):
        path = pointer.replace("%7B", "{").replace("%7D", "}").replace("~1", "/").replace("~0", "~")
        assert verb in paths[path]


def test_the_full_text_tells_of_every_operation_event_and_problem(service):
    text = llms_full(service)

    for name in documented(service):
        assert [o.name for o in operations(name) if f"### {o.name}\n" not in text] == []
        assert [e.fact for e in events(name) if f"### {e.fact}\n" not in text] == []
        declared = {problem for o in operations(name) for problem in o.problems}
        assert [p.type for p in problems() if p in declared and f"`{p.type}`" not in text] == []


def test_the_full_text_explains_every_message_that_it_mentions(service):
    text = llms_full(service)
    mentioned = set(re.findall(r"^Answers (?:a stream of )?([A-Z]\w+)\.$", text, re.MULTILINE))
    mentioned |= set(re.findall(r"^- `\w+` (?:list of )?([A-Z]\w+)", text, re.MULTILINE))

    assert [name for name in sorted(mentioned) if f"### {name}\n" not in text] == []
