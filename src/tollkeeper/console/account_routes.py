"""The lines of the table of routes that are about one's own account, and what they do.

Whatever computes the hash of a password runs where few do so at once, never on the threads that
answer pages.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tollkeeper import clock
from tollkeeper.console.access import Access, Auth
from tollkeeper.console.answers import Answer, Question
from tollkeeper.console.dispatch import Kind, zone_of
from tollkeeper.console.own_paths import HOME, own_path
from tollkeeper.console.pages.account import PATH, AccountPage, account
from tollkeeper.console.pages.sign_in import SignInPage, password_page
from tollkeeper.console.route import Route, Tenant
from tollkeeper.console.sessions import begun, with_session, without_session
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import BadRequest, Conflict, KeyRejected, NotFound, Refused
from tollkeeper.services import passwords, sign_in

_EVERYBODY: Final = frozenset(Role)
_CHANGED: Final = f"{PATH}?done=password"
_ENDED: Final = f"{PATH}?done=session"


def show_account(console: Console, access: Access, question: Question) -> Answer:
    """Show one's own account: the password, and where one is signed in."""
    return account(console, access, {**question.query, "tz": question.zone})


async def sign_in_with_password(
    console: Console, access: Access, request: Request
) -> Response | SignInPage:
    """Begin a session with an e-mail address and a password."""
    _require_passwords(console)
    form: dict[str, str] = request.state.form
    email, after = form.get("email", ""), own_path(form.get("next", HOME))
    address = request.headers.get("x-forwarded-for", "")
    console.attempts.begin(email, address, clock.monotonic_s())
    try:
        found = await console.hashing.run(_signed_in, console, access, email, form)
    except KeyRejected as refused:
        console.counters.sign_ins["refused"] += 1
        console.failed_sign_ins.count(refused.code, address)
        return password_page(console, email, after, refused.message)
    except BaseException:
        console.attempts.not_tried(email, address, clock.monotonic_s())
        raise
    console.attempts.succeeded(email, address, clock.monotonic_s())
    return begun(console, access, found, after)


def _signed_in(
    console: Console, access: Access, email: str, form: dict[str, str]
) -> sign_in.SignedIn:
    password = form.get("password", "")
    found = passwords.sign_in_with(_keeper(console), email, password, console.now_us())
    if access.cookie:
        sign_in.sign_out(console.store, console.vault, access.cookie)
    return found


async def change_password(
    console: Console, access: Access, request: Request
) -> Response | AccountPage:
    """Set one's own password. All one's sessions end, and this browser gets a new one."""
    _require_passwords(console)
    form: dict[str, str] = request.state.form
    named = access.viewer.name if access.viewer else ""
    address = request.headers.get("x-forwarded-for", "")
    console.attempts.begin(named, address, clock.monotonic_s())
    try:
        before, found = await console.hashing.run(_changed, console, access, form)
    except (KeyRejected, BadRequest, Conflict) as refused:
        if refused.code == "password_wrong":
            console.failed_sign_ins.count(refused.code, address)
        else:
            console.attempts.not_tried(named, address, clock.monotonic_s())
        return await _account_with(console, access, request, refused)
    except BaseException:
        console.attempts.not_tried(named, address, clock.monotonic_s())
        raise
    console.attempts.succeeded(named, address, clock.monotonic_s())
    for session_hash in before:
        console.hub.end_session(session_hash)
    after = own_path(form.get("next", HOME))
    return with_session(console, RedirectResponse(_CHANGED if after == HOME else after, 303), found)


def _changed(
    console: Console, access: Access, form: dict[str, str]
) -> tuple[list[bytes], sign_in.SignedIn]:
    """Change the password. Give what sessions there were, and the new one."""
    session = console.store.session(access.session_hash)
    if session is None:
        raise KeyRejected("sign in again", code="session_ended")
    new = form.get("new", "")
    if new != form.get("again", ""):
        raise BadRequest("the two new passwords differ", code="passwords_differ")
    now_us = console.now_us()
    before = [each.session_hash for each in console.store.sessions_of(session.user_id)]
    return before, passwords.change(_keeper(console), session, form.get("present", ""), new, now_us)


async def _account_with(
    console: Console, access: Access, request: Request, refused: Refused
) -> AccountPage:
    """Show the account again, with why nothing was changed."""
    form: dict[str, str] = request.state.form
    asked = {name: form[name] for name in ("start", "next") if form.get(name)}
    query = {**asked, "tz": zone_of(console, request, {})}
    status = 403 if isinstance(refused, KeyRejected) else refused.status
    return await console.work.run(
        account, console, access, query, fault=refused.message, status=status
    )


async def end_session(console: Console, access: Access, request: Request) -> Response:
    """End one of one's own sessions, such as that of a browser that was lost."""
    session_id = request.path_params["session_id"]
    ended = await console.work.run(_end_one, console, access, session_id)
    console.hub.end_session(ended)
    if ended == access.session_hash:
        return without_session(console)
    return RedirectResponse(_ENDED, 303)


def _end_one(console: Console, access: Access, session_id: str) -> bytes:
    user_id = access.viewer.user_id if access.viewer else ""
    now_us = console.now_us()
    found = sign_in.end_own_session(console.store, console.vault, user_id, session_id, now_us)
    if found is None:
        raise NotFound("there is no such session of yours", code="session_not_found")
    return found.session_hash


async def end_sessions(console: Console, access: Access, request: Request) -> Response:
    """Sign out everywhere, here too."""
    for session_hash in await console.work.run(_end_all, console, access):
        console.hub.end_session(session_hash)
    return without_session(console)


def _end_all(console: Console, access: Access) -> list[bytes]:
    user_id = access.viewer.user_id if access.viewer else ""
    with console.store.together():
        before = [each.session_hash for each in console.store.sessions_of(user_id)]
        console.store.end_sessions_of(user_id)
    return before


def _require_passwords(console: Console) -> None:
    if not console.passwords:
        raise NotFound("passwords are switched off here", code="passwords_off")


def _keeper(console: Console) -> passwords.Keeper:
    return passwords.Keeper(console.store, console.vault, console.hasher, console.org)


SIGN_IN: Final = (
    Route(
        *("POST", "/login/password", Kind.FORM, Auth.PUBLIC_FORM),
        *(frozenset[Role](), Tenant.OWN, sign_in_with_password),
    ),
)

PAGES: Final = (
    Route("GET", PATH, Kind.PAGE, Auth.SESSION, _EVERYBODY, Tenant.OWN, show_account),
    Route(
        *("POST", f"{PATH}/password", Kind.FORM, Auth.SESSION_FORM),
        *(_EVERYBODY, Tenant.OWN, change_password),
    ),
    Route(
        *("POST", f"{PATH}/sessions/end", Kind.FORM, Auth.SESSION_FORM),
        *(_EVERYBODY, Tenant.OWN, end_sessions),
    ),
    Route(
        *("POST", f"{PATH}/sessions/{{session_id}}/end", Kind.FORM, Auth.SESSION_FORM),
        *(_EVERYBODY, Tenant.OWN, end_session),
    ),
)
