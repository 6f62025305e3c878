"""Tables in Markdown, and what one suite of measurements found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.figures import Target, number


@dataclass
class Table:
    """A table: its columns and rows of text. All columns but the first are numbers."""

    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Add a row. Raises ValueError when it has too few or too many cells."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(cells)

    def markdown(self) -> str:
        """Write it as Markdown, with the bars in text escaped."""
        lines = [_line(self.columns), _line(["---", *["---:"] * (len(self.columns) - 1)])]
        return "\n".join([*lines, *(_line(row) for row in self.rows)])


@dataclass
class Findings:
    """What one suite found: tables under headings, targets, remarks, and the raw figures."""

    name: str
    title: str
    tables: list[tuple[str, Table]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give it as something that JSON can hold."""
        return {
            "name": self.name,
            "title": self.title,
            "tables": [{"title": title, **asdict(table)} for title, table in self.tables],
            "targets": [
                {**target._asdict(), "verdict": target.verdict.value} for target in self.targets
            ],
            "notes": self.notes,
            "raw": self.raw,
        }


def target_table(targets: Sequence[Target]) -> Table:
    """Set targets against what was measured."""
    table = Table(["target", "wanted", "measured", "verdict"])
    for target in targets:
        unit = f" {target.unit}" if target.unit else ""
        table.add(
            target.name,
            f"{target.bound} {number(target.limit)}{unit}",
            f"{number(target.measured)}{unit if target.measured is not None else ''}",
            target.verdict,
        )
    return table


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
