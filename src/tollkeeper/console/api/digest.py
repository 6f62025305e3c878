"""``GET /api/v1/digest``: the weekly digest of a team or the company, as it would be sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import check_names, viewer_of
from tollkeeper.console.api.schemas import (
    COUNT,
    TEXT,
    Schema,
    exactly,
    listed,
    mapping,
    or_null,
)
from tollkeeper.console.digests.content import Sources
from tollkeeper.console.digests.document import digest_document
from tollkeeper.console.digests.making import make_digest
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role, Scope
from tollkeeper.domain.digests import last_week
from tollkeeper.domain.errors import NotAllowed
from tollkeeper.ports import Store
from tollkeeper.reports.digest import asked_week
from tollkeeper.reports.questions import BadQuestion, quoted
from tollkeeper.reports.zones import zone_info
from tollkeeper.services.digests import Audience, audience_of

PARAMETERS: Final = ("team", "week", "tz")
READERS: Final = frozenset({Role.ADMIN, Role.FINANCE, Role.AUDITOR, Role.LEAD})
"""Roles that see digests: of all teams and the company, a lead of the teams that they lead."""


def digest(console: Console, access: Access, question: Question) -> Answer:
    """Give the digest of a week that is over: its figures, and the mail as it would be sent."""
    scope = viewer_of(access).scope
    if scope.user_id is not None:
        raise NotAllowed("digests are of teams; your own use is on the page Me", code="no_team")
    return Document(document_of(sources_of(console), scope, question.query, console.zone))


def sources_of(console: Console) -> Sources:
    """Give what digests are put together from in a console."""
    return Sources(
        console.org,
        console.public_url,
        console.ledger,
        console.store,
        lambda: console.adoption.publication(console.now_us()),
        console.adoption.zone,
        console.colours,
        console.now_us,
    )


def document_of(
    sources: Sources, scope: Scope, parameters: Mapping[str, str], zone: str
) -> dict[str, Any]:
    """Answer a question within a scope. Raises BadQuestion.

    Without a week it is the last one that is over, without a team the company, or the team of
    whoever does not see the company.
    """
    check_names(parameters, PARAMETERS)
    zone = parameters.get("tz") or zone
    zone_info(zone)
    text = parameters.get("week", "")
    week = asked_week(text) if text else last_week(zone, sources.now_us())
    audience = _audience(sources.store, scope, parameters.get("team", ""))
    return digest_document(make_digest(sources, audience, week, zone))


def digest_schemas() -> dict[str, Schema]:
    """Give the named schemas."""
    picture = exactly(
        {**dict.fromkeys(("cid", "alt", "png"), TEXT), "width": COUNT, "height": COUNT}
    )
    section = exactly(
        {
            "title": TEXT,
            "columns": listed(TEXT),
            "rows": listed(listed(TEXT)),
            "note": TEXT,
        }
    )
    return {
        "Digest": exactly(
            {
                "week": TEXT,
                "team": or_null(TEXT),
                "parts": listed(TEXT),
                "spend": mapping({}),
                "sections": listed(section),
                "mail": exactly(
                    {
                        **dict.fromkeys(("subject", "text", "html"), TEXT),
                        "pictures": listed(picture),
                    }
                ),
                "chat": exactly({"title": TEXT, "text": TEXT}),
            }
        )
    }


def _audience(store: Store, scope: Scope, name: str) -> Audience:
    teams = store.teams()
    if not name and scope.teams is None:
        return Audience()
    if not name:
        # Of the teams of a lead, one has the others as parts, or there is only one.
        led = [it.name for it in teams if it.name in (scope.teams or ())]
        above = [it.name for it in teams if it.name in led and it.parent not in led]
        name = above[0] if above else ""
    found = audience_of(teams, name)
    if found is None or (scope.teams is not None and found.team not in scope.teams):
        raise BadQuestion("team", f"there is no team {quoted(name)} among those you may see")
    return found
