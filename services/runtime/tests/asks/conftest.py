"""Runs that ask, and people of one org who answer."""

from __future__ import annotations

import pytest

from polis.proto import runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.testing import eventually


class Asking:
    """Starts runs of graphs with asks, finds the asks, and waits for what becomes of the runs."""

    def __init__(self, starter, played, admin):
        self.starter, self.played, self.admin = starter, played, admin

    async def start(self, graph, x=None, **fields):
        key = f"asks{len(self.played.graphs)}"
        self.played.graphs[key] = graph
        return await self.starter.call(runtime.StartRun(graph=key, input={"x": x}, **fields))

    async def of(self, run, who, count=1, **wanted):
        """The asks of a run that somebody may answer, the oldest first, once there are that many."""

        async def look():
            page = await who.call(runtime.ListAsks(run_id=run.id, limit=200, **wanted))
            return page.items[::-1] if len(page.items) == count else None

        return await eventually(look, within_s=5)

    async def of_any(self, run, who):
        """The open asks of a run, at least one."""

        async def look():
            return (await who.call(runtime.ListAsks(run_id=run.id, limit=200))).items

        return await eventually(look, within_s=5)

    async def opened(self, run):
        """Wait until a run asks something."""

        async def look():
            return await self.admin.fetchval("select 1 from runtime.asks where run_id = $1", run.id)

        await eventually(look, within_s=5)

    async def fall_due(self, ask):
        await self.admin.execute("update runtime.waits set due_at = now() where id = $1", ask.id)

    async def grow_old(self, ask, seconds):
        """Let an ask have been opened that much earlier."""
        await self.admin.execute(
            """
            update runtime.asks set opened_at = opened_at - make_interval(secs => $2),
                next_at = next_at - make_interval(secs => $2) where id = $1
            """,
            ask.id,
            seconds,
        )

    async def ended(self, run, within_s=10):
        async def look():
            found = await self.starter.call(runtime.GetRun(run_id=run.id))
            return found if found.state in runtime.TERMINAL else None

        return await eventually(look, within_s=within_s)

    async def output(self, run):
        assert (await self.ended(run)).state == "succeeded"
        return (await self.starter.call(runtime.GetOutput(run_id=run.id))).values

    async def facts(self, ask):
        """What was told of an ask."""
        rows = await self.admin.fetch(
            "select fact from runtime.outbox where entity = $1 order by n", str(ask.id)
        )
        return [row["fact"] for row in rows]

    async def at_rest(self, run):
        """Wait until no process has the run."""

        async def look():
            return await self.admin.fetchval(
                "select owner is null from runtime.runs where id = $1 and state = 'waiting'", run.id
            )

        await eventually(look, within_s=5)


@pytest.fixture
def person(actors, running, caller, ada):
    """Somebody of ada's org, or of another one."""

    def person(role="member", org_id=None, **claims):
        made = actors.person(role, org_id=org_id or ada.org_id, **claims)
        made.caller = caller
        return made

    return person


@pytest.fixture
def ben(person):
    return person("admin")


@pytest.fixture
def asking(ada, played, admin):
    return Asking(ada, played, admin)


def graph(**config) -> Graph:
    """An ask, with what goes on at `y`, what was denied at `no` and who said so at `told`."""
    config = {"kind": "approval", "title": "May I?", "to": [{"role": "admin"}]} | config
    return Graph(
        nodes={"ask": Node("ask", config=config)},
        inputs={"x": GraphInput("ask.in")},
        outputs={
            "y": GraphOutput("ask.out", many=True),
            "no": GraphOutput("ask.denied", many=True),
            "told": GraphOutput("ask.answer", many=True),
        },
    )


def behind(node: Node, *, config) -> Graph:
    """A component, each of whose messages is asked about, and a list of what went on."""
    return Graph(
        nodes={"first": node, "ask": Node("ask", config=config), "all": Node("collect")},
        edges=(Edge("first.out", "ask.in"), Edge("ask.out", "all.in")),
        inputs={"x": GraphInput("first.in")},
        outputs={"y": GraphOutput("all.out")},
    )


@pytest.fixture(scope="session")
def asks():
    return graph


@pytest.fixture(scope="session")
def asks_behind():
    return behind
