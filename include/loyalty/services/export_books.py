"""The books as a workbook: numbers as numbers, dates as dates, a sheet each for days, ageing, cohorts and provision."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import xlsxwriter

from loyalty.services.provision import LINES, NOTE
from loyalty.services.read_books import AGEING, COHORT, DAY
from loyalty.store.queries import Row

Sheets = dict[str, tuple[Sequence[str], Sequence[Row]]]


def sheets(days: Sequence[Row], ageing: Sequence[Row], cohorts: Sequence[Row], provision: Sequence[Row]) -> Sheets:
    """What the workbook holds, sheet by sheet."""
    noted = [*provision, {"line": "note", "amount": None, "meaning": NOTE}]
    return {"days": (DAY, days), "ageing": (AGEING, ageing), "cohorts": (COHORT, cohorts), "provision": (LINES, noted)}


def write_workbook(path: Path, content: Sheets) -> None:
    """The file holds these sheets, each with its columns' names in the first row."""
    with xlsxwriter.Workbook(str(path)) as book:
        bold, day = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd"})
        instant = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        for name, (columns, rows) in content.items():
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, columns, bold)
            sheet.freeze_panes(1, 1)
            for at, row in enumerate(rows, start=1):
                for column, key in enumerate(columns):
                    _write(sheet, at, column, row[key], day, instant)
            sheet.autofit()


def _write(sheet: Any, row: int, column: int, value: Any, day: Any, instant: Any) -> None:
    if isinstance(value, datetime):
        sheet.write_datetime(row, column, value.astimezone(UTC).replace(tzinfo=None), instant)
    elif isinstance(value, date):
        sheet.write_datetime(row, column, value, day)
    elif isinstance(value, str):
        sheet.write_string(row, column, value)
    elif value is not None:
        sheet.write_number(row, column, value)
