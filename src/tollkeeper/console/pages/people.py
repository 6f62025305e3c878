"""The people: who belongs to which team, in which role, and when they were last active.

There is no spend here and no order but the alphabet: nobody is ranked. A member sees the names
and roles of their own team, a lead the teams that they lead, and the others everybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NamedTuple

from tollkeeper.console.early import stands
from tollkeeper.console.pages.invitation_lines import (
    ROLE_NAMES,
    ROLES,
    InvitationLine,
    invitation_lines,
    inviting,
)
from tollkeeper.console.rendering import address
from tollkeeper.console.shared import Console, Page, Query, Redirect
from tollkeeper.domain.access import Role, Viewer
from tollkeeper.domain.errors import BadRequest, LedgerUnavailable, Refused
from tollkeeper.ports import Team, User
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.keys import key_uses
from tollkeeper.reports.period import period_named
from tollkeeper.services import passwords, people_changes
from tollkeeper.services import people as service

KEEPERS: Final = frozenset({Role.ADMIN})
"""Roles that add and change teams and people."""

LINES_MAX: Final = 500
FORMS_MAX: Final = 40
"""Of more people than these the page has no form for each: a browser takes a quarter of a second to
read those of a hundred. The form of one is there when it is asked for."""

_PERIOD: Final = "30d"


class PersonLine(NamedTuple):
    """One person. ``email`` is "" for who may see names only; ``seen`` is a day, or "" where no
    call is known or it is not for the viewer."""

    user_id: str
    name: str
    email: str
    role: str
    role_name: str
    team: str
    active: bool
    is_viewer: bool
    seen: str


class TeamCard(NamedTuple):
    """One team with its people. ``parent`` names the team that it is part of."""

    team_id: str
    name: str
    parent: str
    active: bool
    size: int
    lines: tuple[PersonLine, ...]
    may_nest: bool


@dataclass(frozen=True, slots=True)
class Showing:
    """What the page says besides the people: a fault, or an invitation that was just made."""

    fault: str = ""
    status: int = 200
    made: Any = None


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """The teams and people that the viewer may see, teams below the one that they are part of.

    ``query`` is what was searched for. ``more`` counts people who are not shown, ``off`` those
    who are switched off. ``saved`` names what was just changed;
    ``form`` has what was typed, ``fault`` says what was wrong with it. ``changing`` is whose form
    was asked for: each has one where ``has_forms``, else a link to it.
    """

    template: ClassVar[str] = "people.html"
    cards: tuple[TeamCard, ...]
    people: int
    teams: int
    off: int
    more: int
    query: str
    shows_all: bool
    names_only: bool
    may_change: bool
    team_names: tuple[str, ...]
    parents: tuple[str, ...]
    roles: tuple[tuple[str, str], ...]
    ledger_answers: bool
    form: Mapping[str, str] = field(default_factory=dict)
    invitations: tuple[InvitationLine, ...] = ()
    inviting: tuple[str, ...] | None = None
    made: Any = field(default=None, repr=False)
    mails: bool = False
    saved: str = ""
    fault: str = ""
    status: int = 200
    changing: str = ""

    @property
    def has_forms(self) -> bool:
        """Say whether there are few enough people for each to have a form."""
        return sum(len(card.lines) for card in self.cards) <= FORMS_MAX

    def change_href(self, user_id: str) -> str:
        """Give the address of the same page with somebody's form."""
        show = "all" if self.shows_all else ""
        query = {"q": self.query, "show": show, "change": user_id}
        return f"{address('/people', query)}#p-{user_id}"


_PLAIN: Final = Showing()


def people(console: Console, viewer: Viewer, query: Query) -> PeoplePage:
    """Answer ``GET /people``."""
    stands(PeoplePage)
    return show(console, viewer, query)


def add_team(console: Console, viewer: Viewer, form: Query) -> Page | Redirect:
    """Answer ``POST /people/teams``."""

    def add() -> str:
        parent = form.get("parent", "")
        team = service.add_team(
            console.store, form.get("name", ""), console.now_us(), parent=parent
        )
        return team.team_id

    return _done(console, viewer, form, add)


