"""A deployment on PostgreSQL, as people run it: the first start, calls, pages, more gateways."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from canaries import PLANTED
from command_line import Ended, run_command
from consoles import until
from postgres_cluster import Cluster
from served import WAIT_S, Served
from tollkeeper.storage.store.store_address import PostgresDatabase

REVOKED = 401


@pytest.fixture
def empty(cluster: Cluster) -> PostgresDatabase:
    """A database in which there is nothing yet."""
    return cluster.empty_database()


@pytest.fixture
def first(tmp_path: Path, cluster: Cluster, empty: PostgresDatabase) -> Iterator[Served]:
    """A server whose file names the store, with the password in the environment."""
    folder = tmp_path / "first"
    folder.mkdir()
    name = empty.options["dbname"]
    address = f"postgresql://tollkeeper:${{DB_PASSWORD}}@127.0.0.1:{cluster.port}/{name}"
    (folder / "tollkeeper.yaml").write_text(f"store: {address}\norg: acme\n")
    made = Served(folder, DB_PASSWORD=cluster.password)
    made.start(first=True)
    try:
        yield made
    finally:
        made.stop()


def command(served: Served, *arguments: str) -> Ended:
    """Run a command where the server was started."""
    done = run_command(*arguments, folder=served.folder, environment=served.environment)
    assert "p@ss" not in done.out + done.err
    return done


def test_a_deployment_from_an_empty_database(
    first: Served, cluster: Cluster, empty: PostgresDatabase, tmp_path: Path
) -> None:
    assert not first.data.store.exists()
    assert first.call("Hello").status == 200
    first.sign_in()
    until(lambda: len(first.calls()) == 1, WAIT_S)
    assert b"acme" in first.get("/").body
    for page in ("/", "/calls", "/keys", "/models"):
        assert first.get(page).status == 200, page
    assert command(first, "spend", "--json").json()
    issued = command(first, "keys", "issue", "--user", "admin@localhost", "--name", "second")
    assert issued.code == 0, issued.err
    examined = command(first, "doctor", "--offline")
    assert f"{empty} (PostgreSQL" in " ".join(examined.out.split())
    assert "organisation: acme" in " ".join(examined.out.split())

    with ExitStack() as ends:
        others = []
        for number in (2, 3):
            other = _gateway_beside(first, tmp_path / f"machine{number}")
            ends.callback(other.stop)
            others.append(other)
        for other in others:
            other.key = first.key
            until(lambda other=other: other.call("Hello from there").status == 200, WAIT_S)
        key_id = first.key.split("_")[2]
        assert command(first, "keys", "revoke", key_id).code == 0
        for server in (first, *others):
            until(lambda server=server: server.call().status == REVOKED, 5)

    cluster.restart()
    until(lambda: first.get("/keys").status == 200, WAIT_S)  # without a restart of ours
    for page in ("/metrics", "/readyz", "/healthz"):
        PLANTED.require_none_in(first.ask("GET", page).body, page)
    assert first.stop() == 0
    assert command(first, "users", "list", "--json").json()  # without a server, too
    assert command(first, "spend", "--json").json()
    cluster.stop()
    try:
        away = command(first, "keys", "list")
        assert away.code == 1
        assert "cannot be reached" in away.err
        assert str(empty) in away.err
        assert "cannot be reached" in " ".join(command(first, "doctor", "--offline").out.split())
        refused = subprocess.run(
            [sys.executable, "-m", "tollkeeper", "serve"],
            cwd=first.folder,
            env={"PATH": "", **first.environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert refused.returncode == 1
        assert "cannot be reached" in refused.stderr
    finally:
        cluster.start()
    first.start(first=False)


def _gateway_beside(first: Served, folder: Path) -> Served:
    """Run one more gateway, in a folder of its own, on the same store."""
    (folder / "tollkeeper-data").mkdir(parents=True, mode=0o700)
    shutil.copy(first.folder / "tollkeeper.yaml", folder)
    environment = {**first.environment}
    environment.pop("TOLLKEEPER_LISTEN__PORT")
    environment["TOLLKEEPER_SANDBOX"] = "on"
    other = Served(folder, **environment)
    without = subprocess.run(
        [sys.executable, "-m", "tollkeeper", "serve", "gateway"],
        cwd=folder,
        env={"PATH": "", **other.environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert without.returncode == 1
    assert "copy it from the data folder of another server" in without.stderr
    shutil.copy(first.data.secret_key, other.data.secret_key)
    other.start("gateway", first=False)
    return other


def test_a_gateway_that_dies_while_the_store_is_away_comes_back_with_it(
    first: Served, cluster: Cluster
) -> None:
    gateway = first.pid_of("gateway")
    assert gateway is not None
    cluster.stop()
    try:
        os.kill(gateway, signal.SIGKILL)
        until(lambda: any("cannot start yet" in line for line in first.log), WAIT_S)
        assert first.process.poll() is None
    finally:
        cluster.start()
    until(lambda: first.call().status == 200, WAIT_S)
