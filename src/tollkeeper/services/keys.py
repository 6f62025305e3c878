"""Virtual keys: issue, list, revoke, and verify what a caller brings."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from tollkeeper.domain import globs, key_tokens
from tollkeeper.domain.access import NO_TAGS, KeyKind, Role, VirtualKey
from tollkeeper.domain.errors import BadRequest, KeyRejected, NotAllowed, NotFound
from tollkeeper.domain.networks import networks_within
from tollkeeper.ports import KeyDirectory, KeyRecord, NewKey, Store, User, Vault
from tollkeeper.services import names

PEPPER_VERSION: Final = 1
_ALPHABET: Final = string.digits + string.ascii_letters
_READ_EVERYTHING: Final = frozenset({Role.FINANCE, Role.AUDITOR})
_UNKNOWN: Final = "no such key, or its secret is not the right one"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues, rotates or revokes keys, and how far their own rights reach.

    ``name`` is kept with the key. ``team`` counts for a lead, ``user_id`` for everybody
    who is not an admin. ``models`` and ``providers`` are globs, ``networks`` those from which
    calls may come, each empty for all; ``expires_at_us`` is the end of the rights themselves.
    No key gets more than these.
    """

    name: str
    role: Role
    user_id: str = ""
    team: str = ""
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    expires_at_us: int | None = None
    networks: tuple[str, ...] = ()


OPERATOR: Final = Issuer("command line", Role.ADMIN)
"""Whoever can write the data folder may do everything."""


def issuer_of_user(user: User) -> Issuer:
    """Give a signed-in person as an issuer."""
    return Issuer(user.email, user.role, user.user_id, user.team)


def issuer_of_key(key: VirtualKey) -> Issuer:
    """Give the holder of a key as an issuer: a management key acts as an admin, within its
    own bounds; any other key acts as a member, for its own user.
    """
    role = Role.ADMIN if key.kind is KeyKind.ADMIN else Role.MEMBER
    return Issuer(
        f"key {key.key_id}",
        role,
        key.user_id,
        key.team,
        key.models,
        key.providers,
        key.expires_at_us,
        () if key.networks is None else key.networks.texts,
    )


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """The key that is wanted.

    It belongs to a person (``email``), a team, or both; where both are given and the team
    is the person's own, the key follows the person when they move. A management key needs
    neither.
    """

    name: str
    kind: KeyKind = KeyKind.VIRTUAL
    email: str = ""
    team: str = ""
    expires_at_us: int | None = None
    models: Sequence[str] = ()
    providers: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)
    networks: Sequence[str] = ()


class IssuedKey(NamedTuple):
    """A new key. The token is shown once; only its keyed hash is kept."""

    token: str
    record: KeyRecord

    def __repr__(self) -> str:
        return f"IssuedKey({self.record.key.key_id}, …)"


class ChosenKey(NamedTuple):
    """The id and the secret that a new key is to have, both base62."""

    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"ChosenKey({self.key_id}, …)"


def issue(
    store: Store,
    vault: Vault,
    request: KeyRequest,
    issuer: Issuer,
    now_us: int,
    *,
    person_lifetime_us: int | None = None,
    chosen: ChosenKey | None = None,
) -> IssuedKey:
    """Make a key. ``person_lifetime_us`` limits people's keys when no end is asked for.

    Its id and secret are random unless they were ``chosen`` (see ``idempotent_keys``).

    Raises NotFound for an unknown person or team, NotAllowed when the key would have more
    rights than its issuer, BadRequest for anything that makes no sense.
    """
    secret = chosen.secret if chosen else random_secret()
    with store.together():  # the owner cannot be switched off between the look and the write
        wanted = checked(store, request, issuer, now_us, person_lifetime_us)
        key_id = chosen.key_id if chosen else _free_id(store)
        new = replace(wanted, key_id=key_id, secret_hmac=vault.key_hmac(secret.encode()))
        record = store.add_key(new, now_us)
    return IssuedKey(key_tokens.build(new.kind, new.key_id, secret), record)


def list_keys(store: Store, issuer: Issuer) -> list[KeyRecord]:
    """List the keys that somebody may see and revoke, oldest first."""
    if issuer.role is Role.ADMIN:
        return store.keys()
    if issuer.role is Role.LEAD and issuer.team:
        records = store.keys()
        return [
            record
            for record in records
            if record.key.team == issuer.team or record.key.user_id == issuer.user_id
        ]
    return store.keys_of(issuer.user_id) if issuer.user_id else []


