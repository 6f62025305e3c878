"""Builds real stores and vaults for tests, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.ports import DataFolder, NewKey, Store, User
from tollkeeper.services import keys, people
from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory
from tollkeeper.storage.store.migrate import migrate
from tollkeeper.storage.store.postgres_keys import PostgresKeyDirectory
from tollkeeper.storage.store.remembered_keys import RememberedKeys
from tollkeeper.storage.store.schema_check import schema_is_current
from tollkeeper.storage.store.store import SqlStore, open_sql_store
from tollkeeper.storage.store.store_address import store_of
from tollkeeper.storage.vault import KeyFileVault, open_vault

NOW = 1_790_000_000_000_000
"""An afternoon in September 2026, in epoch microseconds."""
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Folder(NamedTuple):
    """A data folder with an open store and its vault."""

    data: DataFolder
    store: SqlStore
    vault: KeyFileVault


def open_folder(root: Path, store_url: str = "") -> Folder:
    """Open a data folder and its store, making what is not there."""
    data = DataFolder(root, store_url)
    at = store_of(data)
    vault = open_vault(data.secret_key, store_exists=isinstance(at, Path) and at.exists())
    if isinstance(at, Path) and not at.exists():
        make_store(at)
    if not schema_is_current(at):
        migrate(at)
    return Folder(data, open_sql_store(at), vault)


def make_store(path: Path) -> None:
    """Make the file of a store with nothing in it: as the migrations make it, but quicker."""
    sqlite_file.create(path)
    path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite3"
        migrate(path)
        return path.read_bytes()


def key_directory(data: DataFolder, **sizes: int) -> RememberedKeys:
    """Open a gateway's view of a store, with memories of other sizes where they are given."""
    at = store_of(data)
    if isinstance(at, Path):
        return SqliteKeyDirectory(at, **sizes)
    return PostgresKeyDirectory(at, **sizes)


def new_key(
    key_id: str,
    *,
    user_id: str | None = None,
    team_id: str | None = None,
    kind: KeyKind = KeyKind.VIRTUAL,
    expires_at_us: int | None = None,
    models: tuple[str, ...] = (),
    providers: tuple[str, ...] = (),
    tags: Mapping[str, str] | None = None,
) -> NewKey:
    """Give a key to be added, with a hash that no secret has."""
    return NewKey(
        key_id=key_id,
        secret_hmac=key_id.encode().ljust(32, b"\0"),
        pepper_version=1,
        kind=kind,
        name=f"key {key_id}",
        team_id=team_id,
        user_id=user_id,
        expires_at_us=expires_at_us,
        models=models,
        providers=providers,
        tags=tags or {},
        created_by="test",
    )


def add_person(
    store: Store, email: str = "alice@acme.com", team: str = "core", role: Role = Role.MEMBER
) -> User:
    """Add a person, and their team if it is not there."""
    if team:
        people.ensure_team(store, team, NOW)
    return people.add_user(store, email, NOW, team=team, role=role)


def issue_key(folder: Folder, email: str = "", team: str = "", **wanted: object) -> keys.IssuedKey:
    """Issue a key as the operator."""
    request = keys.KeyRequest("laptop", email=email, team=team, **wanted)  # type: ignore[arg-type]
    return keys.issue(folder.store, folder.vault, request, keys.OPERATOR, NOW)
