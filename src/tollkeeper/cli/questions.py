"""Turns what was typed into the parameters of the API, and its failures into plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from tollkeeper import bootstrap
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.ports import ReportSource

OpenSource = Callable[[Path | None], AbstractContextManager[ReportSource]]
"""Finds whoever can answer for a data folder: the running server, or the ledger's file."""

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d.*")

SinceOption = Annotated[
    str,
    typer.Option("--since", help="30d, 24h, today, week, month, last_month, or a date: 2026-11-01"),
]
UntilOption = Annotated[str, typer.Option("--until", help="The last day, if --since is a date.")]
ZoneOption = Annotated[
    str, typer.Option("--tz", help="Time zone: Europe/Berlin. Default: as configured.")
]
FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", metavar="FILTER", help="team:core, model:gpt-4o, -outcome:ok, tag:feature=chat"
    ),
]


def parameters(
    *, since: str = "", until: str = "", zone: str, filters: list[str] | None, **others: str
) -> dict[str, str]:
    """Give the query string's parameters; what is empty is left out.

    A zone is always among them, so that whoever answers counts the same days.
    """
    found = {
        "tz": zone or bootstrap.configured_zone(None),
        "filter": ",".join(filters or ()),
        **others,
    }
    if _DATE.fullmatch(since):
        found |= {"from": since, "to": until}
    elif until:
        raise typer.BadParameter("--until needs a date as --since")
    else:
        found["period"] = since
    return {name: value for name, value in found.items() if value}


@contextmanager
def plain_failures() -> Iterator[None]:
    """End a question that cannot be understood with exit code 2, an unknown call with 1."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except LookupError as error:
        raise TollkeeperError(str(error.args[0])) from None


def moment(text: str) -> datetime:
    """Read a time of the API."""
    return datetime.fromisoformat(text)


def zone_of(name: str) -> tzinfo:
    """Give a zone that the API has accepted."""
    return ZoneInfo(name) if name else UTC


def stretch(period: Mapping[str, str]) -> str:
    """Write both ends of an answer's period as its own zone's clocks show them."""
    zone = zone_of(period["tz"])
    first, last = (moment(period[name]).astimezone(zone) for name in ("from", "to"))
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"


def zone_named(name: str) -> ZoneInfo:
    """Give the zone that was asked for, or else the configured one. Ends a wrong name with 2."""
    try:
        return ZoneInfo(name or bootstrap.configured_zone(None))
    except (ValueError, OSError, LookupError):
        raise typer.BadParameter(f"{name!r} is no time zone: write Europe/Berlin") from None
