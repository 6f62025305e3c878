"""What handlers answer besides pages: documents, files and lines; and what API handlers get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, NamedTuple

from tollkeeper.console.access import Access
from tollkeeper.console.shared import Console, HasDocument, Page, Redirect
from tollkeeper.reports.export import amount_text

JsonData = Mapping[str, Any] | Sequence[Mapping[str, Any]]
NO_HEADERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Document:
    """An answer as JSON."""

    data: JsonData
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)


@dataclass(frozen=True, slots=True)
class File:
    """An answer to be saved. ``name`` has its ending."""

    name: str
    media_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)


class Line(NamedTuple):
    """One line of text, for a status line."""

    text: str


class Question(NamedTuple):
    """What came with a request, checked for form only.

    ``path`` has the path's parameters, ``query`` those of the query string, ``body`` the
    fields of a form or of a JSON object. ``headers`` has lower-case names.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    zone: str


Answer = Page | Redirect | Document | File | Line
Handler = Callable[[Console, Access, Question], Answer]


def csv_file(name: str, lines: Iterable[str], headers: Mapping[str, str] = NO_HEADERS) -> File:
    """Give a table as CSV."""
    body = "".join(lines).encode("utf-8", "replace")
    return File(f"{name}.csv", "text/csv; charset=utf-8; header=present", body, headers)


def page_document(page: object) -> Mapping[str, Any]:
    """Give a page as JSON: what it says itself, or its fields one by one."""
    if isinstance(page, HasDocument):
        return page.document()
    if not is_dataclass(page):
        raise TypeError(f"{type(page).__name__} is no page")
    return {each.name: plain(getattr(page, each.name)) for each in fields(page)}


def plain(value: object) -> object:
    """Turn what a page holds into what JSON knows; money becomes a decimal string."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Decimal):
        return amount_text(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(each) for name, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Iterable):
        return [plain(each) for each in value]
    if is_dataclass(value):
        return page_document(value)
    raise TypeError(f"no JSON for a {type(value).__name__}")
