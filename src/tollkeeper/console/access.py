"""Who asks: from a request's cookie, key or token to a viewer with a scope.

Every answer is either an identity or an error; there is no half-known caller. What a role
may do stands in ``routes.py``, what it may see follows from ``scope_of``.
"""

from __future__ import annotations

import enum
import hmac
import secrets
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tollkeeper.console.shared import Console
from tollkeeper.domain.access import KeyKind, Role, Scope, Viewer, VirtualKey
from tollkeeper.domain.errors import KeyRejected, NotAllowed, UnknownRoute
from tollkeeper.domain.networks import address_of
from tollkeeper.domain.scim import ScimToken
from tollkeeper.ports import User, Vault
from tollkeeper.services import keys, scim_tokens, sign_in
from tollkeeper.services.keys import Issuer
from tollkeeper.services.people_changes import led_teams

FORM_FIELD: Final = "form_token"
FORM_HEADER: Final = "x-tollkeeper-form-token"
OPERATOR_HEADER: Final = "x-tollkeeper-operator"
OPERATOR: Final = "command line"
WHOLE_ORG: Final = frozenset({Role.ADMIN, Role.FINANCE, Role.AUDITOR})
"""Roles that see every team. All but the admin only read."""

_COOKIE: Final = "tollkeeper"
_MASK_BYTES: Final = 32


class Auth(enum.Enum):
    """What a request must bring before its route's handler is asked."""

    PUBLIC = "public"
    PUBLIC_FORM = "public form"  # not from another site's page
    SESSION = "session"
    SESSION_FORM = "session form"  # a session, its form token, and not from another site
    MANAGEMENT = "session or admin key"
    MANAGEMENT_WRITE = "session form or admin key"
    KEY_OR_SESSION = "virtual key or session"
    KEY_OR_SESSION_FORM = "virtual key or session form"
    SCIM = "SCIM token"
    DIRECT = "this machine"  # over the socket itself, never through the gateway


class Asked(NamedTuple):
    """What of a request tells who asks. Header names are in lower case.

    ``form_token`` came with the form or in ``FORM_HEADER``. ``direct`` tells that the request
    came over the console's own socket, from a process of this machine and this user.
    ``path_key`` is a key that stood in the path.
    """

    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    query: str
    form_token: str
    direct: bool
    path_key: str = ""


class Access(NamedTuple):
    """Who asks. ``viewer`` is None for anybody; ``issuer`` says how far keys may reach.

    ``cookie`` and ``session_hash`` are set for a session, ``key`` for a key, ``scim_token`` for
    a token, which is no viewer and has no role.
    """

    viewer: Viewer | None = None
    issuer: Issuer | None = None
    cookie: str = ""
    session_hash: bytes = b""
    key: VirtualKey | None = None
    scim_token: ScimToken | None = None


ANYBODY: Final = Access()


def identify(console: Console, auth: Auth, asked: Asked) -> Access:
    """Find out who asks. Raises KeyRejected (401), NotAllowed (403) or UnknownRoute (404).

    Looks into the store, so it belongs on a thread.
    """
    match auth:
        case Auth.DIRECT:
            if not asked.direct:  # for everybody else there is no such path
                raise UnknownRoute("there is no such page")
            return ANYBODY
        case Auth.PUBLIC:
            return _by_session(console, asked) or ANYBODY
        case Auth.PUBLIC_FORM:
            require_own_site(console, asked)
            return _by_session(console, asked) or ANYBODY
        case Auth.SESSION:
            return _required(_by_session(console, asked))
        case Auth.SESSION_FORM:
            return _with_form_token(console, asked, _required(_by_session(console, asked)))
        case Auth.KEY_OR_SESSION:
            return _by_virtual_key(console, asked) or _required(_by_session(console, asked))
        case Auth.KEY_OR_SESSION_FORM:
            by_key = _by_virtual_key(console, asked)
            if by_key is not None:
                return by_key
            return _with_form_token(console, asked, _required(_by_session(console, asked)))
        case Auth.SCIM:
            return _by_scim_token(console, asked)
        case Auth.MANAGEMENT | Auth.MANAGEMENT_WRITE:
            found = _by_operator(console, asked) or _by_admin_key(console, asked)
            if found is not None:
                return found
            session = _required(_by_session(console, asked))
            if auth is Auth.MANAGEMENT:
                return session
            return _with_form_token(console, asked, session)


def visitor(console: Console, user: User) -> Viewer:
    """Give a signed-in person as a viewer, with the teams below the one that they lead."""
    return viewer_of_user(console.org, user, led_teams(console.store, user))


def viewer_of_user(org: str, user: User, led: Collection[str] = ()) -> Viewer:
    """Give a person as a viewer. ``led`` names the teams that they lead besides their own."""
    return Viewer(user.user_id, user.email, user.role, scope_of(org, user, led))


def scope_of(org: str, user: User, led: Collection[str] = ()) -> Scope:
    """Say what a person may see: the organisation, the teams that they lead, or their own."""
    if user.role in WHOLE_ORG:
        return Scope(org)
    if user.role is Role.LEAD and user.team:
        return Scope(org, teams=frozenset({user.team, *led}))
    return Scope(org, user_id=user.user_id)


def issuer_of(console: Console, viewer: Viewer) -> Issuer:
    """Say how far the keys may reach that a signed-in person issues."""
    user = console.store.user(viewer.user_id)
    if user is None or not user.active:
        raise KeyRejected("sign in again", code="session_ended")
    return keys.issuer_of_user(user)


