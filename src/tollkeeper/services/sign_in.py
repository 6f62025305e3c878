"""Signing in to the console: one-time links, sessions, and the tokens that guard forms.

Links and sessions are random texts of 256 bits. The store keeps a keyed hash of each, so
that a copy of the store opens nothing.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final, NamedTuple

from tollkeeper.domain.errors import BadRequest, KeyRejected
from tollkeeper.ports import Session, Store, User, Vault

LINK_PATH: Final = "/login?token="
PASSWORD_STEP: Final = "&next=/account?start=1"  # noqa: S105 - a part of an address
"""What is put behind a link's path to offer a password after it."""

LINK_LIFETIME_US: Final = 15 * 60 * 1_000_000
SESSION_IDLE_US: Final = 12 * 3600 * 1_000_000
SESSION_LIFETIME_US: Final = 7 * 24 * 3600 * 1_000_000
TOUCH_EVERY_US: Final = 60 * 1_000_000
"""How old the note of a session's last use may grow before it is written again."""

LINK: Final = "link"
PASSWORD: Final = "password"  # noqa: S105 - a word, no secret
"""With what a session began."""

_TOKEN_BYTES: Final = 32
_TOKEN_CHARS: Final = 43
_LINK = "sign-in link"
_SESSION = "session"
_SESSION_ID = "session id"
_FORM = "form token"
_ID_CHARS: Final = 16


class SignInLink(NamedTuple):
    """A link that signs one person in, once. ``path`` begins with a slash."""

    path: str
    user: User
    expires_at_us: int

    def __repr__(self) -> str:
        return f"SignInLink({self.user.email}, …)"


class SignedIn(NamedTuple):
    """A session that has just begun. ``cookie`` is its secret; it is shown once."""

    cookie: str
    session: Session
    user: User

    def __repr__(self) -> str:
        return f"SignedIn({self.user.email}, …)"


class Visit(NamedTuple):
    """A request by a signed-in person."""

    session: Session
    user: User


def make_link(store: Store, vault: Vault, user: User, now_us: int) -> SignInLink:
    """Make a one-time link. Raises BadRequest for a person who is switched off."""
    if not user.active:
        raise BadRequest(f"user {user.email!r} is deactivated", code="user_inactive")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    expires_at_us = now_us + LINK_LIFETIME_US
    store.add_login_link(_hashed(vault, token, _LINK), user.user_id, now_us, expires_at_us)
    return SignInLink(LINK_PATH + token, user, expires_at_us)


def sign_in(store: Store, vault: Vault, link_token: str, now_us: int) -> SignedIn:
    """Spend a link and begin a session.

    Raises KeyRejected for a link that is unknown, used, expired, or of a person who was
    switched off; it does not say which.
    """
    user = None
    if len(link_token) == _TOKEN_CHARS:
        user = store.use_login_link(_hashed(vault, link_token, _LINK), now_us)
    if user is None:
        raise KeyRejected(
            "this sign-in link is used or has expired; ask for a new one", code="link_rejected"
        )
    return begin(store, vault, user, now_us, LINK)


def begin(
    store: Store,
    vault: Vault,
    user: User,
    now_us: int,
    began_with: str,
    *,
    expires_at_us: int | None = None,
) -> SignedIn:
    """Begin a session for somebody who has proved who they are. ``began_with`` says how."""
    cookie = secrets.token_urlsafe(_TOKEN_BYTES)
    session = Session(
        session_hash=_hashed(vault, cookie, _SESSION),
        user_id=user.user_id,
        created_at_us=now_us,
        last_seen_at_us=now_us,
        expires_at_us=now_us + SESSION_LIFETIME_US if expires_at_us is None else expires_at_us,
        began_with=began_with,
    )
    store.add_session(session)
    return SignedIn(cookie, session, user)


def visit(store: Store, vault: Vault, cookie: str, now_us: int) -> Visit | None:
    """Give the session and person behind a cookie; None when they must sign in.

    Ends a session that was idle for too long, is too old, or whose person is switched off.
    """
    if len(cookie) != _TOKEN_CHARS:
        return None
    session = store.session(_hashed(vault, cookie, _SESSION))
    if session is None:
        return None
    user = _user_of(store, session, now_us)
    if user is None:
        store.end_session(session.session_hash)
        return None
    if now_us - session.last_seen_at_us >= TOUCH_EVERY_US:
        try:
            store.touch_session(session.session_hash, now_us)
        except LookupError:  # it was ended at this very moment
            return None
    return Visit(session, user)


def open_visit(store: Store, session_hash: bytes, now_us: int) -> Visit | None:
    """Give a session that is still good, without counting this as use of it."""
    session = store.session(session_hash)
    user = None if session is None else _user_of(store, session, now_us)
    return None if session is None or user is None else Visit(session, user)


def renew(store: Store, vault: Vault, cookie: str, now_us: int) -> SignedIn | None:
    """Give a session a new secret, so that the old one opens nothing any more.

    None when there is no session behind the cookie. The new one ends when the old one would.
    """
    with store.together():
        found = visit(store, vault, cookie, now_us)
        if found is None:
            return None
        store.end_session(found.session.session_hash)
        before = found.session
        return begin(
            store, vault, found.user, now_us, before.began_with, expires_at_us=before.expires_at_us
        )


def open_sessions(store: Store, user_id: str, now_us: int) -> list[Session]:
    """List a person's sessions that are still good, the last used one first."""
    good = [each for each in store.sessions_of(user_id) if _is_open(each, now_us)]
    return sorted(good, key=lambda each: each.last_seen_at_us, reverse=True)


def session_id(vault: Vault, session: Session) -> str:
    """Give what a session is called in a form. It opens nothing."""
    return vault.mac(session.session_hash, purpose=_SESSION_ID).hex()[:_ID_CHARS]


def end_own_session(
    store: Store, vault: Vault, user_id: str, given: str, now_us: int
) -> Session | None:
    """End one of a person's own sessions, by its id; None where there is none of theirs."""
    for each in open_sessions(store, user_id, now_us):
        if hmac.compare_digest(session_id(vault, each).encode(), given.encode()):
            store.end_session(each.session_hash)
            return each
    return None


def sign_out(store: Store, vault: Vault, cookie: str) -> None:
    """End the session behind a cookie, if there is one."""
    store.end_session(_hashed(vault, cookie, _SESSION))


def forget_ended(store: Store, now_us: int) -> int:
    """Forget sessions and links that are of no use any more; say how many there were."""
    return store.forget_sign_ins(now_us, now_us - SESSION_IDLE_US)


def form_token(vault: Vault, cookie: str) -> str:
    """Give the token that every form of this session carries (against forged requests)."""
    return _hashed(vault, cookie, _FORM).hex()


def is_form_token(vault: Vault, cookie: str, token: str) -> bool:
    """Tell whether a form's token belongs to this session."""
    given = token.encode("utf-8", "surrogatepass")
    return hmac.compare_digest(form_token(vault, cookie).encode(), given)


def _user_of(store: Store, session: Session, now_us: int) -> User | None:
    """Give a session's person; None when it is over or the person was switched off."""
    if not _is_open(session, now_us):
        return None
    user = store.user(session.user_id)
    return user if user is not None and user.active else None


def _is_open(session: Session, now_us: int) -> bool:
    idle = now_us - session.last_seen_at_us >= SESSION_IDLE_US
    return not idle and now_us < session.expires_at_us


def _hashed(vault: Vault, token: str, purpose: str) -> bytes:
    # What a client sends may hold anything, also what UTF-8 cannot express.
    return vault.mac(token.encode("utf-8", "surrogatepass"), purpose=purpose)
