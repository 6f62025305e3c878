"""Single sign-on: the way to a provider and the way back."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tollkeeper import clock
from tollkeeper.acting import acting
from tollkeeper.console.access import Access
from tollkeeper.console.own_paths import HOME, own_path
from tollkeeper.console.requests import parameters
from tollkeeper.console.sessions import begun
from tollkeeper.console.shared import Console, Query
from tollkeeper.domain.audit import Actor, ActorKind
from tollkeeper.domain.errors import UnknownRoute
from tollkeeper.domain.oidc import OidcClient, SignInRefused
from tollkeeper.services import sign_in
from tollkeeper.services import single_sign_on as service
from tollkeeper.telemetry import logger

_CARRIER: Final = "tollkeeper-sign-in"


async def begin(console: Console, access: Access, request: Request) -> Response:
    """Send somebody to a provider to sign in."""
    client = console.sign_on.client(request.path_params["provider"])
    console.attempts.require_few(_address(request), clock.monotonic_s())
    query = parameters(request.scope["query_string"])
    sent = await console.sign_on.work.run(
        service.begin, client, console.vault, own_path(query.get("next", HOME)), console.now_us()
    )
    response = RedirectResponse(sent.address, 303)
    response.set_cookie(
        _carrier(console),
        sent.carried,
        max_age=service.FLOW_LIFETIME_US // 1_000_000,
        secure=console.secure,
        httponly=True,
        samesite="lax",
    )
    return response


async def leave(console: Console, access: Access, request: Request) -> Response:
    """Send somebody to a provider to sign out there too."""
    client = console.sign_on.client(request.path_params["provider"])
    address = await console.sign_on.work.run(client.farewell)
    if not address:
        raise UnknownRoute("there is no such page")
    return RedirectResponse(address, 303)


async def finish(console: Console, access: Access, request: Request) -> Response:
    """Take somebody back from a provider and begin a session."""
    client = console.sign_on.client(request.path_params["provider"])
    address = _address(request)
    console.attempts.require_few(address, clock.monotonic_s())
    query = parameters(request.scope["query_string"])
    carried = request.cookies.get(_carrier(console), "")
    try:
        arrived = await console.sign_on.work.run(
            _finish, console, client, access.cookie, carried, query, address
        )
    except SignInRefused as error:
        console.attempts.failed(address, clock.monotonic_s())
        console.counters.sign_ins["refused"] += 1
        console.failed_sign_ins.count(error.code, address)
        logger.warning(
            "sign-in at a provider refused",
            extra={"provider": client.provider.name, "code": error.code, "reason": error.reason},
        )
        raise
    response = begun(console, access, arrived.signed_in, arrived.next)
    response.delete_cookie(_carrier(console), secure=console.secure, httponly=True, samesite="lax")
    return response


def _finish(
    console: Console,
    client: OidcClient,
    old_cookie: str,
    carried: str,
    query: Query,
    address: str,
) -> service.Arrived:
    with acting(Actor(ActorKind.OIDC, client.provider.name, "", address)):
        arrived = service.finish(
            client, console.store, console.vault, carried, query, console.now_us()
        )
        if old_cookie:
            sign_in.sign_out(console.store, console.vault, old_cookie)
    return arrived


def _carrier(console: Console) -> str:
    """Name the cookie that waits for somebody to come back; see ``cookie_name``."""
    return f"__Host-{_CARRIER}" if console.secure else _CARRIER


def _address(request: Request) -> str:
    return request.headers.get("x-forwarded-for", "")
