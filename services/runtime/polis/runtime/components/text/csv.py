"""Components csv.parse and csv.write (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.data.lists import the_list
from polis.runtime.components.text.given import MAX_CHARS, the_text
from polis.runtime.components.worker import off_loop

MAX_ROWS = 100_000
MAX_COLUMNS = 1_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


class Parse(Struct, frozen=True):
    """Configuration of csv.parse."""

    delimiter: Literal[",", ";", "\t", "|"] = ","
    header: bool = True
    max_rows: int = 10_000


class Write(Struct, frozen=True):
    """Configuration of csv.write."""

    delimiter: Literal[",", ";", "\t", "|"] = ","
    columns: tuple[str, ...] = ()
    header: bool = True
    formulas: bool = False


@component("csv.parse")
async def csv_parse(step: Step, inputs: Inputs) -> None:
    step.emit("out", await off_loop(_parsed, the_text(inputs), msgspec.convert(step.config, Parse)))


@component("csv.write")
async def csv_write(step: Step, inputs: Inputs) -> None:
    step.emit("out", await off_loop(_written, the_list(inputs), msgspec.convert(step.config, Write)))


def _parsed(text: str, config: Parse) -> list[object]:
    rows = _rows(text, config)
    if not config.header:
        return list(rows)
    names = next(rows, [])
    if len(set(names)) < len(names):
        raise StepFailed("csv.header", "two columns have the same name")
    return [
        dict(zip(names, _fitting(row, len(names), n), strict=True)) for n, row in enumerate(rows, start=2)
    ]


def _rows(text: str, config: Parse) -> Iterator[list[str]]:
    most = config.max_rows + config.header
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=config.delimiter)
    count = 0
    try:
        for row in reader:
            if not row:
                continue
            count += 1
            if count > most:
                raise StepFailed("csv.too_long", f"more than {config.max_rows:,} rows (max_rows)")
            if len(row) > MAX_COLUMNS:
                raise StepFailed("csv.too_wide", f"row {count} has more than {MAX_COLUMNS:,} columns")
            yield row
    except csv.Error as error:
        raise StepFailed("csv.invalid", f"line {reader.line_num}: {error}") from None


def _fitting(row: list[str], width: int, number: int) -> list[str]:
    if len(row) > width:
        raise StepFailed("csv.uneven", f"row {number} has {len(row)} columns; the header names {width}")
    return row + [""] * (width - len(row))


def _written(items: list[object], config: Write) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=config.delimiter, lineterminator="\r\n")
    columns = list(config.columns) or _columns(items)
    if config.header and columns:
        writer.writerow([_cell(name, config) for name in columns])
    for item in items:
        writer.writerow([_cell(value, config) for value in _values(item, columns)])
        if out.tell() > MAX_CHARS:
            raise StepFailed("csv.too_large", f"over {MAX_CHARS:,} characters")
    return out.getvalue()


def _columns(items: list[object]) -> list[str]:
    """The fields of all items that are objects, in the order in which they come first."""
    names: dict[str, None] = {}
    for item in items:
        if isinstance(item, dict):
            names |= dict.fromkeys(item)
        if len(names) > MAX_COLUMNS:
            raise StepFailed("csv.too_wide", f"more than {MAX_COLUMNS:,} columns")
    return list(names)


def _values(item: object, columns: list[str]) -> list[object]:
    if isinstance(item, dict):
        return [item.get(name) for name in columns]
    if isinstance(item, list):
        return item
    raise StepFailed("csv.no_row", f"a row is an object or a list, not {type(item).__name__}")


def _cell(value: object, config: Write) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # A spreadsheet would carry out what others wrote (OWASP, CSV injection).
        return f"'{value}" if value.startswith(_FORMULA) and not config.formulas else value
    return msgspec.json.encode(value).decode()
