"""My own use: what I spent, with which tools and models, and what to set up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.budget_lines import BudgetWriter, OwnLine
from tollkeeper.console.early import stands
from tollkeeper.console.figures import Figure, figures_of
from tollkeeper.console.links import Links
from tollkeeper.console.own_limits import LimitLine, limit_line, own_limits
from tollkeeper.console.pages.overview import Row, rows_of
from tollkeeper.console.rows import CallLine, lines_of
from tollkeeper.console.shared import Console, Query
from tollkeeper.domain.access import Scope, Viewer
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.me import SpentToday, spent_today
from tollkeeper.reports.overview import OverviewQuestion, overview
from tollkeeper.reports.period import period_named
from tollkeeper.services import connect
from tollkeeper.services.budget_documents import names_of
from tollkeeper.services.budget_standings import own_onlooker, own_rows
from tollkeeper.services.connect import Connection, Snippet, ToolSettings
from tollkeeper.services.unmasking import told

PERIOD: Final = "30d"


class UnmaskingLine(NamedTuple):
    """That somebody saw people by name: when, who, and why."""

    when: str
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class MePage:
    """Who is signed in, and what they spent: today, this month, in 30 days, by model.

    ``budgets`` are those that count their calls, ``limits`` the rate limits that those meet, as
    of a time of the day. ``status_line`` is a command that prints today's spend and what is
    left; ``tools`` are the settings of every tool, both with a place for the key. ``script``
    prints the same line, as the setting ``claude`` shows it.
    """

    template: ClassVar[str] = "me.html"
    name: str
    role: str
    team: str
    today: SpentToday
    figures: tuple[Figure, ...]
    rows: tuple[Row, ...]
    recent: tuple[CallLine, ...]
    calls_href: str
    status_line: str
    script: Snippet
    claude: Snippet
    tools: tuple[ToolSettings, ...]
    budgets: tuple[OwnLine, ...] = ()
    unmaskings: tuple[UnmaskingLine, ...] = ()
    limits: tuple[LimitLine, ...] = ()
    as_of: str = ""


def me(console: Console, viewer: Viewer, query: Query) -> MePage:
    """Answer ``GET /me`` in a browser."""
    zone, now_us = query["tz"], console.now_us()
    scope = Scope(console.org, user_id=viewer.user_id)
    stands(MePage, console.ledger)
    today = spent_today(
        console.ledger,
        console.org,
        user_id=viewer.user_id,
        key_id="",
        zone=zone,
        now_us=now_us,
    )
    question = OverviewQuestion(period_named(PERIOD, zone, now_us))
    found = overview(console.ledger, scope, question, now_us)
    links = Links({"period": PERIOD}, zone).narrowed("user", viewer.user_id)
    user = console.store.user(viewer.user_id)
    to = Connection(console.public_url)
    onlooker = own_onlooker(console.store, console.org, viewer.user_id, None)
    own = own_rows(console.store, onlooker, now_us)
    return MePage(
        name=viewer.name,
        role=words.role(viewer.role),
        team=user.team if user else "",
        today=today,
        figures=figures_of(found, links),
        rows=rows_of(found, links, ()),
        recent=lines_of(found.recent_calls, links, zone, now_us),
        calls_href=links.calls(),
        status_line=connect.status_line(to),
        script=connect.status_script(),
        claude=connect.claude_status_line(),
        tools=connect.tool_settings(to),
        budgets=BudgetWriter(names_of(console.store), zone, now_us).own(own),
        unmaskings=_unmaskings(console, zone) if console.mask_people else (),
        limits=tuple(
            limit_line(each) for each in own_limits(console, onlooker.callers or (), viewer.user_id)
        ),
        as_of=f"{zones.local_time(now_us, zones.zone_info(zone)):%H:%M:%S}",
    )


def _unmaskings(console: Console, zone: str) -> tuple[UnmaskingLine, ...]:
    """List when people were seen by name lately, and by whom."""
    found = []
    for entry in told(console.store):
        at = zones.local_time(entry.at_us, zones.zone_info(zone))
        reason = str(entry.data.get("reason", ""))
        when = f"{formatting.day(at.date())}, {at:%H:%M}"
        found.append(UnmaskingLine(when, entry.actor_name or entry.actor_kind, reason))
    return tuple(found)
