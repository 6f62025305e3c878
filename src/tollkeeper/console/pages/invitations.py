"""Invitations on the page People: made, sent again, revoked; and the page that a link leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.pages import people as page
from tollkeeper.console.pages.people import PeoplePage, Showing
from tollkeeper.console.shared import Console, Page, Query, Redirect
from tollkeeper.domain.access import Role, Viewer
from tollkeeper.domain.errors import Refused
from tollkeeper.services import invitation_mails
from tollkeeper.services import invitations as service
from tollkeeper.services.invitations import Inviter, Made

INVITERS: Final = service.INVITERS


class MadeLine(NamedTuple):
    """An invitation that was just made. ``link`` is "" when it was mailed; ``why_not`` says why
    it was not."""

    email: str
    link: str
    why_not: str

    def __repr__(self) -> str:
        return f"MadeLine({self.email}, …)"


@dataclass(frozen=True, slots=True)
class JoinPage:
    """Where the link of an invitation leads. ``email`` is "" when the link is no good."""

    template: ClassVar[str] = "join.html"
    token: str
    email: str
    role: str
    team: str
    invited_by: str
    name: str = ""
    fault: str = ""
    status: int = 200


def invite(console: Console, viewer: Viewer, form: Query) -> Page | Redirect:
    """Answer ``POST /people/invitations``."""

    def make(by: Inviter) -> Made:
        role = page.role_of(form.get("role", Role.MEMBER))
        return service.invite(
            *(console.store, console.vault, by, form.get("email", "")),
            *(role, form.get("team", ""), console.now_us()),
        )

    return _made(console, viewer, form, make)


def resend(console: Console, viewer: Viewer, form: Query) -> Page | Redirect:
    """Answer ``POST /people/invitations/{invitation_id}/resend``."""

    def make(by: Inviter) -> Made:
        return service.resend(
            console.store, console.vault, by, form["invitation_id"], console.now_us()
        )

    return _made(console, viewer, form, make)


def revoke(console: Console, viewer: Viewer, form: Query) -> Page | Redirect:
    """Answer ``POST /people/invitations/{invitation_id}/revoke``."""
    by = service.inviter_of(viewer)
    service.revoke(console.store, by, form["invitation_id"], console.now_us())
    return Redirect("/people#invitations")


def join(console: Console, viewer: Viewer | None, query: Query) -> JoinPage:
    """Answer ``GET /join``. The link is spent by the form's button, not by opening it."""
    return join_page(console, query.get("token", ""))


def join_page(console: Console, token: str, name: str = "", fault: str = "") -> JoinPage:
    """Show an invitation, with what was wrong with the form where something was."""
    found = service.look(console.store, console.vault, token, console.now_us())
    if found is None:
        return JoinPage("", "", "", "", "", status=404)
    return JoinPage(
        *(token, found.email, words.role(found.role), found.team, found.invited_by, name, fault),
        status=400 if fault else 200,
    )


def _made(
    console: Console, viewer: Viewer, form: Query, make: Callable[[Inviter], Made]
) -> PeoplePage:
    """Make a link and mail it, or show it this once."""
    try:
        made = make(service.inviter_of(viewer))
    except Refused as refused:
        return page.show(
            console, viewer, form, Showing(fault=refused.message, status=refused.status)
        )
    why_not = invitation_mails.send(console.mailer, made, console.org, console.public_url)
    link = console.public_url + made.path if why_not else ""
    line = MadeLine(made.invitation.email, link, why_not)
    return page.show(console, viewer, {"tz": form["tz"]}, Showing(made=line))
