"""My account: the password, and where I am signed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.access import Access
from tollkeeper.console.early import stands
from tollkeeper.console.own_paths import HOME, own_path
from tollkeeper.console.shared import Console, Query
from tollkeeper.domain import passwords as rules
from tollkeeper.domain.errors import KeyRejected
from tollkeeper.ports import Session
from tollkeeper.reports import formatting, zones
from tollkeeper.services import passwords, sign_in

PATH: Final = "/account"
_BEGAN_WITH: Final[Mapping[str, str]] = {
    sign_in.LINK: "One-time link",
    sign_in.PASSWORD: "Password",
}


class SessionLine(NamedTuple):
    """One browser that is signed in. ``current`` is the one that asks."""

    session_id: str
    began_with: str
    began: str
    last_used: str
    ends: str
    current: bool


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Who is signed in, and how.

    ``passwords`` tells whether there are any here. ``may_set`` tells whether this session may
    set one, ``needs_present`` whether only with the present one. ``starts`` is set for somebody
    who has just come in by a first link, and ``next`` is where they go on to. ``done`` says what
    was just done, ``fault`` why nothing was.
    """

    template: ClassVar[str] = "account.html"
    email: str
    name: str
    role: str
    team: str
    passwords: bool
    has_password: bool
    set_on: str
    may_set: bool
    needs_present: bool
    chars_min: int
    chars_max: int
    sessions: tuple[SessionLine, ...]
    starts: bool = False
    next: str = HOME
    done: str = ""
    fault: str = ""
    status: int = 200


def account(
    console: Console, access: Access, query: Query, *, fault: str = "", status: int = 200
) -> AccountPage:
    """Show somebody's own account. ``query`` has ``tz``."""
    now_us = console.now_us()
    session = console.store.session(access.session_hash)
    user = None if session is None else console.store.user(session.user_id)
    if session is None or user is None:
        raise KeyRejected("sign in again", code="session_ended")
    stands(AccountPage)
    kept = console.store.password(user.user_id)
    fresh = passwords.is_fresh(session, now_us)
    lines = _Lines(console, access, query["tz"], now_us)
    return AccountPage(
        email=user.email,
        name=user.name,
        role=words.role(user.role),
        team=user.team,
        passwords=console.passwords,
        has_password=kept is not None,
        set_on="" if kept is None else lines.moment(kept.set_at_us),
        may_set=console.passwords and (fresh or kept is not None),
        needs_present=kept is not None and not fresh,
        chars_min=rules.CHARS_MIN,
        chars_max=rules.CHARS_MAX,
        sessions=tuple(map(lines.line, sign_in.open_sessions(console.store, user.user_id, now_us))),
        starts="start" in query and console.passwords and kept is None,
        next=own_path(query.get("next", HOME)),
        done=query.get("done", ""),
        fault=fault,
        status=status,
    )


class _Lines:
    """Makes the lines of one page."""

    def __init__(self, console: Console, access: Access, zone: str, now_us: int) -> None:
        self._vault = console.vault
        self._own = access.session_hash
        self._zone = zones.zone_info(zone)
        self._today = zones.local_time(now_us, self._zone).date()

    def line(self, session: Session) -> SessionLine:
        idle_us = session.last_seen_at_us + sign_in.SESSION_IDLE_US
        return SessionLine(
            session_id=sign_in.session_id(self._vault, session),
            began_with=_BEGAN_WITH.get(session.began_with, "Single sign-on"),
            began=self.moment(session.created_at_us),
            last_used=self.moment(session.last_seen_at_us),
            ends=self.moment(min(idle_us, session.expires_at_us)),
            current=session.session_hash == self._own,
        )

    def moment(self, at_us: int) -> str:
        """Write a time as people say it: ``Today 14:05``, ``Nov 3, 14:05``."""
        local = zones.local_time(at_us, self._zone)
        day = "Today" if local.date() == self._today else f"{formatting.day(local.date())},"
        return f"{day} {local:%H:%M}"
