"""What it takes to check a key: with a hundred keys and with a hundred thousand, and a guess.

The store is a real one, filled in one go; the directory has asked it for every key, as after a
day in which each has called.
"""

from __future__ import annotations

import itertools
import secrets
import sqlite3
import string
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from benchmarks.processes import CouldNotRun
from tollkeeper import bootstrap, clock
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.errors import KeyRejected
from tollkeeper.ports import DataFolder, Vault
from tollkeeper.services import keys, people
from tollkeeper.services.keys import KeyRequest
from tollkeeper.services.verified_keys import VerifiedKeys
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory
from tollkeeper.storage.store.remembered_keys import RememberedKeys

FEW: Final = 100
MANY: Final = 100_000
BUSY: Final = "check of a key that calls all the time, of {:,}"
IN_TURN: Final = "check of keys that call in turn, of {:,}"
MALFORMED: Final = "refusal of a guess whose checksum is wrong, of {:,}"
_TEAM: Final = "core"
_ALPHABET: Final = string.digits + string.ascii_letters


def key_check_us(time_us: Callable[[Callable[[], object]], float]) -> dict[str, float]:
    """Give the time of each check with few keys and with many, in µs."""
    found: dict[str, float] = {}
    for count in (FEW, MANY):
        with tempfile.TemporaryDirectory() as folder:
            for name, work in _works(Path(folder), count):
                found[name.format(count)] = time_us(work)
    return found


def _works(folder: Path, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Give what is timed, in turn, while the directory is open."""
    data = DataFolder(folder / "data")
    data.root.mkdir(mode=0o700)
    store, vault = bootstrap.open_store(data), bootstrap.open_vault(data)
    now_us = clock.now_us()
    people.ensure_team(store, _TEAM, now_us)
    first = keys.issue(store, vault, KeyRequest("first", team=_TEAM), keys.OPERATOR, now_us)
    store.close()
    tokens = fill_store(data, vault, first.record.key.key_id, count)
    directory = SqliteKeyDirectory(data.store)
    try:
        _ask_for_all(directory, tokens)
        verified = VerifiedKeys(directory, vault)
        busy, guess = tokens[0], tokens[0][:-1] + ("a" if tokens[0][-1] != "a" else "b")
        turn = itertools.cycle(tokens)

        def refuse() -> None:
            with suppress(KeyRejected):
                verified.known(guess, now_us)

        if verified.known(busy, now_us) is None:
            raise CouldNotRun("a key that was asked for is not known")
        yield BUSY, lambda: verified.known(busy, now_us)
        yield IN_TURN, lambda: verified.known(next(turn), now_us)
        yield MALFORMED, refuse
    finally:
        directory.close()


def fill_store(data: DataFolder, vault: Vault, like: str, count: int) -> list[str]:
    """Fill the store with copies of a key, each with an id and a secret of its own."""
    made = {
        _random(key_tokens.KEY_ID_CHARS): _random(key_tokens.SECRET_CHARS) for _ in range(count)
    }
    with closing(sqlite3.connect(data.store)) as database, database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(virtual_keys)")]
        own = {"key_id": "?", "secret_hmac": "?"}
        chosen = ", ".join(own.get(name, name) for name in columns)
        database.executemany(
            f"INSERT INTO virtual_keys ({', '.join(columns)}) "  # noqa: S608 - names of columns
            f"SELECT {chosen} FROM virtual_keys WHERE key_id = ?",
            [(key_id, vault.key_hmac(made[key_id].encode()), like) for key_id in made],
        )
    return [key_tokens.build(KeyKind.VIRTUAL, key_id, secret) for key_id, secret in made.items()]


def _ask_for_all(directory: RememberedKeys, tokens: list[str]) -> None:
    """Ask in the directory's own thread: a hundred thousand ways there and back take a minute."""
    ids = [token.split("_")[2] for token in tokens]
    directory._thread.submit(lambda: [directory._fetch(each) for each in ids]).result()


def _random(characters: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(characters))
