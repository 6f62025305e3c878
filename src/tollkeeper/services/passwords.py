"""Passwords: set, changed, ended, and signed in with.

What is hashed is a keyed hash of the password under the key file, so that a copy of the store
alone says nothing about the passwords. Every try to sign in costs one hash exactly, whoever is
named, so that neither the answer nor its time tells who has an account.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from tollkeeper.domain import passwords as rules
from tollkeeper.domain.errors import BadRequest, Conflict, KeyRejected
from tollkeeper.ports import PasswordHasher, Session, Store, User, Vault
from tollkeeper.services import names, people, sign_in
from tollkeeper.services.sign_in import SignedIn

FRESH_US: Final = 15 * 60 * 1_000_000
"""How long after signing in with a link a password may be set without the present one."""

_PURPOSE: Final = "password"


class Keeper(NamedTuple):
    """What passwords are kept with. ``org`` is the company's name, which no password may be."""

    store: Store
    vault: Vault
    hasher: PasswordHasher
    org: str


def sign_in_with(keeper: Keeper, email: str, password: str, now_us: int) -> SignedIn:
    """Begin a session with an address and a password.

    Raises KeyRejected, in the same words and after the same work, for an unknown person, one
    without a password or switched off, and a wrong password.
    """
    user = _user_named(keeper.store, email)
    kept = keeper.store.password("" if user is None else user.user_id)
    encoded = keeper.hasher.nobody if kept is None else kept.encoded
    good = keeper.hasher.matches(encoded, _secret(keeper.vault, password))
    if not good or user is None or kept is None or not user.active:
        raise _wrong()
    if not keeper.hasher.is_current(encoded):
        _renew(keeper, user, encoded, password)
    with keeper.store.together():
        # What was true before the hash was computed may have changed meanwhile.
        still, again = keeper.store.user(user.user_id), keeper.store.password(user.user_id)
        if still is None or not still.active or again is None or again.set_at_us != kept.set_at_us:
            raise _wrong()
        return sign_in.begin(keeper.store, keeper.vault, still, now_us, sign_in.PASSWORD)


def is_fresh(session: Session, now_us: int) -> bool:
    """Tell whether a session began with a link a short time ago."""
    began_us = session.created_at_us
    return session.began_with == sign_in.LINK and 0 <= now_us - began_us < FRESH_US


def change(keeper: Keeper, session: Session, present: str, new: str, now_us: int) -> SignedIn:
    """Set a person's own password; all their sessions end, and a new one begins.

    Raises KeyRejected for a wrong present password, which a fresh link makes unnecessary, and
    BadRequest for a new one that is no good.
    """
    user = keeper.store.user(session.user_id)
    if user is None or not user.active:
        raise KeyRejected("sign in again", code="session_ended")
    require_good(new, about(user, keeper.org))
    kept = keeper.store.password(user.user_id)
    if not is_fresh(session, now_us):
        encoded = keeper.hasher.nobody if kept is None else kept.encoded
        if not keeper.hasher.matches(encoded, _secret(keeper.vault, present)) or kept is None:
            raise KeyRejected(
                "the present password is not right"
                if kept is not None
                else "a first password is set within 15 minutes after signing in with a link",
                code="password_wrong" if kept is not None else "link_needed",
            )
    encoded = keeper.hasher.hashed(_secret(keeper.vault, new))
    with keeper.store.together():
        still = keeper.store.session(session.session_hash)
        if still is None or keeper.store.password(user.user_id) != kept:
            raise Conflict("the password was changed at this very moment", code="password_changed")
        keeper.store.set_password(user.user_id, encoded, now_us)
        keeper.store.end_sessions_of(user.user_id)
        return sign_in.begin(keeper.store, keeper.vault, user, now_us, sign_in.PASSWORD)


def end(store: Store, email: str) -> tuple[User, bool]:
    """End a person's password and all their sessions. Say whether there was a password.

    They sign in with a link, and may set another one. Raises NotFound.
    """
    with store.together():
        user = people.find_user(store, email)
        return user, end_of(store, user)


def end_of(store: Store, user: User) -> bool:
    """End the password and all sessions of a person who was found. Say whether there was one."""
    with store.together():
        ended = store.remove_password(user.user_id)
        store.end_sessions_of(user.user_id)
        return ended


def about(user: User, org: str) -> tuple[str, ...]:
    """Give the texts that nobody may take for a password."""
    return (user.email, user.email.partition("@")[0], user.name, user.team, org)


def require_good(password: str, texts: Iterable[str]) -> None:
    """Raise BadRequest for a new password that is too short, too long or guessed at once."""
    fault = rules.fault_of(password, texts)
    if fault is not None:
        raise BadRequest(fault[1], code=fault[0])


def _user_named(store: Store, email: str) -> User | None:
    try:
        return store.user_with_email(names.clean_email(email))
    except BadRequest:
        return None


def _renew(keeper: Keeper, user: User, encoded: str, password: str) -> None:
    """Hash a password again with the parameters of today."""
    again = keeper.hasher.hashed(_secret(keeper.vault, password))
    keeper.store.replace_password(user.user_id, encoded, again)


def _secret(vault: Vault, password: str) -> bytes:
    """Give what is hashed. Nobody has a password that is too long, so it need not be read."""
    text = rules.normal(password) if len(password) <= rules.CHARS_MAX else ""
    return vault.mac(text.encode("utf-8", "surrogatepass"), purpose=_PURPOSE)


def _wrong() -> KeyRejected:
    return KeyRejected("the e-mail address or the password is not right", code="password_rejected")
