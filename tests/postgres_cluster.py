"""A PostgreSQL server of the tests' own, from the system's package.

One cluster for each test process, made when a test first asks for it; one database for each
test, copied from one that has the schema already. Its texts sort as English does, not as
bytes do, so that nothing can rely on the order that SQLite has. A restart is a real one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from canaries import PLANTED
from loopback import HOST, free_port
from tollkeeper.storage.store.migrate import migrate
from tollkeeper.storage.store.store_address import PostgresDatabase, parse_store_url

NOBODY = 65_534
USER = "tollkeeper"
TEMPLATE = "with_schema"
_SETTINGS = {
    "fsync": "off",  # power does not fail here; a killed server loses nothing by it
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "32MB",
    "listen_addresses": HOST,
    "log_min_messages": "fatal",
}


class Cluster:
    """A server on loopback, where our own user must give its password, and its databases."""

    def __init__(self, folder: Path) -> None:
        self.programs = _programs()
        self.folder = folder
        self.port = free_port()
        self.password = PLANTED.plant("the database's password", f"p@ss:/#{secrets.token_hex(8)}")
        PLANTED.plant("the database's password in an address", quote(self.password, safe=""))
        self._numbers = count(1)
        self._as = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        if os.geteuid():
            self._as = ()  # the server never runs as root, and need not change otherwise
        else:
            os.chown(folder, NOBODY, NOBODY)
        self._run(
            *("initdb", "--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US"),
            *("--no-sync", str(folder / "data")),
        )
        lines = [f"{name} = '{value}'" for name, value in _SETTINGS.items()]
        lines += [f"port = {self.port}", f"unix_socket_directories = '{folder}'"]
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")
        self.start()
        with self.administered() as server:
            server.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(USER), self.password
                )
            )
        migrate(self.made(TEMPLATE, "template0"))

    # ------------------------------------------------------------------ databases

    def new_database(self) -> PostgresDatabase:
        """Make a database that has the schema, and nothing in it."""
        return self.made(f"test_{next(self._numbers)}", TEMPLATE)

    def empty_database(self) -> PostgresDatabase:
        """Make a database in which there is nothing at all."""
        return self.made(f"test_{next(self._numbers)}", "template0")

    def made(self, name: str, template: str) -> PostgresDatabase:
        """Make a database of our user's."""
        with self.administered() as server:
            server.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(template), sql.Identifier(USER)
                )
            )
        return self.database(name)

    def url(self, name: str) -> str:
        """Give the address that a configuration would have."""
        return f"postgresql://{USER}:{quote(self.password, safe='')}@{HOST}:{self.port}/{name}"

    def database(self, name: str) -> PostgresDatabase:
        """Give a database by its name."""
        found = parse_store_url(self.url(name))
        assert isinstance(found, PostgresDatabase)
        return found

    def administered(self, name: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Connect as the one who may do everything."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=name, autocommit=True
        )

    # ------------------------------------------------------------------ the server

    def start(self) -> None:
        """Start the server."""
        self._pg_ctl("start")

    def stop(self) -> None:
        """Stop the server; connections break."""
        self._pg_ctl("stop")

    def restart(self) -> None:
        """Stop and start the server."""
        self._pg_ctl("restart")

    def freeze(self) -> None:
        """Let the server stop answering, with its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        first = (self.folder / "data" / "postmaster.pid").read_text().split()[0]
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
        )
        family = [line.split()[0] for line in listed.stdout.splitlines() if first in line.split()]
        for pid in family:
            os.kill(int(pid), number)

    def end(self) -> None:
        """Stop for good, without writing anything more."""
        self._pg_ctl("stop", mode="immediate")

    def _pg_ctl(self, action: str, mode: str = "fast") -> None:
        options = () if action == "start" else ("--mode", mode)
        log = () if action == "stop" else ("--log", str(self.folder / "log"))
        self._run("pg_ctl", action, "-D", str(self.folder / "data"), "--wait", *options, *log)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, self.programs / program, *arguments],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"


def _programs() -> Path:
    """Find the newest server's programs; Debian keeps them out of the way."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    folders.sort(key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    if not folders and found is None:
        pytest.skip("PostgreSQL is not installed (package postgresql)")
    return folders[-1] if folders else Path(str(found)).parent


@cache
def shared() -> Cluster:
    """Give the server of this test process, started when it is first asked for."""
    return Cluster(Path(tempfile.mkdtemp(prefix="tk-pg-")))


def pytest_sessionfinish() -> None:
    """Stop the server, if it was started."""
    if shared.cache_info().currsize:
        shared().end()
        shutil.rmtree(shared().folder, ignore_errors=True)


@pytest.fixture
def cluster() -> Cluster:
    """The server of this test process."""
    return shared()


@pytest.fixture
def database(cluster: Cluster) -> PostgresDatabase:
    """A database of this test's own, with the schema."""
    return cluster.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Where a store of the test's own is, on each engine: "" is the file in the data folder."""
    if request.param == "sqlite":
        return ""
    return shared().url(shared().new_database().options["dbname"])
