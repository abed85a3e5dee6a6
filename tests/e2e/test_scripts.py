"""A component that an org has written: from the catalog to what a run of it gives."""

from __future__ import annotations

from polis.testing import eventually

SOURCE = """
function total(lines) { return lines.reduce((sum, line) => sum + line.price * line.count, 0); }
function process(ctx, port, value) {
  if (value.length === 0) return ctx.emit("empty", ctx.key);
  ctx.emit("out", { total: total(value) * ctx.config.rate });
}
"""
COMPONENT = {
    "key": "order.total",
    "title": "Total",
    "inputs": {"in": {"schema": {"type": "array"}}},
    "outputs": {"out": {"schema": {"type": "object"}}, "empty": {}},
    "config": {"type": "object", "properties": {"rate": {"type": "number"}}, "required": ["rate"]},
    "execution": {"type": "javascript", "source": SOURCE},
}
GRAPH = {
    "nodes": {"total": {"component": "order.total", "config": {"rate": 1.5}}},
    "inputs": {"lines": {"target": "total.in"}},
    "outputs": {"total": {"source": "total.out"}, "empty": {"source": "total.empty"}},
}


async def test_a_script_is_written_published_and_run_as_its_org_wrote_it(ada):
    for kind, key, content in (("component", "order.total", COMPONENT), ("graph", "totals", GRAPH)):
        made = await ada.call("POST", "/resources", {"type": kind, "key": key, "content": content})
        await ada.call("POST", f"/resources/{made['id']}/versions", {})
        await ada.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})

    async def run(lines):
        started = await ada.call("POST", "/runs", {"graph": "totals", "input": {"lines": lines}})

        async def look():
            return (await ada.call("GET", f"/runs/{started['id']}"))["state"] == "succeeded"

        await eventually(look, within_s=20)
        return (await ada.call("GET", f"/runs/{started['id']}/output"))["values"], started["id"]

    full, _ = await run([{"price": 2, "count": 3}, {"price": 4, "count": 1}])
    empty, run_id = await run([])

    assert full == {"total": {"total": 15}, "empty": None}
    assert empty == {"total": None, "empty": f"{run_id}/total/-"}