def readable_keys(store: Store, reader: Issuer) -> list[KeyRecord]:
    """List the keys that somebody may look at: those above, or all for who reads everything."""
    if _reads_everything(reader):
        return store.keys()
    return list_keys(store, reader)


def revoke(store: Store, key_id: str, issuer: Issuer, now_us: int) -> KeyRecord:
    """Revoke a key for good, and give it as it is now. Doing it twice changes nothing.

    Raises NotFound for an unknown key, and for one that the issuer may not see; NotAllowed
    for one that they may only look at.
    """
    record = managed_key(store, key_id, issuer)
    store.revoke_key(key_id, now_us)
    return store.key(key_id) or record


def managed_key(store: Store, key_id: str, issuer: Issuer) -> KeyRecord:
    """Give a key that somebody may see and revoke. Raises as ``revoke``."""
    record = store.key(key_id) if key_id.isascii() else None
    if record is not None and not _may_see(issuer, record.key) and _reads_everything(issuer):
        raise NotAllowed("you may see this key, and not change it", code="role_too_low")
    if record is None or not _may_see(issuer, record.key):
        raise NotFound(f"there is no key with id {key_id!r}", code="key_not_found")
    return record


def verify_known(
    token: str,
    directory: KeyDirectory,
    vault: Vault,
    now_us: int,
    kind: KeyKind = KeyKind.VIRTUAL,
) -> VirtualKey | None:
    """Verify a token from memory alone; None when the store must be asked (``verify``).

    Raises KeyRejected for a token that is no good, NotAllowed for a good one of the wrong
    kind.
    """
    parts = _parsed(token)
    key = directory.known(parts.key_id)
    if key is None:
        if directory.is_known_missing(parts.key_id):
            raise KeyRejected(_UNKNOWN, code="key_unknown")
        return None
    _require_good(parts, key, vault, now_us, kind)
    return key


async def verify(
    token: str,
    directory: KeyDirectory,
    vault: Vault,
    now_us: int,
    kind: KeyKind = KeyKind.VIRTUAL,
) -> VirtualKey:
    """Verify a token, asking the store when its id is not in memory. Raises as above."""
    parts = _parsed(token)
    key = directory.known(parts.key_id)
    if key is None:
        key = await directory.fetch(parts.key_id)
    return _require_good(parts, key, vault, now_us, kind)


def verify_stored(
    token: str, store: Store, vault: Vault, now_us: int, kind: KeyKind = KeyKind.ADMIN
) -> VirtualKey:
    """Verify a token against the store itself, as the console does. Raises as above."""
    parts = _parsed(token)
    record = store.key(parts.key_id)
    return _require_good(parts, None if record is None else record.key, vault, now_us, kind)


def is_latest_secret(token: str, key: VirtualKey, vault: Vault) -> bool:
    """Tell of a token of this key whether it has the newest secret, not an earlier one."""
    return key.is_secret(vault.key_hmac(_parsed(token).secret.encode()))


def random_secret() -> str:
    """Give a new secret: 32 characters of base62."""
    return _random_text(key_tokens.SECRET_CHARS)


def _parsed(token: str) -> key_tokens.KeyToken:
    parts = key_tokens.parse(token)
    if parts is None:
        raise KeyRejected(
            "this is not a Tollkeeper key: its form or its checksum is wrong",
            code="key_malformed",
        )
    return parts


def _require_good(
    parts: key_tokens.KeyToken,
    key: VirtualKey | None,
    vault: Vault,
    now_us: int,
    kind: KeyKind,
) -> VirtualKey:
    given = vault.key_hmac(parts.secret.encode())
    # The kind is the stored one: the prefix is part of the text, not of the secret.
    if key is None or parts.kind != key.kind:
        raise KeyRejected(_UNKNOWN, code="key_unknown")
    is_earlier = key.is_earlier_secret(given)
    if not key.is_secret(given) and not is_earlier:
        raise KeyRejected(_UNKNOWN, code="key_unknown")
    key.require_usable(now_us)
    if is_earlier:
        key.require_earlier_usable(now_us)
    if key.kind is not kind:
        raise NotAllowed(
            "a management key cannot call models"
            if key.kind is KeyKind.ADMIN
            else "this needs a management key (tk_admin_…)",
            code="wrong_key_kind",
        )
    return key


