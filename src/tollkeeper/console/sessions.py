"""Signing in and out, and what a browser remembers: the theme and the time zone.

A one-time link is spent by the button of the page that it leads to, so that programs which
only look at links, as mail scanners do, spend nothing.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tollkeeper import clock
from tollkeeper.console.access import Access, cookie_name
from tollkeeper.console.dispatch import SIGN_IN, THEMES
from tollkeeper.console.own_paths import HOME, own_path, own_path_of
from tollkeeper.console.shared import Console
from tollkeeper.domain.errors import BadRequest, KeyRejected
from tollkeeper.reports.zones import zone_info
from tollkeeper.services import sign_in as service

SIGNED_OUT: Final = f"{SIGN_IN}?signed_out=1"
_A_YEAR_S: Final = 31_536_000


async def sign_in(console: Console, access: Access, request: Request) -> Response:
    """Spend a link and begin a session."""
    form: dict[str, str] = request.state.form
    address = request.headers.get("x-forwarded-for", "")
    console.attempts.require_few(address, clock.monotonic_s())
    try:
        found = await console.work.run(_begin, console, access.cookie, form.get("token", ""))
    except KeyRejected:
        console.attempts.failed(address, clock.monotonic_s())
        console.counters.sign_ins["refused"] += 1
        raise
    return begun(console, access, found, form.get("next", HOME))


def begun(console: Console, access: Access, found: service.SignedIn, after: str) -> Response:
    """Let a browser go on in the session that has just begun, not in the one before."""
    console.counters.sign_ins["done"] += 1
    if access.session_hash:
        console.hub.end_session(access.session_hash)
    return with_session(console, RedirectResponse(own_path(after), 303), found)


def with_session(console: Console, response: Response, found: service.SignedIn) -> Response:
    """Give a browser the cookie of a session, with an answer."""
    session = found.session
    response.set_cookie(
        cookie_name(console),
        found.cookie,
        max_age=(session.expires_at_us - session.created_at_us) // 1_000_000,
        secure=console.secure,
        httponly=True,
        samesite="lax",
    )
    return response


def without_session(console: Console) -> Response:
    """Lead a browser whose session has ended to the page that says so, and take its cookie."""
    response = RedirectResponse(SIGNED_OUT, 303)
    response.delete_cookie(
        cookie_name(console), secure=console.secure, httponly=True, samesite="lax"
    )
    return response


def _begin(console: Console, old_cookie: str, token: str) -> service.SignedIn:
    found = service.sign_in(console.store, console.vault, token, console.now_us())
    if old_cookie:
        service.sign_out(console.store, console.vault, old_cookie)
    return found


async def sign_out(console: Console, access: Access, request: Request) -> Response:
    """End the session and close its pages."""
    await console.work.run(service.sign_out, console.store, console.vault, access.cookie)
    console.hub.end_session(access.session_hash)
    return without_session(console)


async def set_theme(console: Console, access: Access, request: Request) -> Response:
    """Remember a colour theme."""
    theme = request.state.form.get("theme", "")
    if theme not in THEMES:
        raise BadRequest(f"a theme is one of {', '.join(THEMES)}", code="bad_theme")
    return _remember(console, request, "theme", theme)


async def set_zone(console: Console, access: Access, request: Request) -> Response:
    """Remember a time zone."""
    zone = request.state.form.get("tz", "")
    zone_info(zone)
    return _remember(console, request, "tz", zone)


def _remember(console: Console, request: Request, name: str, value: str) -> Response:
    """Set a cookie, and go back to the page that the form was on."""
    after = request.state.form.get("next")
    back = own_path(after) if after else own_path_of(request.headers.get("referer", ""))
    response = RedirectResponse(back, 303)
    response.set_cookie(
        name, value, max_age=_A_YEAR_S, secure=console.secure, httponly=True, samesite="lax"
    )
    return response
