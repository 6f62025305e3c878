"""The keys: get one, see who has which and what it spent, change, rotate, revoke."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, NamedTuple

from tollkeeper.console.access import issuer_of
from tollkeeper.console.early import stands
from tollkeeper.console.first_call import READERS, connection
from tollkeeper.console.key_lines import PERIOD, KeyLine, KeyLines
from tollkeeper.console.shared import Console, Query, Redirect
from tollkeeper.domain.access import KeyKind, Role, Viewer
from tollkeeper.domain.budget_words import UnclearWords
from tollkeeper.domain.errors import BadRequest, LedgerUnavailable, NotAllowed, NotFound, Refused
from tollkeeper.domain.self_service import Cap, cap_of_words
from tollkeeper.reports.keys import KeyUse, key_tools, key_uses
from tollkeeper.reports.period import period_named
from tollkeeper.services import connect
from tollkeeper.services import keys as service
from tollkeeper.services.connect import Connection, ToolSettings
from tollkeeper.services.key_caps import caps_of_keys
from tollkeeper.services.key_changes import KeyChange, change
from tollkeeper.services.key_rotation import Rotation, rotate_once
from tollkeeper.services.key_self_service import (
    Desk,
    bounds_words,
    issue,
    require_end,
    rule_of,
)

LIFETIMES: Final = (("", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"))
OVERLAPS: Final = (
    *(("24", "For a day"), ("1", "For an hour"), ("72", "For three days"), ("168", "For a week")),
    ("0", "Not at all"),
)
NEVER: Final = "never"
_LATEST: Final = "As late as allowed"
_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 86_400_000_000


class Issued(NamedTuple):
    """A new key, for the only time that it is shown, and what to paste where."""

    token: str
    line: KeyLine
    tools: tuple[ToolSettings, ...]
    status_line: str
    is_virtual: bool
    is_rotated: bool = False


@dataclass(frozen=True, slots=True)
class KeysPage:
    """The keys that the viewer may see.

    ``form`` has what was typed, or what is usual. ``ends`` are those that a key may be given
    instead of its own. ``emails`` and ``teams`` are suggestions.
    ``issued`` is a new key, shown once; ``fault`` says why none was issued. ``done`` is the
    name of a key that was just revoked, ``changed`` of one that was just changed.
    ``change_fault`` says why a key was not changed, and ``change_form`` what was typed.
    """

    template: ClassVar[str] = "keys.html"
    lines: tuple[KeyLine, ...]
    active: int
    ended: int
    shows_all: bool
    may_issue: bool
    denied: str
    may_choose: bool
    is_admin: bool
    form: Mapping[str, str]
    lifetimes: tuple[tuple[str, str], ...]
    ends: tuple[tuple[str, str], ...]
    overlaps: tuple[tuple[str, str], ...]
    bounds: tuple[str, ...]
    emails: tuple[str, ...]
    teams: tuple[str, ...]
    tools: tuple[ToolSettings, ...]
    ledger_answers: bool
    done: str = ""
    changed: str = ""
    fault: str = ""
    change_fault: str = ""
    change_form: Mapping[str, str] = field(default_factory=dict)
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
        desk = Desk(console.store, console.vault, console.self_service(), console.zone)
        issued, _ = issue(desk, request, _cap(form.get("budget", "")), issuer, now_us, once)
    except Refused as refused:
        return _page(console, viewer, form, fault=refused.message, status=refused.status)
    return _page(console, viewer, {"tz": form["tz"]}, issued=issued)


def rotate_key(console: Console, viewer: Viewer, form: Query) -> KeysPage:
    """Answer ``POST /keys/{key_id}/rotate``. Sent twice, the form gives the same secret twice."""
    issuer = issuer_of(console, viewer)
    now_us = console.now_us()
    try:
        hours = form.get("overlap", "24")
        if hours not in {value for value, _ in OVERLAPS}:
            raise BadRequest("choose how long the secret before stays good")
        ends_us = _end_us(form.get("days", ""), now_us)
        rules, key_id = console.self_service(), form["key_id"]
        require_end(console.store, rules, issuer, key_id, ends_us, now_us)
        wanted = Rotation(key_id, int(hours) * _HOUR_US, ends_us)
        once = form.get("once") or secrets.token_urlsafe(16)
        issued, _ = rotate_once(console.store, console.vault, wanted, issuer, once, now_us)
    except NotFound:
        raise
    except Refused as refused:
        plain = {"tz": form["tz"]}
        return _page(console, viewer, plain, fault=refused.message, status=refused.status)
    return _page(console, viewer, {"tz": form["tz"]}, issued=issued, rotated=True)


def change_key(console: Console, viewer: Viewer, form: Query) -> KeysPage | Redirect:
    """Answer ``POST /keys/{key_id}/change``. Fields that are left out stay as they are."""
    issuer = issuer_of(console, viewer)
    now_us = console.now_us()
    days = form.get("days", "")
    try:
        wanted = KeyChange(
            form["key_id"],
            form.get("name"),
            None if days == NEVER else _end_us(days, now_us),
            days == NEVER,
            _list_if_said(form, "models"),
            _list_if_said(form, "providers"),
            _list_if_said(form, "networks"),
            _tags(form["tags"]) if "tags" in form else None,
        )
        desk = Desk(console.store, console.vault, console.self_service(), console.zone)
        record = change(desk, wanted, issuer, now_us)
    except NotFound:
        raise
    except Refused as refused:
        plain = {"tz": form["tz"]}
        page = _page(console, viewer, plain, status=refused.status)
        return replace(page, change_fault=refused.message, change_form=form)
    return Redirect(f"/keys?changed={record.key.key_id}")


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
    return service.KeyRequest(
        form.get("name", ""),
        kind=kind,
        email=email,
        team=team,
        expires_at_us=_end_us(form.get("days", ""), now_us),
        models=_list(form.get("models", "")),
        providers=_list(form.get("providers", "")),
        networks=_list(form.get("networks", "")),
    )


def _cap(text: str) -> Cap | None:
    try:
        return cap_of_words(text) if text.strip() else None
    except UnclearWords as unclear:
        raise BadRequest(f"the budget {unclear.reason}", code="bad_budget") from None


def _end_us(days: str, now_us: int) -> int | None:
    """Give midnight UTC, so that the same form asks for the same when it is sent again."""
    if days not in {value for value, _ in LIFETIMES}:
        raise BadRequest("choose when the key expires")
    return (now_us // _DAY_US + 1 + int(days)) * _DAY_US if days else None


def _list_if_said(form: Query, name: str) -> tuple[str, ...] | None:
    return _list(form[name]) if name in form else None


def _tags(text: str) -> dict[str, str]:
    """Read ``team=search, app=chat``."""
    tags: dict[str, str] = {}
    for part in _list(text):
        name, sign, value = part.partition("=")
        if not sign or not name.strip():
            raise BadRequest(f"{part!r} is not name=value", code="bad_tags")
        tags[name.strip()] = value.strip()
    return tags


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


# ------------------------------------------------------------------ the page


def _page(
    console: Console,
    viewer: Viewer,
    query: Query,
    *,
    issued: service.IssuedKey | None = None,
    rotated: bool = False,
    fault: str = "",
    status: int = 200,
) -> KeysPage:
    issuer = issuer_of(console, viewer)
    stands(KeysPage)
    records = service.readable_keys(console.store, issuer)
    revocable = {record.key.key_id for record in service.list_keys(console.store, issuer)}
    uses = _uses(console, viewer, query["tz"])
    caps = caps_of_keys(console.store, console.now_us())
    tools = _tools(console, viewer, query["tz"])
    lines = KeyLines(console, query["tz"], records, uses, revocable, caps, tools)
    bounds, denied = _bounds(console, issuer)
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
        may_issue=viewer.role not in READERS and not denied,
        denied=denied,
        may_choose=may_choose,
        is_admin=viewer.role is Role.ADMIN,
        form=_form(viewer, query),
        lifetimes=(("", _LATEST), *LIFETIMES[1:]) if bounds else LIFETIMES,
        ends=((NEVER, _LATEST if bounds else "Never"), *LIFETIMES[1:]),
        overlaps=OVERLAPS,
        bounds=bounds,
        emails=_emails(console, viewer, issuer) if may_choose else (),
        teams=_teams(console, issuer) if may_choose else (),
        tools=connect.tool_settings(Connection(console.public_url)),
        ledger_answers=uses is not None,
        done=done.name if done else "",
        changed=next((each.name for each in shown if each.key_id == query.get("changed")), ""),
        fault=fault,
        issued=None if issued is None else _issued(console, viewer, issued, lines, rotated),
        status=status,
    )


def _bounds(console: Console, issuer: service.Issuer) -> tuple[tuple[str, ...], str]:
    """Say what somebody may issue, and why nothing where it is nothing."""
    if issuer.role in READERS:
        return (), ""
    try:
        rule = rule_of(console.self_service(), issuer)
    except NotAllowed as refused:
        return (), refused.message
    return (() if rule is None else tuple(bounds_words(rule))), ""


def _form(viewer: Viewer, query: Query) -> dict[str, str]:
    limits = ("models", "providers", "networks", "budget", "kind")
    names = ("name", "email", "team", "days", *limits)
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


def _tools(console: Console, viewer: Viewer, zone: str) -> Mapping[str, Sequence[str]]:
    period = period_named(PERIOD, zone, console.now_us())
    try:
        return key_tools(console.ledger, viewer.scope, period)
    except LedgerUnavailable:
        return {}


def _issued(
    console: Console, viewer: Viewer, issued: service.IssuedKey, lines: KeyLines, rotated: bool
) -> Issued:
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
        rotated,
    )
