"""Whether an answer fits what is asked, and what the step emits because of it. Pure: it knows neither store nor people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from polis.graph import compiled
from polis.graph.rules.ask import DENYING
from polis.proto import Refused
from polis.proto.problems import Fault
from polis.proto.runtime import AnswerInvalid, AskAnswer
from polis.runtime.asks.spec import MAX_BYTES
from polis.runtime.engine.activation import Recorded

if TYPE_CHECKING:
    from datetime import datetime

    from polis.proto.runtime import Decision
    from polis.runtime.asks.spec import AskSpec


def demand_fit(spec: AskSpec, decision: Decision, value: object) -> None:
    """Refused(AnswerInvalid) with every fault of an answer, each at its pointer."""
    faults = tuple(_faults(spec, decision, value))
    if faults:
        raise Refused(AnswerInvalid(faults=faults))


def _faults(spec: AskSpec, decision: Decision, value: object) -> Iterable[Fault]:
    if len(msgspec.json.encode(value)) > MAX_BYTES:
        yield Fault("/value", f"more than {MAX_BYTES:,} bytes of JSON")
    elif decision not in spec.decisions:
        yield Fault("/decision", f"expected one of: {', '.join(spec.decisions)}")
    elif spec.kind in ("choice", "vote") or decision in DENYING:
        if value is not None:
            yield Fault("/value", "this decision takes no value")
    elif spec.kind == "approval":
        if value is not None and (not spec.editable or decision == "always"):
            yield Fault("/value", "the arguments are approved as they are")
        elif value is not None and spec.form is not None:
            yield from compiled(spec.form).faults(value, "value")
    elif spec.form is not None:
        yield from compiled(spec.form).faults(value, "value")


def default_answer(spec: AskSpec, at: datetime) -> AskAnswer | None:
    """The answer of nobody in time; None where the step says of none."""
    if spec.default is None:
        return None
    return AskAnswer(spec.default, at, "default", value=spec.default_value)


def outcome(spec: AskSpec, answer: AskAnswer, votes: Mapping[str, int] | None = None) -> Recorded:
    """What the step emits: on `out` what goes on, on `denied` what does not, and the answer itself on `answer`."""
    record = {
        "kind": spec.kind,
        "decision": answer.decision,
        "by": None if answer.by is None else str(answer.by),
        "at": None if answer.via == "default" else answer.at.isoformat().replace("+00:00", "Z"),
        "via": answer.via,
        "note": answer.note,
    }
    port = "denied" if answer.decision in DENYING and spec.kind in ("approval", "handoff") else "out"
    return Recorded(emitted=((port, _message(spec, answer, record, votes)), ("answer", record)))


def _message(
    spec: AskSpec, answer: AskAnswer, record: Mapping[str, object], votes: Mapping[str, int] | None
) -> object:
    match spec.kind:
        case "choice":
            return {"choice": answer.decision, "value": spec.value}
        case "vote":
            return {"choice": answer.decision, "value": spec.value, "votes": dict(votes or {})}
        case "input":
            return answer.value
    if answer.decision in DENYING:
        return {"value": spec.value, "note": answer.note, "by": record["by"]}
    return spec.value if answer.value is None else answer.value


def decided(votes: Mapping[str, int], quorum: int) -> Decision | None:
    """What has won: once as many as the quorum have voted, the choice that alone has the most votes."""
    if sum(votes.values()) < quorum:
        return None
    (first, most), *rest = Counter(votes).most_common(2)
    return first if not rest or rest[0][1] < most else None
