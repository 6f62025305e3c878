"""What the API's handlers have in common: parameters, pages of a list, bodies."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from tollkeeper.console.access import Access
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.errors import KeyRejected
from tollkeeper.reports.questions import BadQuestion, one_of, quoted
from tollkeeper.services.keys import Issuer

LIMIT_MAX: Final = 1_000
LIMIT: Final = 100
PAGING: Final = ("limit", "cursor")

T = TypeVar("T", bound=msgspec.Struct)


class ListPage(NamedTuple):
    """A part of a list. ``next_cursor`` is None on the last page."""

    rows: Sequence[Mapping[str, Any]]
    next_cursor: str | None


def viewer_of(access: Access) -> Viewer:
    """Give who asks; the table lets nobody else through."""
    if access.viewer is None:
        raise KeyRejected("sign in first", code="not_signed_in")
    return access.viewer


def issuer_of(access: Access) -> Issuer:
    """Say how far the keys may reach that whoever asks can issue."""
    if access.issuer is None:
        raise KeyRejected("sign in first", code="not_signed_in")
    return access.issuer


def check_names(query: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Raise BadQuestion for a parameter that there is not."""
    for name in query:
        if name not in allowed:
            raise BadQuestion(quoted(name), f"no such parameter; {one_of(allowed)}")


def list_page(rows: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> ListPage:
    """Cut a page out of rows that are in a lasting order and have an ``id``."""
    limit_text = query.get("limit", str(LIMIT))
    if not (
        limit_text.isascii() and limit_text.isdigit() and 1 <= int(limit_text[:9]) <= LIMIT_MAX
    ):
        raise BadQuestion("limit", f"a number from 1 to {LIMIT_MAX}")
    limit = int(limit_text)
    first = 0
    if "cursor" in query:
        last = _read_cursor(query["cursor"])
        places = [place for place, row in enumerate(rows) if row["id"] == last]
        if not places:
            raise BadQuestion("cursor", "not a cursor: take next_cursor of the page before")
        first = places[0] + 1
    found = rows[first : first + limit]
    more = len(rows) > first + limit
    return ListPage(found, _write_cursor(found[-1]["id"]) if more else None)


def read_body(body: Mapping[str, Any], shape: type[T]) -> T:
    """Read a JSON object as a structure. Raises BadQuestion for what does not fit."""
    try:
        return msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        raise BadQuestion(place.rstrip("`") or "body", _small(message)) from None


def _small(message: str) -> str:
    return message[:1].lower() + message[1:300]


def _write_cursor(row_id: str) -> str:
    return base64.urlsafe_b64encode(row_id.encode()).decode().rstrip("=")


def _read_cursor(text: str) -> str:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return base64.urlsafe_b64decode(padded).decode("utf-8")
    except (ValueError, binascii.Error):
        return ""