def change_team(console: Console, viewer: Viewer, form: Query) -> Page | Redirect:
    """Answer ``POST /people/teams/{team_id}``."""

    def change() -> str:
        team = people_changes.change_team(
            *(console.store, form["team_id"], console.now_us()),
            name=form.get("name"),
            parent=form.get("parent"),
            active=_switch(form),
        )
        return team.team_id

    return _done(console, viewer, form, change)


def add_user(console: Console, viewer: Viewer, form: Query) -> Page | Redirect:
    """Answer ``POST /people/users``."""

    def add() -> str:
        user = service.add_user(
            *(console.store, form.get("email", ""), console.now_us()),
            name=form.get("name", "").strip(),
            role=role_of(form.get("role", Role.MEMBER)),
            team=form.get("team", ""),
        )
        return user.user_id

    return _done(console, viewer, form, add)


def change_user(console: Console, viewer: Viewer, form: Query) -> Page | Redirect:
    """Answer ``POST /people/users/{user_id}``."""

    def change() -> str:
        user = people_changes.change_user(
            *(console.store, form["user_id"], console.now_us()),
            name=form.get("name"),
            role=role_of(form["role"]) if "role" in form else None,
            team=form.get("team"),
            active=_switch(form),
        )
        return user.user_id

    return _done(console, viewer, form, change)


def end_password(console: Console, viewer: Viewer, form: Query) -> Page | Redirect:
    """Answer ``POST /people/users/{user_id}/end-password``. Their sessions end with it."""

    def change() -> str:
        user = people_changes.user_with_id(console.store, form["user_id"])
        passwords.end_of(console.store, user)
        return user.user_id

    return _done(console, viewer, form, change)


def _done(
    console: Console, viewer: Viewer, form: Query, change: Callable[[], str]
) -> Page | Redirect:
    """Do what a form asks for, and show the page again, with the fault where there is one."""
    try:
        return Redirect(f"/people?saved={change()}")
    except Refused as refused:
        showing = Showing(fault=refused.message, status=refused.status)
        return show(console, viewer, form, showing)


def role_of(text: str) -> Role:
    if text not in ROLE_NAMES:
        raise BadRequest("choose a role", code="bad_role")
    return Role(text)


def _switch(form: Query) -> bool | None:
    return {"on": True, "off": False}.get(form.get("switch", ""))


# ------------------------------------------------------------------ the page


def show(console: Console, viewer: Viewer, query: Query, showing: Showing = _PLAIN) -> PeoplePage:
    """Make the page."""
    names_only = viewer.scope.user_id is not None
    teams, may_change = console.store.teams(), viewer.role in KEEPERS
    shown = [user for user in console.store.users() if _sees(console, viewer, user)]
    found = _Found(console, viewer, query, shown, names_only)
    seen = [team for team in teams if _sees_team(console, viewer, team)]
    offered = [team for team in teams if team.active] if may_change else []
    cards = found.cards(seen)
    return PeoplePage(
        cards=cards,
        people=sum(user.active for user in shown),
        teams=sum(bool(card.team_id) for card in cards),
        off=0 if names_only else sum(not user.active for user in shown),
        more=found.more,
        query=found.text,
        shows_all=found.shows_all,
        names_only=names_only,
        may_change=may_change,
        team_names=tuple(team.name for team in offered),
        parents=tuple(team.name for team in offered if not team.parent),
        roles=tuple((role.value, name) for role, name in ROLES),
        ledger_answers=found.seen is not None,
        form=query if showing.fault else {},
        saved=_name_of(query.get("saved", ""), shown, seen),
        invitations=invitation_lines(console, viewer, query["tz"]),
        inviting=inviting(viewer, teams),
        made=showing.made,
        mails=console.mailer is not None,
        fault=showing.fault,
        status=showing.status,
        changing=query.get("change", ""),
    )


def _name_of(changed: str, people: Sequence[User], teams: Sequence[Team]) -> str:
    names = {user.user_id: user.name for user in people}
    return names.get(changed) or next((t.name for t in teams if t.team_id == changed), "")


def _sees(console: Console, viewer: Viewer, user: User) -> bool:
    """Whom a viewer sees: by their scope, or whoever is active in their own team, or themselves."""
    if viewer.scope.user_id is None:
        return people_changes.in_scope(viewer.scope, user.team)
    return user.user_id == viewer.user_id or (
        user.active and bool(user.team) and user.team == _own_team(console, viewer)
    )


