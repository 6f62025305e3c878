"""Calls as lines of a list: what a row of the table says, and where its parts lead."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from tollkeeper.console import words
from tollkeeper.console.links import Links
from tollkeeper.console.rendering import address
from tollkeeper.domain.ledger import Basis
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.call_rows import CallRow


class CallLine(NamedTuple):
    """One attempt at a call.

    ``day`` is "" for today's; ``at`` is the time of the day, ``when`` both in full.
    ``cost`` is marked: ``~`` where it is estimated, ``+`` where a part has no known price.
    """

    row: CallRow
    href: str
    day: str
    at: str
    when: str
    cost: str
    outcome: words.Word
    basis: words.Word
    who: str
    who_href: str
    team_href: str
    model_href: str
    tool_href: str

    @property
    def is_flat_rate(self) -> bool:
        """Tell whether a subscription paid for it, so that $0 is no mistake."""
        return self.row.basis == Basis.FLAT_RATE


def lines_of(rows: Iterable[CallRow], links: Links, zone: str, now_us: int) -> tuple[CallLine, ...]:
    """Give the lines of a list. Links of a line add to the list's own filters."""
    info = zones.zone_info(zone)
    today = zones.local_time(now_us, info).date()
    lines = []
    for row in rows:
        local = zones.local_time(row.started_at_us, info)
        lines.append(
            CallLine(
                row=row,
                href=address(f"/calls/{row.call_id}", {"tz": zone}),
                day="" if local.date() == today else _day(local.date(), today),
                at=f"{local:%H:%M:%S}",
                when=f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}",
                cost=cost_text(row),
                outcome=_outcome(row),
                basis=words.basis(row.basis),
                who=row.user_name or row.key_name or "—",
                who_href=_who(row, links).calls(),
                team_href=links.narrowed("team", row.team).calls(),
                model_href=links.narrowed("model", row.model).calls(),
                tool_href=links.narrowed("tool", row.tool).calls(),
            )
        )
    return tuple(lines)


def _outcome(row: CallRow) -> words.Word:
    """Say how a call ended, and how many refusals a line stands for."""
    word = words.outcome(row.outcome)
    if not row.repeats:
        return word
    times = formatting.count(row.repeats + 1)
    more = f"{formatting.count_full(row.repeats)} more like it are counted here."
    return word._replace(
        name=f"{word.name} \N{MULTIPLICATION SIGN}{times}", meaning=f"{word.meaning} {more}"
    )


def cost_text(row: CallRow) -> str:
    """Write what a call cost: ``~`` marks an estimate, ``+`` that a part has no known price."""
    if row.cost_usd is None:
        return formatting.UNKNOWN
    text = formatting.money_exact(row.cost_usd)
    mark = "~" if row.basis == Basis.ESTIMATED else ""
    return f"{mark}{text}{'+' if row.unpriced else ''}"


def _who(row: CallRow, links: Links) -> Links:
    if row.user_id:
        return links.narrowed("user", row.user_id)
    return links.narrowed("key", row.key_id)


def _day(day: date, today: date) -> str:
    return formatting.day(day) if day.year == today.year else f"{formatting.day(day)}, {day.year}"
