"""Components sheet.read and sheet.write."""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.data.lists import the_list
from polis.runtime.components.files import stored
from polis.runtime.isolated.call import isolated

MAX_ROWS = 100_000
MAX_COLUMNS = 1_000
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Read(Struct, frozen=True):
    """Configuration of sheet.read."""

    sheet: str = ""
    header: bool = True
    skip: int = 0
    max_rows: int = 10_000


class Write(Struct, frozen=True):
    """Configuration of sheet.write."""

    name: str
    sheet: str = "Sheet1"
    columns: tuple[str, ...] = ()


@component("sheet.read")
async def sheet_read(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Read)
    content = await stored.read(step, inputs)
    found = await isolated("sheet.read", content, config.sheet, config.skip, config.max_rows + config.header)
    told = cast("dict[str, list[list[object]]]", found)
    rows: list[object] = _named(told["rows"]) if config.header else list(told["rows"])
    step.emit("out", {"sheets": told["sheets"], "rows": rows})


@component("sheet.write")
async def sheet_write(step: Step, inputs: Inputs) -> None:
    config, items = msgspec.convert(step.config, Write), the_list(inputs)
    rows = _rows(items, config.columns)
    content = cast("bytes", await isolated("sheet.write", rows, config.sheet))
    step.emit("out", await step.reach.store(step.key, config.name, _XLSX, content))


def _named(rows: list[list[object]]) -> list[object]:
    names = [str(name) if name is not None else "" for name in (rows[0] if rows else [])]
    kept = [place for place, name in enumerate(names) if name]
    if len({names[place] for place in kept}) < len(kept):
        raise StepFailed("sheet.header", "two columns have the same name")
    return [{names[p]: row[p] if p < len(row) else None for p in kept} for row in rows[1:]]


def _rows(items: list[object], columns: tuple[str, ...]) -> list[list[object]]:
    names = list(columns) or list(
        dict.fromkeys(name for item in items if isinstance(item, dict) for name in item)
    )
    if len(names) > MAX_COLUMNS:
        raise StepFailed("sheet.too_wide", f"more than {MAX_COLUMNS:,} columns")
    rows: list[list[object]] = [list(names)] if names else []
    for item in items:
        if isinstance(item, dict):
            rows.append([_cell(item.get(name)) for name in names])
        elif isinstance(item, list) and len(item) <= MAX_COLUMNS:
            rows.append([_cell(value) for value in item])
        else:
            raise StepFailed(
                "sheet.no_row", f"a row is an object or a list of at most {MAX_COLUMNS:,} values"
            )
    return rows


def _cell(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value
