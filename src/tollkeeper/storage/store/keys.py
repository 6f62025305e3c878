"""The store's virtual keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, insert, or_, select, update

from tollkeeper.ports import ChangedKey, KeyRecord, NewKey, NewSecret
from tollkeeper.storage.store.key_schema import key_networks, key_rotations
from tollkeeper.storage.store.rows import virtual_key, write_globs, write_tags
from tollkeeper.storage.store.schema import orgs, teams, users, virtual_keys
from tollkeeper.storage.store.teams import require_team
from tollkeeper.storage.store.users import require_user


def add_key(db: Connection, new: NewKey, now_us: int, revision: int) -> KeyRecord:
    """Add a key. Its id must be free, its user and team known."""
    taken = select(virtual_keys.c.key_id).where(virtual_keys.c.key_id == new.key_id)
    if db.execute(taken).first() is not None:
        raise ValueError(f"there is a key {new.key_id!r} already")
    if new.team_id is not None:
        require_team(db, new.team_id)
    if new.user_id is not None:
        require_user(db, new.user_id)
    db.execute(
        insert(virtual_keys).values(
            key_id=new.key_id,
            secret_hmac=new.secret_hmac,
            pepper_version=new.pepper_version,
            kind=new.kind.value,
            name=new.name,
            team_id=new.team_id,
            user_id=new.user_id,
            expires_at_us=new.expires_at_us,
            models=write_globs(new.models),
            providers=write_globs(new.providers),
            tags=write_tags(new.tags),
            created_by=new.created_by,
            created_at_us=now_us,
            changed_revision=revision,
        )
    )
    _bind(db, new.key_id, new.networks)
    return require_key(db, new.key_id)


def all_keys(db: Connection) -> list[KeyRecord]:
    """List the keys, oldest first."""
    return _listed(db, _select())


def keys_of(db: Connection, user_id: str) -> list[KeyRecord]:
    """List one person's keys, oldest first."""
    return _listed(db, _select().where(virtual_keys.c.user_id == user_id))


def key(db: Connection, key_id: str) -> KeyRecord | None:
    """Find a key by its id."""
    row = db.execute(_select().where(virtual_keys.c.key_id == key_id)).first()
    return None if row is None else _record(row)


def require_key(db: Connection, key_id: str) -> KeyRecord:
    """Give a key. Raises LookupError unless there is one with this id."""
    found = key(db, key_id)
    if found is None:
        raise LookupError(f"no key with id {key_id!r}")
    return found


def change_key(db: Connection, new: ChangedKey, revision: int) -> None:
    """Change what a key is called, may do and until when."""
    require_key(db, new.key_id)
    db.execute(
        update(virtual_keys)
        .where(virtual_keys.c.key_id == new.key_id)
        .values(
            name=new.name,
            expires_at_us=new.expires_at_us,
            models=write_globs(new.models),
            providers=write_globs(new.providers),
            tags=write_tags(new.tags),
            changed_revision=revision,
        )
    )
    db.execute(delete(key_networks).where(key_networks.c.key_id == new.key_id))
    _bind(db, new.key_id, new.networks)


def rotate_key(db: Connection, new: NewSecret, now_us: int, revision: int) -> None:
    """Give a key a new secret, and keep the one that it has as the earlier one."""
    before = require_key(db, new.key_id)
    db.execute(delete(key_rotations).where(key_rotations.c.key_id == new.key_id))
    db.execute(
        insert(key_rotations).values(
            key_id=new.key_id,
            earlier_hmac=before.key.secret_hmac,
            earlier_until_us=new.earlier_until_us,
            rotated_at_us=now_us,
            rotated_by=new.rotated_by,
        )
    )
    db.execute(
        update(virtual_keys)
        .where(virtual_keys.c.key_id == new.key_id)
        .values(
            secret_hmac=new.secret_hmac,
            pepper_version=new.pepper_version,
            expires_at_us=new.expires_at_us,
            changed_revision=revision,
        )
    )


def revoke_key(db: Connection, key_id: str, now_us: int, revision: int) -> None:
    """Revoke a key. One that is revoked keeps its first date."""
    require_key(db, key_id)
    revoked = {"revoked_at_us": now_us, "changed_revision": revision}
    db.execute(
        update(virtual_keys)
        .where(virtual_keys.c.key_id == key_id, virtual_keys.c.revoked_at_us.is_(None))
        .values(revoked)
    )


def revoke_keys_of(db: Connection, user_id: str, now_us: int, revision: int) -> int:
    """Revoke all keys of a person that are not revoked yet; say how many those were."""
    revoked = {"revoked_at_us": now_us, "changed_revision": revision}
    return db.execute(
        update(virtual_keys)
        .where(virtual_keys.c.user_id == user_id, virtual_keys.c.revoked_at_us.is_(None))
        .values(revoked)
    ).rowcount


def _bind(db: Connection, key_id: str, networks: Sequence[str]) -> None:
    if networks:
        bound = {"key_id": key_id, "networks": write_globs(tuple(networks))}
        db.execute(insert(key_networks).values(bound))


def _select() -> Select[*tuple[Any, ...]]:
    key_team = func.coalesce(virtual_keys.c.team_id, users.c.team_id)
    usable = and_(
        virtual_keys.c.revoked_at_us.is_(None),
        or_(users.c.user_id.is_(None), users.c.active.is_(True)),
        or_(teams.c.team_id.is_(None), teams.c.active.is_(True)),
    )
    return select(
        virtual_keys.c.key_id,
        virtual_keys.c.name,
        virtual_keys.c.kind,
        virtual_keys.c.secret_hmac,
        virtual_keys.c.expires_at_us,
        virtual_keys.c.models,
        virtual_keys.c.providers,
        virtual_keys.c.tags,
        usable,
        func.coalesce(teams.c.name, ""),
        func.coalesce(users.c.user_id, ""),
        func.coalesce(users.c.name, ""),
        key_networks.c.networks,
        key_rotations.c.earlier_hmac,
        key_rotations.c.earlier_until_us,
        select(orgs.c.name).scalar_subquery(),
        virtual_keys.c.created_at_us,
        virtual_keys.c.created_by,
        virtual_keys.c.revoked_at_us,
        key_rotations.c.rotated_at_us,
        key_rotations.c.rotated_by,
    ).select_from(
        virtual_keys.outerjoin(users, users.c.user_id == virtual_keys.c.user_id)
        .outerjoin(teams, teams.c.team_id == key_team)
        .outerjoin(key_networks, key_networks.c.key_id == virtual_keys.c.key_id)
        .outerjoin(key_rotations, key_rotations.c.key_id == virtual_keys.c.key_id)
    )


def _listed(db: Connection, query: Select[*tuple[Any, ...]]) -> list[KeyRecord]:
    ordered = query.order_by(virtual_keys.c.created_at_us, virtual_keys.c.key_id)
    return [_record(row) for row in db.execute(ordered)]


def _record(row: Sequence[Any]) -> KeyRecord:
    *fields, org, created_at_us, created_by, revoked_at_us, rotated_at_us, rotated_by = row
    return KeyRecord(
        virtual_key(fields, org or ""),
        created_at_us,
        created_by,
        revoked_at_us,
        rotated_at_us,
        rotated_by or "",
    )
