"""The lines of the table of routes that are about invitations, and how one is accepted."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tollkeeper import clock
from tollkeeper.console.access import Access, Auth
from tollkeeper.console.answers import Answer, Question
from tollkeeper.console.api import invitations as api
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.own_paths import HOME
from tollkeeper.console.pages import invitations as pages
from tollkeeper.console.pages.account import PATH as ACCOUNT
from tollkeeper.console.pages.invitations import JoinPage
from tollkeeper.console.route import Route, Tenant, form
from tollkeeper.console.sessions import begun
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import BadRequest, KeyRejected
from tollkeeper.services import invitations as service
from tollkeeper.services import sign_in

_NOBODY: Final = frozenset[Role]()


def show_join(console: Console, access: Access, question: Question) -> Answer:
    """Show an invitation."""
    return pages.join(console, access.viewer, question.query)


async def join(console: Console, access: Access, request: Request) -> Response | JoinPage:
    """Accept an invitation: make the account, and begin a session."""
    sent: dict[str, str] = request.state.form
    token, name = sent.get("token", ""), sent.get("name", "")
    address = request.headers.get("x-forwarded-for", "")
    console.attempts.require_few(address, clock.monotonic_s())
    try:
        found = await console.work.run(_accepted, console, access.cookie, token, name)
    except KeyRejected:
        console.attempts.failed(address, clock.monotonic_s())
        console.counters.sign_ins["refused"] += 1
        raise
    except BadRequest as refused:
        return await console.work.run(pages.join_page, console, token, name, refused.message)
    return begun(console, access, found, f"{ACCOUNT}?start=1" if console.passwords else HOME)


def _accepted(console: Console, old_cookie: str, token: str, name: str) -> sign_in.SignedIn:
    found = service.accept(console.store, console.vault, token, name, console.now_us())
    if old_cookie:
        sign_in.sign_out(console.store, console.vault, old_cookie)
    return found


PAGES: Final = (
    Route(
        *("POST", "/people/invitations", Kind.FORM, Auth.SESSION_FORM),
        *(pages.INVITERS, Tenant.REACH, form(pages.invite)),
    ),
    Route(
        *("POST", "/people/invitations/{invitation_id}/resend", Kind.FORM, Auth.SESSION_FORM),
        *(pages.INVITERS, Tenant.REACH, form(pages.resend)),
    ),
    Route(
        *("POST", "/people/invitations/{invitation_id}/revoke", Kind.FORM, Auth.SESSION_FORM),
        *(pages.INVITERS, Tenant.REACH, form(pages.revoke)),
    ),
    Route("GET", "/join", Kind.PAGE, Auth.PUBLIC, _NOBODY, Tenant.OWN, show_join),
    Route("POST", "/join", Kind.FORM, Auth.PUBLIC_FORM, _NOBODY, Tenant.OWN, join),
)

API: Final = (
    Route(
        *("GET", "/api/v1/invitations", Kind.API, Auth.MANAGEMENT),
        *(pages.INVITERS, Tenant.REACH, api.list_invitations),
    ),
    Route(
        *("POST", "/api/v1/invitations", Kind.API, Auth.MANAGEMENT_WRITE),
        *(pages.INVITERS, Tenant.REACH, api.invite),
    ),
    Route(
        *("POST", "/api/v1/invitations/{invitation_id}/resend", Kind.API, Auth.MANAGEMENT_WRITE),
        *(pages.INVITERS, Tenant.REACH, api.resend),
    ),
    Route(
        *("DELETE", "/api/v1/invitations/{invitation_id}", Kind.API, Auth.MANAGEMENT_WRITE),
        *(pages.INVITERS, Tenant.REACH, api.revoke),
    ),
)
