"""Secrets of the running tests, and the search for them wherever they must never turn up.

Whatever a test treats as secret is planted here: provider keys, virtual keys, logins of
vendors, prompts. A deployment that ends is searched: its logs, its pages, every file of its
data folder. The last step of the whole session searches everything that was kept once more,
and every data folder that any test left, for every secret of the session; under xdist the
controlling process does so for all workers.
"""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

PROMPT = "canary-prompt-3f9c the orchard behind the mill"
"""Goes into the prompts of tests. It may stand in a provider's reply, and nowhere else."""

LOGIN = "sk-ant-oat01-canary-login-0004-Zm9vYmFyYmF6"
"""The login of a vendor's subscription, as a caller brings it."""

STORE = "store.sqlite3"

_PLACES_FOR_ONE = 50
"""From so many places on, each core searches a share of them."""

LAST_STEP = "tests/canaries.py::no_secret_turned_up_anywhere"


class Canaries:
    """The planted secrets (text → what it is) and the places that were kept."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.stored: list[str] = []
        self.places: list[str] = []
        self._automaton: Any = None
        self._automaton_knows = 0

    def plant(self, what: str, secret: str, *, stored: bool = False) -> str:
        """Treat a text as a secret from now on. One that is ``stored`` belongs into the store's
        file, and nowhere else."""
        assert len(secret) >= 12, "so short a text turns up by chance"
        self.secrets[secret] = what
        if stored:
            self.stored.append(what)
        return secret

    def keep(self, *places: Path) -> None:
        """Keep files or folders for the last step."""
        self.places += [str(place) for place in places]

    def in_bytes(self, data: bytes) -> list[str]:
        """Name the secrets that stand in some bytes, plainly or in base64."""
        found = self._all_at_once().iter(data.strip(b"\0").decode("latin-1"))
        return sorted({what for _, what in found})

    def _all_at_once(self) -> Any:
        """Give what finds every form of every secret in one pass, built for those there are."""
        if self._automaton_knows != len(self.secrets):
            # `make check` reads this file too, and installs no packages of the tests.
            automaton = import_module("ahocorasick").Automaton()
            secrets = dict(self.secrets)  # tests ask on several threads, and plant meanwhile
            for secret, what in secrets.items():
                for form in _forms(secret):
                    automaton.add_word(form.decode("latin-1"), what)
            automaton.make_automaton()
            self._automaton, self._automaton_knows = automaton, len(secrets)
        return self._automaton

    def in_place(self, place: Path) -> list[str]:
        """Name file and secret for everything that stands in a file, or in a folder's files."""
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        return [
            f"{what} in {file}"
            for file in files
            if file.is_file()
            for content in _contents(file)
            for what in self.in_bytes(content)
            if what not in self.stored or not file.name.startswith(STORE)
        ]

    def require_none_in(self, data: bytes, where: str) -> None:
        """Fail when a secret stands in some bytes."""
        found = self.in_bytes(data)
        assert not found, f"{', '.join(found)} in {where}"

    def search(self, *places: Path) -> None:
        """Fail when a secret stands in some place."""
        found = [leak for place in places for leak in self.in_place(place)]
        assert not found, "\n".join(found)


PLANTED = Canaries()
PLANTED.plant("a prompt", PROMPT)
PLANTED.plant("a vendor's login", LOGIN)


def _forms(secret: str) -> Iterator[bytes]:
    """Give a secret as it is, and as base64 at each of the three places it can begin."""
    text = secret.encode()
    yield text
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + text)
        # What its neighbours share a group of four letters with does not count.
        yield coded[4 if before else 0 : len(coded) // 4 * 4 - 4]


def _contents(file: Path) -> Iterator[bytes]:
    try:
        yield file.read_bytes()
    except FileNotFoundError:
        return  # a process that still runs may remove its files
    if file.suffix == ".duckdb":
        yield from _columns(file)
    elif file.suffix == ".parquet":
        yield _lines(row.values() for row in pq.read_table(file).to_pylist())
    elif file.suffix == ".sqlite3":
        yield from _rows(file)


def _columns(file: Path) -> Iterator[bytes]:
    """Give the text of a DuckDB file's tables, which it stores compressed."""
    try:
        ledger = duckdb.connect(str(file), read_only=True)
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise  # somebody still has it: it would go unsearched
        return  # a test broke it on purpose
    with ledger:
        tables = ledger.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        for (table,) in tables:
            yield _lines(ledger.table(table).select("COLUMNS(*)::VARCHAR").fetchall())


def _rows(file: Path) -> Iterator[bytes]:
    """Give the text of a SQLite file's tables, which it may store in pieces."""
    try:
        store = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        if file.exists():
            raise  # it would go unsearched
        return
    try:
        tables = store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            yield _lines(store.execute(f'SELECT * FROM "{table}"'))  # noqa: S608 - its own names
    except sqlite3.DatabaseError:
        return  # a test broke it on purpose
    finally:
        store.close()


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Write rows as text; bytes stay as they are."""
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        for row in rows
        for value in row
    )


# ---------------------------------------------------------------------- the last step


@pytest.fixture(scope="session", autouse=True)
def _data_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep every data folder that a test of this session made."""
    yield
    for key_file in sorted(tmp_path_factory.getbasetemp().rglob("secret.key")):
        PLANTED.keep(key_file.parent)


_KEPT = pytest.StashKey[list[dict[str, Any]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEPT] = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker of xdist ended: take over what it planted and kept."""
    kept = getattr(node, "workeroutput", {}).get("canaries")
    if kept is not None:
        node.config.stash[_KEPT].append(kept)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Search everything that the session kept, when all its tests are over."""
    config = session.config
    own = {"secrets": PLANTED.secrets, "stored": PLANTED.stored, "places": PLANTED.places}
    if hasattr(config, "workeroutput"):
        config.workeroutput["canaries"] = own
        return
    leaks = _leaks([own, *config.stash[_KEPT]])
    if leaks is None:
        return
    report = pytest.TestReport(
        nodeid=LAST_STEP,
        location=("tests/canaries.py", None, LAST_STEP.partition("::")[2]),
        keywords={},
        outcome="failed" if leaks else "passed",
        longrepr="\n".join(leaks) or None,
        when="call",
    )
    config.hook.pytest_runtest_logreport(report=report)
    if leaks and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _leaks(kept: Iterable[dict[str, Any]]) -> list[str] | None:
    """Search every place for every secret; None where no test kept any."""
    everything = Canaries()
    for one in kept:
        everything.secrets |= one["secrets"]
        everything.stored += one["stored"]
        everything.places += one["places"]
    if not everything.places:
        return None
    places = list(dict.fromkeys(everything.places))
    if len(places) < _PLACES_FOR_ONE:
        return _search(everything.secrets, everything.stored, places)
    shares = os.cpu_count() or 1
    with ProcessPoolExecutor(shares, get_context("spawn")) as pool:
        found = [
            pool.submit(_search, everything.secrets, everything.stored, places[share::shares])
            for share in range(shares)
        ]
        return [leak for each in found for leak in each.result()]


def _search(secrets: dict[str, str], stored: list[str], places: list[str]) -> list[str]:
    """Search some places for every secret, in this process."""
    searching = Canaries()
    searching.secrets, searching.stored = secrets, stored
    return [leak for place in places for leak in searching.in_place(Path(place))]