# ------------------------------------------------------------------ sessions and forms


def cookie_name(console: Console) -> str:
    """Name the session's cookie; over https a browser keeps other hosts from setting it."""
    return f"__Host-{_COOKIE}" if console.secure else _COOKIE


def form_token(vault: Vault, cookie: str) -> str:
    """Give the token for the forms of one page.

    It differs from page to page, so that what a compressed page weighs tells nothing.
    """
    mask = secrets.token_bytes(_MASK_BYTES)
    token = bytes.fromhex(sign_in.form_token(vault, cookie))
    return mask.hex() + _mixed(mask, token).hex()


def is_form_token(vault: Vault, cookie: str, given: str) -> bool:
    """Tell whether a form's token belongs to this session."""
    try:
        both = bytes.fromhex(given)
    except ValueError:
        return False
    token = _mixed(both[:_MASK_BYTES], both[_MASK_BYTES:])
    return len(both) == 2 * _MASK_BYTES and sign_in.is_form_token(vault, cookie, token.hex())


def require_own_site(console: Console, asked: Asked) -> None:
    """Refuse what another site's page makes a browser send. Raises NotAllowed.

    Browsers say where a request comes from, in one of two headers at least. What says
    nothing is no browser, and no browser's cookies came with it unasked.
    """
    site = asked.headers.get("sec-fetch-site")
    origin = asked.headers.get("origin")
    if site is not None:
        good = site in {"same-origin", "none"}
    elif origin is not None:
        good = _is_own(console, origin, asked.headers.get("host", ""))
    else:
        good = True
    if not good:
        raise NotAllowed(
            "this came from a page of another site; open the dashboard and try again there",
            code="cross_site",
        )


def _is_own(console: Console, origin: str, host: str) -> bool:
    parts = urlsplit(origin)
    if parts.scheme not in {"http", "https"}:
        return False  # "null" among others
    public = urlsplit(console.public_url)
    if (parts.scheme, parts.netloc) == (public.scheme, public.netloc):
        return True
    return bool(host) and parts.netloc.lower() == host.lower()


def _by_session(console: Console, asked: Asked) -> Access | None:
    cookie = asked.cookies.get(cookie_name(console), "")
    if not cookie:
        return None
    visit = sign_in.visit(console.store, console.vault, cookie, console.now_us())
    if visit is None:
        return None
    user = visit.user
    return Access(
        visitor(console, user),
        keys.issuer_of_user(user),
        cookie,
        visit.session.session_hash,
    )


def _required(found: Access | None) -> Access:
    if found is None:
        raise KeyRejected("sign in first", code="not_signed_in")
    return found


def _with_form_token(console: Console, asked: Asked, found: Access) -> Access:
    require_own_site(console, asked)
    if not is_form_token(console.vault, found.cookie, asked.form_token):
        raise NotAllowed(
            "the form is not of this session; open the page again and repeat what you did",
            code="form_token_rejected",
        )
    return found


def _mixed(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=False))


# ------------------------------------------------------------------ keys


def _by_admin_key(console: Console, asked: Asked) -> Access | None:
    given = asked.headers.get("authorization")
    if given is None:
        return None
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer":
        raise KeyRejected("send the key as 'Authorization: Bearer tk_admin_…'", code="key_missing")
    key = keys.verify_stored(token.strip(), console.store, console.vault, console.now_us())
    _require_from(key, asked)
    viewer = Viewer(key.user_id, f"key {key.key_id}", Role.ADMIN, Scope(console.org))
    return Access(viewer, keys.issuer_of_key(key), key=key)


def _by_scim_token(console: Console, asked: Asked) -> Access:
    scheme, _, token = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise KeyRejected("send the token as 'Authorization: Bearer tk_scim_…'", code="key_missing")
    found = scim_tokens.verify(console.store, console.vault, token.strip())
    return Access(scim_token=found)


def _by_virtual_key(console: Console, asked: Asked) -> Access | None:
    token = asked.path_key or console.presented_key(
        lambda name: _bytes(asked.headers.get(name.decode("ascii"))), asked.query
    )
    if not token:
        return None
    now_us = console.now_us()
    key = keys.verify_stored(token, console.store, console.vault, now_us, KeyKind.VIRTUAL)
    _require_from(key, asked)
    # A team's key has no person behind it: nobody's entries but what /me asks for by the key.
    nothing = frozenset[str]() if not key.user_id else None
    scope = Scope(console.org, teams=nothing, user_id=key.user_id or None)
    viewer = Viewer(key.user_id, key.user_name or key.name, Role.MEMBER, scope)
    return Access(viewer, keys.issuer_of_key(key), key=key)


def _require_from(key: VirtualKey, asked: Asked) -> None:
    """Hold a key to its networks; the gateway says in a header from where a request came."""
    key.require_from(address_of(asked.headers.get("x-forwarded-for", "")))


def _by_operator(console: Console, asked: Asked) -> Access | None:
    """Take the command line's own token, from this machine only."""
    given = asked.headers.get(OPERATOR_HEADER)
    if given is None or not asked.direct:
        return None
    if not hmac.compare_digest(given.encode(), console.operator_token.encode()):
        raise KeyRejected("the command line's token is not of this start", code="token_rejected")
    viewer = Viewer("", OPERATOR, Role.ADMIN, Scope(console.org))
    return Access(viewer, keys.OPERATOR)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1", "replace")
