"""Spreadsheets: the rows of one (xlsx, xls, xlsb, ods), and rows as a new xlsx."""

from __future__ import annotations

import io
from datetime import date, datetime, time, timedelta

from polis.runtime.isolated.unfit import Unfit

MAX_COLUMNS = 1_000


def read(content: bytes, sheet: str, skip: int, most: int) -> dict[str, object]:
    """`sheets`: their names; `rows`: of one of them, behind the first `skip` ones, as lists of plain values."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = list(book.sheet_names)
        if not names or (sheet and sheet not in names):
            raise Unfit("sheet.unknown", f"it has no sheet `{sheet:.100}`")
        found = book.get_sheet_by_name(sheet or names[0])
        rows: list[list[object]] = []
        for number, row in enumerate(found.iter_rows()):
            if number < skip:
                continue
            if len(rows) == most:
                raise Unfit("sheet.too_long", f"more than {most:,} rows (max_rows)")
            if len(row) > MAX_COLUMNS:
                raise Unfit("sheet.too_wide", f"row {number + 1} has more than {MAX_COLUMNS:,} columns")
            rows.append([_plain(value) for value in row])
    except (CalamineError, OSError, ValueError) as error:
        raise Unfit(
            "sheet.none", f"this is no spreadsheet that can be read ({type(error).__name__})"
        ) from None
    return {"sheets": names, "rows": rows}


def write(rows: list[list[object]], name: str) -> bytes:
    """An xlsx of these rows. Texts stay texts: none becomes a formula or a link."""
    from xlsxwriter import Workbook

    out = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    with Workbook(out, options) as book:
        sheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, bool):
                    sheet.write_boolean(number, column, value)
                elif isinstance(value, int | float):
                    sheet.write_number(number, column, value)
                elif value is not None:
                    sheet.write_string(number, column, str(value)[:32_767])
    return out.getvalue()


def _plain(value: object) -> object:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, str | int | float | bool) else None
