"""How commands print: JSON for programs, Rich tables for people."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_WITHOUT_TERMINAL: Final = 240
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class Column(NamedTuple):
    """A table's column. A ``whole`` one is never wrapped or cut: ids, dates, amounts."""

    title: str
    whole: bool = False
    right: bool = False


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_line(value: Any) -> None:
    """Print a value as JSON, all in one line."""
    print(json.dumps(value, ensure_ascii=False))


def print_line(text: str) -> None:
    """Print one line as it is, however long; control characters are made visible."""
    print(visible(text))


def print_table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    nothing: str,
    totals: Sequence[str] | None = None,
) -> None:
    """Print a table, or the sentence ``nothing`` when it would have no rows.

    ``totals`` is a last row, set apart.
    """
    cells = [[visible(cell) for cell in row] for row in rows]
    if not cells:
        print_line(nothing)
        return
    if totals is not None:
        cells.append([visible(cell) for cell in totals])
    table = Table(header_style="bold")
    for number, column in enumerate(columns):
        longest = max(len(row[number]) for row in cells)
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=column.whole,
            min_width=max(longest, len(column.title)) if column.whole else None,
            overflow="fold",
        )
    for number, row in enumerate(cells):
        last = totals is not None and number == len(cells) - 1
        if last:
            table.add_section()
        table.add_row(*(Text(cell) for cell in row), style="bold" if last else None)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    console.print(table)


def visible(text: str) -> str:
    """Show control characters as escapes: names that people chose must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(
        f"\\u{ord(character):04x}" if unicodedata.category(character) in _UNSEEN else character
        for character in text
    )
