"""My own use: today's spend and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tollkeeper.console.shared import Console, Query
from tollkeeper.domain.access import Viewer
from tollkeeper.reports.me import SpentToday, spent_today


@dataclass(frozen=True, slots=True)
class MePage:
    """Who is signed in, and what they spent today."""

    template: ClassVar[str] = "me.html"
    name: str
    role: str
    today: SpentToday


def me(console: Console, viewer: Viewer, query: Query) -> MePage:
    """Answer ``GET /me`` in a browser."""
    today = spent_today(
        console.ledger,
        console.org,
        user_id=viewer.user_id,
        key_id="",
        zone=query["tz"],
        now_us=console.now_us(),
    )
    return MePage(viewer.name, viewer.role, today)