def checked(
    store: Store, request: KeyRequest, issuer: Issuer, now_us: int, lifetime_us: int | None
) -> NewKey:
    """Give the key as asked for, within its issuer's rights, still without id and secret.

    Raises as ``issue``.
    """
    user, team_id = _owner(store, request)
    require_may_issue(issuer, request.kind, user, request.team)
    if request.kind is KeyKind.VIRTUAL and user is None and team_id is None:
        raise BadRequest("name a person or a team: somebody must own what the key spends")
    models = names.clean_globs(request.models, "model")
    providers = names.clean_globs(request.providers, "provider")
    default_us = None if user is None or lifetime_us is None else now_us + lifetime_us
    return NewKey(
        key_id="",
        secret_hmac=b"",
        pepper_version=PEPPER_VERSION,
        kind=request.kind,
        name=names.clean_name(request.name, "the key's name"),
        team_id=team_id,
        user_id=None if user is None else user.user_id,
        expires_at_us=_expiry(request.expires_at_us, default_us, issuer.expires_at_us, now_us),
        models=_within(models, issuer.models, "models"),
        providers=_within(providers, issuer.providers, "providers"),
        tags=names.clean_tags(request.tags),
        created_by=issuer.name,
        networks=_within_networks(names.clean_networks(request.networks), issuer.networks),
    )


def _owner(store: Store, request: KeyRequest) -> tuple[User | None, str | None]:
    """Give the person, and the team where it is not simply the person's own."""
    user = team = None
    if request.email:
        user = store.user_with_email(names.clean_email(request.email))
        if user is None:
            raise NotFound(f"there is no user {request.email!r}", code="user_not_found")
        if not user.active:
            raise BadRequest(f"user {user.email!r} is deactivated", code="user_inactive")
    if request.team:
        team = store.team_named(names.clean_name(request.team, "the team's name"))
        if team is None:
            raise NotFound(f"there is no team {request.team!r}", code="team_not_found")
        if not team.active:
            raise BadRequest(f"team {team.name!r} is deactivated", code="team_inactive")
    if team is None or (user is not None and user.team == team.name):
        return user, None
    return user, team.team_id


def require_may_issue(issuer: Issuer, kind: KeyKind, user: User | None, team: str) -> None:
    """Raise NotAllowed unless somebody may issue such a key to this person and team."""
    if issuer.role is Role.ADMIN:
        return
    if kind is KeyKind.ADMIN:
        raise NotAllowed("only an admin issues management keys", code="role_too_low")
    own = user is not None and user.user_id == issuer.user_id
    if issuer.role is Role.AUDITOR:
        raise NotAllowed("an auditor reads, and issues no keys", code="role_too_low")
    if issuer.role is Role.LEAD and issuer.team:
        in_team = user is None or own or user.team == issuer.team
        if in_team and team.casefold() in {"", issuer.team.casefold()}:
            return
        raise NotAllowed("a lead issues keys for the own team only", code="not_your_team")
    if not own or team.casefold() not in {"", issuer.team.casefold()}:
        raise NotAllowed("you may issue keys for yourself only", code="not_your_key")


def _may_see(issuer: Issuer, key: VirtualKey) -> bool:
    if issuer.role is Role.ADMIN:
        return True
    own = bool(issuer.user_id) and key.user_id == issuer.user_id
    return own or (issuer.role is Role.LEAD and bool(issuer.team) and key.team == issuer.team)


def _reads_everything(reader: Issuer) -> bool:
    return reader.role in _READ_EVERYTHING


def _within(wanted: tuple[str, ...], allowed: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Give the patterns of the new key: those wanted, or all that its issuer may use."""
    if not wanted:
        return allowed
    if not globs.within(wanted, allowed):
        raise NotAllowed(
            f"the key may not reach further than its issuer, who may use the {what} "
            + ", ".join(allowed),
            code="rights_exceeded",
        )
    return wanted


def _within_networks(wanted: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    if not wanted:
        return allowed
    if not networks_within(wanted, allowed):
        raise NotAllowed(
            "the key may not be used from more networks than its issuer, who has "
            + ", ".join(allowed),
            code="rights_exceeded",
        )
    return wanted


def _expiry(
    wanted_us: int | None, default_us: int | None, latest_us: int | None, now_us: int
) -> int | None:
    if wanted_us is None:
        ends = [end for end in (default_us, latest_us) if end is not None]
        return min(ends, default=None)
    if wanted_us <= now_us:
        raise BadRequest("the key would have expired already")
    if latest_us is not None and wanted_us > latest_us:
        raise NotAllowed("the key may not outlive its issuer's own", code="rights_exceeded")
    return wanted_us


def _free_id(store: Store) -> str:
    while True:
        key_id = _random_text(key_tokens.KEY_ID_CHARS)
        if store.key(key_id) is None:
            return key_id


def _random_text(characters: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(characters))
