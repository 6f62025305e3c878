"""Rows as CSV and as JSON lines. Nothing in a file is ever a formula."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

_FORMULA: Final = frozenset("=+-@")


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Write a table, one line at a time, with its head first (RFC 4180, CRLF).

    Numbers are written as numbers and amounts in full; what is unknown is an empty cell.
    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow([_cell(column) for column in columns])
    yield _taken(buffer)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
        yield _taken(buffer)


def json_lines(rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Write each row as one JSON object; money as a decimal string, times in ISO 8601."""
    for row in rows:
        yield json.dumps(row, default=json_value, ensure_ascii=False, separators=(",", ":")) + "\n"


def json_value(value: object) -> object:
    """Turn what JSON does not know into what it knows."""
    if isinstance(value, Decimal):
        return amount_text(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON for a {type(value).__name__}")


def amount_text(amount: Decimal) -> str:
    """Write a Decimal in full, without an exponent."""
    return f"{amount:f}"


def _taken(buffer: io.StringIO) -> str:
    line = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return line


def _cell(value: object) -> str | int:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return value
    if isinstance(value, Decimal):
        return amount_text(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        value = json.dumps(dict(value), default=json_value, ensure_ascii=False)
    return _harmless(str(value))


def _harmless(text: str) -> str:
    """Put an apostrophe before a text that some spreadsheet takes for a formula.

    Spreadsheets skip blanks and invisible characters at the start, treat full-width signs
    like plain ones, and a tab or a line end at the start can move what follows into a cell
    of its own.
    """
    if not text:
        return text
    seen = unicodedata.normalize("NFKC", text)
    first = next((char for char in seen if not _invisible(char)), "")
    return "'" + text if first in _FORMULA or text[0] in "\t\r\n" else text


def _invisible(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp", "Zs"}
