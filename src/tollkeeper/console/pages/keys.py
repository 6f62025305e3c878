"""The keys: get one, see who has which and what it spent, revoke."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.access import issuer_of
from tollkeeper.console.first_call import READERS, connection
from tollkeeper.console.links import Links
from tollkeeper.console.shared import Console, Query, Redirect
from tollkeeper.domain.access import KeyKind, Role, Viewer
from tollkeeper.domain.errors import BadRequest, LedgerUnavailable, Refused
from tollkeeper.ports import KeyRecord
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.keys import KeyUse, key_uses
from tollkeeper.reports.period import period_named
from tollkeeper.services import connect
from tollkeeper.services import keys as service
from tollkeeper.services.connect import Connection, ToolSettings
from tollkeeper.services.idempotent_keys import issue_once
from tollkeeper.services.key_documents import key_state

PERIOD: Final = "30d"
LIFETIMES: Final = (("", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"))
STATES: Final[Mapping[str, words.Word]] = {
    "active": words.Word("Active", "The key works.", "good"),
    "expired": words.Word("Expired", "The key's time is over."),
    "revoked": words.Word("Revoked", "The key was revoked, and works no more."),
    "off": words.Word("Off", "Its person or team is switched off.", "warn"),
}
_DAY_US: Final = 86_400_000_000
_ANY_MODEL: Final = "any model"
_UNUSED: Final = KeyUse(Decimal(0), 0, 0, 0)


class KeyLine(NamedTuple):
    """One key of the list. ``reach`` says what it may use, ``limits`` the same in full.

    ``cost`` and ``requests`` are of the last 30 days; the cost is a dash where it is unknown.
    """

    key_id: str
    name: str
    kind: str
    owner: str
    owner_kind: str
    state: words.Word
    active: bool
    reach: str
    created: str
    created_by: str
    expires: str
    last_used: str
    last_used_full: str
    cost: str
    requests: str
    unpriced: int
    calls_href: str
    may_revoke: bool


class Issued(NamedTuple):
    """A new key, for the only time that it is shown, and what to paste where."""

    token: str
    line: KeyLine
    tools: tuple[ToolSettings, ...]
    status_line: str
    is_virtual: bool


@dataclass(frozen=True, slots=True)
class KeysPage:
    """The keys that the viewer may see.

    ``form`` has what was typed, or what is usual. ``emails`` and ``teams`` are suggestions.
    ``issued`` is a new key, shown once; ``fault`` says why none was issued. ``done`` is the
    name of a key that was just revoked.
    """

    template: ClassVar[str] = "keys.html"
    lines: tuple[KeyLine, ...]
    active: int
    ended: int
    shows_all: bool
    may_issue: bool
    may_choose: bool
    is_admin: bool
    form: Mapping[str, str]
    lifetimes: tuple[tuple[str, str], ...]
    emails: tuple[str, ...]
    teams: tuple[str, ...]
    tools: tuple[ToolSettings, ...]
    ledger_answers: bool
    done: str = ""
    fault: str = ""
    issued: Issued | None = field(default=None, repr=False)
    status: int = 200


def keys(console: Console, viewer: Viewer, query: Query) -> KeysPage:
    """Answer ``GET /keys``."""
    return _page(console, viewer, query)


def issue_key(console: Console, viewer: Viewer, form: Query) -> KeysPage:
    """Answer ``POST /keys``. Sent twice, the form gives the same key twice, not two keys."""
    issuer = issuer_of(console, viewer)
    now_us = console.now_us()
    try:
        request = _request(viewer, form, now_us)
        once = form.get("once") or secrets.token_urlsafe(16)
        issued, _ = issue_once(console.store, console.vault, request, issuer, once, now_us)
    except Refused as refused:
        return _page(console, viewer, form, fault=refused.message, status=refused.status)
    return _page(console, viewer, {"tz": form["tz"]}, issued=issued)


def revoke_key(console: Console, viewer: Viewer, form: Query) -> Redirect:
    """Answer ``POST /keys/{key_id}/revoke``."""
    record = service.revoke(
        console.store, form["key_id"], issuer_of(console, viewer), console.now_us()
    )
    return Redirect(f"/keys?done={record.key.key_id}")


def _request(viewer: Viewer, form: Query, now_us: int) -> service.KeyRequest:
    """Read the form. A person who names nobody else gets a key of their own."""
    email, team = form.get("email", "").strip(), form.get("team", "").strip()
    kind = KeyKind.ADMIN if form.get("kind") == KeyKind.ADMIN else KeyKind.VIRTUAL
    if not email and not team and kind is KeyKind.VIRTUAL:
        email = viewer.name
    days = form.get("days", "")
    if days not in {value for value, _ in LIFETIMES}:
        raise BadRequest("choose when the key expires")
    return service.KeyRequest(
        form.get("name", ""),
        kind=kind,
        email=email,
        team=team,
        # Midnight UTC, so that the same form asks for the same key when it is sent again.
        expires_at_us=(now_us // _DAY_US + 1 + int(days)) * _DAY_US if days else None,
        models=_list(form.get("models", "")),
        providers=_list(form.get("providers", "")),
    )


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


# ------------------------------------------------------------------ the page


def _page(
    console: Console,
    viewer: Viewer,
    query: Query,
    *,
    issued: service.IssuedKey | None = None,
    fault: str = "",
    status: int = 200,
) -> KeysPage:
    issuer = issuer_of(console, viewer)
    records = service.readable_keys(console.store, issuer)
    revocable = {record.key.key_id for record in service.list_keys(console.store, issuer)}
    uses = _uses(console, viewer, query["tz"])
    lines = _Lines(console, query["tz"], records, uses, revocable)
    shown = [lines.line(record) for record in reversed(records)]
    shows_all = query.get("show") == "all" or not any(line.active for line in shown)
    done = next(
        (line for line in shown if line.key_id == query.get("done") and not line.active), None
    )
    may_choose = viewer.role is Role.ADMIN or viewer.role is Role.LEAD
    return KeysPage(
        lines=tuple(line for line in shown if line.active or shows_all),
        active=sum(line.active for line in shown),
        ended=sum(not line.active for line in shown),
        shows_all=shows_all,
        may_issue=viewer.role not in READERS,
        may_choose=may_choose,
        is_admin=viewer.role is Role.ADMIN,
        form=_form(viewer, query),
        lifetimes=LIFETIMES,
        emails=_emails(console, viewer, issuer) if may_choose else (),
        teams=_teams(console, issuer) if may_choose else (),
        tools=connect.tool_settings(Connection(console.public_url)),
        ledger_answers=uses is not None,
        done=done.name if done else "",
        fault=fault,
        issued=None if issued is None else _issued(console, viewer, issued, lines),
        status=status,
    )


def _form(viewer: Viewer, query: Query) -> dict[str, str]:
    names = ("name", "email", "team", "days", "models", "providers", "kind")
    typed = {name: query.get(name, "") for name in names}
    if not any(typed.values()):
        typed["email"] = viewer.name
    return {**typed, "once": secrets.token_urlsafe(16)}


def _emails(console: Console, viewer: Viewer, issuer: service.Issuer) -> tuple[str, ...]:
    return tuple(
        user.email
        for user in console.store.users()
        if user.active and (viewer.role is Role.ADMIN or user.team == issuer.team)
    )


def _teams(console: Console, issuer: service.Issuer) -> tuple[str, ...]:
    return tuple(
        team.name
        for team in console.store.teams()
        if team.active and (issuer.role is Role.ADMIN or team.name == issuer.team)
    )


def _uses(console: Console, viewer: Viewer, zone: str) -> Mapping[str, KeyUse] | None:
    """Ask what the keys spent. Keys can be revoked while the ledger cannot answer."""
    try:
        return key_uses(console.ledger, viewer.scope, period_named(PERIOD, zone, console.now_us()))
    except LedgerUnavailable:
        return None


def _issued(console: Console, viewer: Viewer, issued: service.IssuedKey, lines: _Lines) -> Issued:
    try:
        to = connection(console, viewer.scope, issued.token)
    except LedgerUnavailable:
        to = Connection(console.public_url, issued.token)
    return Issued(
        issued.token,
        lines.line(issued.record),
        connect.tool_settings(to),
        connect.status_line(to),
        issued.record.key.kind is KeyKind.VIRTUAL,
    )


class _Lines:
    """Makes the lines of one page."""

    def __init__(
        self,
        console: Console,
        zone: str,
        records: Sequence[KeyRecord],
        uses: Mapping[str, KeyUse] | None,
        revocable: set[str],
    ) -> None:
        ids = [record.key.key_id for record in records] if uses is not None else []
        amounts = [(uses or {}).get(key_id, _UNUSED).cost_usd for key_id in ids]
        self._zone = zones.zone_info(zone)
        self._now_us = console.now_us()
        self._links = Links({"period": PERIOD}, zone)
        self._uses = uses
        self._revocable = revocable
        self._emails = {user.user_id: user.email for user in console.store.users()}
        self._costs = dict(zip(ids, formatting.money_column(amounts), strict=True))

    def line(self, record: KeyRecord) -> KeyLine:
        key = record.key
        state = key_state(record, self._now_us)
        use = (self._uses or {}).get(key.key_id, _UNUSED)
        person = self._emails.get(key.user_id, "")
        return KeyLine(
            key_id=key.key_id,
            name=key.name,
            kind="Management key" if key.kind is KeyKind.ADMIN else "",
            owner=person or key.team or "The organisation",
            owner_kind=key.team if person else "Team" if key.team else "",
            state=STATES[state],
            active=state == "active",
            reach=_reach(key.models, key.providers),
            created=self._day(record.created_at_us),
            created_by=record.created_by,
            expires=self._day(key.expires_at_us),
            last_used=self._day(use.last_used_us),
            last_used_full=self._moment(use.last_used_us),
            cost=self._costs.get(key.key_id, formatting.UNKNOWN),
            requests=formatting.count(use.requests) if self._uses is not None else "",
            unpriced=use.unpriced,
            calls_href=self._links.narrowed("key", key.key_id).calls(),
            may_revoke=key.key_id in self._revocable and record.revoked_at_us is None,
        )

    def _day(self, at_us: int | None) -> str:
        if not at_us:
            return ""
        local = zones.local_time(at_us, self._zone)
        today = zones.local_time(self._now_us, self._zone)
        if local.date() == today.date():
            return f"Today {local:%H:%M}"
        day = formatting.day(local.date())
        return day if local.year == today.year else f"{day}, {local.year}"

    def _moment(self, at_us: int) -> str:
        if not at_us:
            return ""
        local = zones.local_time(at_us, self._zone)
        return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"


def _reach(models: Sequence[str], providers: Sequence[str]) -> str:
    """Say what a key may use: ``gpt-*, claude-* at openai``, ``any model``."""
    what = ", ".join(models) or _ANY_MODEL
    return f"{what} at {', '.join(providers)}" if providers else what
