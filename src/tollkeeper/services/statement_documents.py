"""Statements as documents: what the API says, what is kept of an issued one, and back again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from tollkeeper.clock import second_text
from tollkeeper.domain.money import nanos_of_usd, usd_text
from tollkeeper.domain.sharing import Sharing, Split
from tollkeeper.domain.statements import (
    MonthStatement,
    Seats,
    Share,
    Totals,
    Use,
    UseKey,
    lines_of,
)

VERSION: Final = 1
_COUNTS: Final = ("requests", "tokens_in", "tokens_out", "entries", "unpriced")
_US: Final = 1_000_000


def statement_document(found: MonthStatement) -> dict[str, Any]:
    """Give a month's statement, or a part of it, as data. Money is text, times ISO 8601, UTC."""
    return {
        "version": VERSION,
        "month": found.month,
        "org": found.org,
        "tz": found.zone,
        "from": second_text(found.start_us),
        "to": second_text(found.end_us),
        "sharing": {
            "split": str(found.sharing.split),
            "teams": sorted(found.sharing.teams),
            "tags": [f"{key}={value}" for key, value in found.sharing.tags],
            "weights": dict(sorted(found.sharing.weights.items())),
        },
        "totals": totals_document(found.totals()),
        "teams": [
            {"team": team, **totals_document(found.of(frozenset({team})).totals())}
            for team in found.teams
        ],
        "lines": [line_document(kind, line) for kind, line in lines_of(found)],
        "entries": dict(sorted(found.entries.items())),
    }


def totals_document(totals: Totals) -> dict[str, Any]:
    """Give the sums as data; amounts end in ``_usd``."""
    return {
        name.replace("_nanos", "_usd"): usd_text(value) if name.endswith("_nanos") else value
        for name, value in totals._asdict().items()
    }


def line_document(kind: str, line: Use | Share | Seats) -> dict[str, Any]:
    """Give one line as data."""
    if isinstance(line, Use):
        said = line._asdict()
        return {
            "kind": kind,
            **line.key._asdict(),
            **{name: said[name] for name in _COUNTS},
            "cost_usd": _amount(line.cost_nanos),
            "list_cost_usd": _amount(line.list_nanos),
            "discount_usd": usd_text(line.discount_nanos),
            "price_version_first": line.first_version,
            "price_version_last": line.last_version,
        }
    if isinstance(line, Share):
        return {
            "kind": kind,
            "team": line.team,
            "cost_usd": usd_text(line.cost_nanos),
            "list_cost_usd": usd_text(line.list_nanos),
            "given": line.given,
            "weight": line.weight,
            "weights": line.weights,
        }
    return {
        "kind": kind,
        "team": line.team,
        "plan": line.plan,
        "provider": line.provider,
        "people": line.people,
        "seats": line.seats,
        "seat_usd": usd_text(line.seat_nanos),
        "cost_usd": usd_text(line.cost_nanos),
    }


def statement_of(document: Mapping[str, Any]) -> MonthStatement:
    """Read a document back. Raises ValueError for one of another version."""
    if document["version"] != VERSION:
        raise ValueError(f"a statement of version {document['version']!r} cannot be read here")
    lines: dict[str, list[Any]] = {"usage": [], "correction": [], "shared": [], "seats": []}
    for line in document["lines"]:
        lines[line["kind"]].append(_line_of(line))
    sharing = document["sharing"]
    return MonthStatement(
        *(document["month"], document["org"], document["tz"]),
        *(_moment_us(document["from"]), _moment_us(document["to"])),
        Sharing(
            Split(sharing["split"]),
            frozenset(sharing["teams"]),
            tuple(_pair(text) for text in sharing["tags"]),
            sharing["weights"],
        ),
        *(lines["usage"], lines["correction"], lines["shared"], lines["seats"]),
        document["entries"],
    )


def canonical(document: Mapping[str, Any]) -> bytes:
    """Write a document in the one form that its hash is of: JSON in ASCII, names in order."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def sha256_of(text: bytes) -> str:
    """Give the hash of a statement's text as 64 hexadecimal digits."""
    return hashlib.sha256(text).hexdigest()


def _line_of(line: Mapping[str, Any]) -> Use | Share | Seats:
    if line["kind"] in {"usage", "correction"}:
        return Use(
            UseKey(*(line[name] for name in UseKey._fields)),
            **{name: line[name] for name in _COUNTS},
            cost_nanos=_nanos(line["cost_usd"]),
            list_nanos=_nanos(line["list_cost_usd"]),
            first_version=line["price_version_first"],
            last_version=line["price_version_last"],
        )
    cost = nanos_of_usd(line["cost_usd"])
    if line["kind"] == "shared":
        listed = nanos_of_usd(line["list_cost_usd"])
        part = {name: line[name] for name in ("given", "weight", "weights")}
        return Share(line["team"], cost, listed, **part)
    return Seats(
        *(line["plan"], line["provider"], line["team"], line["people"], line["seats"]),
        *(nanos_of_usd(line["seat_usd"]), cost),
    )


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def _amount(nanos: int | None) -> str | None:
    return None if nanos is None else usd_text(nanos)


def _nanos(amount: str | None) -> int | None:
    return None if amount is None else nanos_of_usd(amount)


def _moment_us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * _US