def _sees_team(console: Console, viewer: Viewer, team: Team) -> bool:
    if viewer.scope.user_id is None:
        return people_changes.in_scope(viewer.scope, team.name)
    return team.name == _own_team(console, viewer)


def _own_team(console: Console, viewer: Viewer) -> str:
    user = console.store.user(viewer.user_id)
    return "" if user is None else user.team


class _Found:
    """The people of one page, searched, in their teams."""

    def __init__(
        self,
        console: Console,
        viewer: Viewer,
        query: Query,
        people: Sequence[User],
        names_only: bool,
    ) -> None:
        self.text = query.get("q", "").strip()[:100]
        self.shows_all = query.get("show") == "all" and not names_only
        self.seen = {} if names_only else _last_days(console, viewer, query["tz"])
        self.more = 0
        self._viewer, self._names_only = viewer, names_only
        self._by_team: dict[str, list[User]] = defaultdict(list)
        for user in sorted(people, key=lambda each: (_called(each).casefold(), each.user_id)):
            if self._is_found(user):
                self._by_team[user.team].append(user)

    def cards(self, teams: Sequence[Team]) -> tuple[TeamCard, ...]:
        """Give a card for each team, parents before their parts, and one for who has none."""
        left = LINES_MAX
        parents = {team.parent for team in teams}
        found: list[TeamCard] = []
        named = {team.name for team in teams}
        for team in sorted(teams, key=lambda each: _place(each, named)):
            lines = self._by_team.get(team.name, [])
            if self.text and not lines and self.text.casefold() not in team.name.casefold():
                continue
            found.append(self._card(team, lines, left, team.name not in parents))
            left -= len(found[-1].lines)
        alone = self._by_team.get("", [])
        if alone:
            found.append(self._card(Team("", "", True, 0), alone, left, may_nest=False))
        return tuple(found)

    def _card(self, team: Team, lines: Sequence[User], most: int, may_nest: bool) -> TeamCard:
        self.more += max(0, len(lines) - max(0, most))
        shown = tuple(self._line(user) for user in lines[: max(0, most)])
        return TeamCard(
            *(team.team_id, team.name, team.parent, team.active),
            *(len(lines), shown, may_nest),
        )

    def _line(self, user: User) -> PersonLine:
        return PersonLine(
            user.user_id if not self._names_only else "",
            _called(user) if self._names_only else user.name,
            "" if self._names_only else user.email,
            user.role.value,
            ROLE_NAMES[user.role],
            user.team,
            user.active,
            user.user_id == self._viewer.user_id,
            (self.seen or {}).get(user.user_id, ""),
        )

    def _is_found(self, user: User) -> bool:
        if not user.active and not self.shows_all:
            return False
        words_of = [_called(user), user.team]
        if not self._names_only:
            words_of += [user.name, user.email]
        return any(self.text.casefold() in each.casefold() for each in words_of)


def _place(team: Team, shown: set[str]) -> tuple[str, str]:
    """Sort teams behind the one that they are part of, where it is shown."""
    if team.parent in shown:
        return team.parent.casefold(), team.name.casefold()
    return team.name.casefold(), ""


def _called(user: User) -> str:
    """Give a person's name; of one who is called by the address, its first part."""
    return user.name.partition("@")[0] if user.name == user.email else user.name


def _last_days(console: Console, viewer: Viewer, zone: str) -> Mapping[str, str] | None:
    """Say on which day each person's newest call was; None while the ledger cannot answer."""
    now_us, info = console.now_us(), zones.zone_info(zone)
    try:
        uses = key_uses(console.ledger, viewer.scope, period_named(_PERIOD, zone, now_us))
    except LedgerUnavailable:
        return None
    keys = console.store.keys()
    last: dict[str, int] = defaultdict(int)
    for record in keys:
        use = uses.get(record.key.key_id)
        if use is not None and record.key.user_id:
            last[record.key.user_id] = max(last[record.key.user_id], use.last_used_us)
    today = zones.local_time(now_us, info).date()
    days = {who: zones.local_time(at_us, info).date() for who, at_us in last.items() if at_us}
    return {
        who: "Today"
        if day == today
        else formatting.day(day)
        if day.year == today.year
        else f"{formatting.day(day)}, {day.year}"
        for who, day in days.items()
    }
