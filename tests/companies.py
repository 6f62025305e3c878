"""Whole deployments for browsers: a data folder with a company's past, served by the product.

``tollkeeper serve`` runs as people run it: gateway, console and the built-in sandbox.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final, NamedTuple

from canaries import PLANTED
from demo_entries import DAY_US, ORG, PEOPLE, demo_entries
from ledgers import open_duckdb
from loopback import HOST, free_port
from raw_http import Answer, ask, request
from tollkeeper import bootstrap, clock
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import DataFolder, Position, Store, Vault
from tollkeeper.services import keys, people, sign_in
from tollkeeper.services.first_run import first_run

ADMIN: Final = "olive@acme.com"
MEMBER: Final = "ada@acme.com"
_START_S: Final = 60.0
_STOP_S: Final = 90.0
_BATCH: Final = 2_000
_SECRET: Final = "demo" * 8


class Colleague(NamedTuple):
    """Somebody more. ``user_id`` is how entries name them."""

    user_id: str
    email: str
    team: str
    since_us: int
    role: Role = Role.MEMBER


class Company:
    """One running deployment. ``url`` is where browsers find it."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], port: int) -> None:
        self.data = DataFolder(folder / "data")
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self._process = process
        self.key = self.issue("browser tests", ADMIN)

    def link(self, email: str = ADMIN) -> str:
        """Make a one-time link that signs somebody in."""
        store, vault = _open(self.data)
        try:
            user = store.user_with_email(email)
            assert user is not None
            return self.url + sign_in.make_link(store, vault, user, clock.now_us()).path
        finally:
            store.close()

    def issue(self, name: str, email: str) -> str:
        """Issue a key."""
        store, vault = _open(self.data)
        try:
            wanted = keys.KeyRequest(name, email=email)
            token = keys.issue(store, vault, wanted, keys.OPERATOR, clock.now_us()).token
            PLANTED.plant(f"the secret of key {name}", token.rpartition("_")[2])
            return token
        finally:
            store.close()

    def call(
        self,
        key: str = "",
        *,
        model: str = "sandbox/echo",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make a call through the gateway."""
        sent = {**(headers or {}), "authorization": f"Bearer {key or self.key}"}
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        return ask(self.port, request("/v1/chat/completions", body, sent))

    def stop(self) -> None:
        """Stop it as a terminal does."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # and its children
            self._process.wait(_STOP_S)
            raise


@contextmanager
def company(
    folder: Path,
    entries: Iterable[LedgerEntry] | None = None,
    *,
    colleagues: Iterable[Colleague] = (),
    port: int = 0,
    **environment: str,
) -> Iterator[Company]:
    """Run a deployment with a past; with none, a new one that nobody has called yet.

    ``colleagues`` are there besides the usual people. ``port`` is one that is free, 0 for any. A
    ``tollkeeper.yaml`` in the folder is read.
    """
    data = DataFolder(folder / "data")
    data.root.mkdir(mode=0o700, parents=True)
    store, vault = _open(data)
    try:
        first_run(store, vault, clock.now_us(), org=ORG)
        ids = _people(store, vault)
        for each in colleagues:
            people.ensure_team(store, each.team, each.since_us)
            user = people.ensure_user(store, each.email, each.team, each.since_us)
            people.change_role(store, each.email, each.role, each.since_us)
            ids[each.user_id] = user.user_id
    finally:
        store.close()
    if entries is not None:
        _fill(data, [each._replace(user_id=ids.get(each.user_id, "")) for each in entries])
    port = port or free_port()
    process = _serve(folder, data, port, environment)
    made = Company(folder, process, port)
    try:
        yield made
    finally:
        made.stop()


def demo_company_entries(calls: int = 6_000) -> list[LedgerEntry]:
    """Give the past of the made-up company, until now."""
    return demo_entries(clock.now_us(), calls)


def _open(data: DataFolder) -> tuple[Store, Vault]:
    return bootstrap.open_store(data), bootstrap.open_vault(data)


def _people(store: Store, vault: Vault) -> dict[str, str]:
    """Make the people, teams and keys that the entries name; give the ids of the people."""
    now_us = clock.now_us()
    people.ensure_team(store, "Platform", now_us)
    people.ensure_user(store, ADMIN, "Platform", now_us)
    people.change_role(store, ADMIN, Role.ADMIN, now_us)
    ids = {}
    for number, each in enumerate(PEOPLE):
        people.ensure_team(store, each.team, now_us)
        if each.email:
            ids[each.user_id] = people.ensure_user(store, each.email, each.team, now_us).user_id
        wanted = keys.KeyRequest(
            each.key_name, KeyKind.VIRTUAL, each.email, "" if each.email else each.team
        )
        chosen = keys.ChosenKey(each.key_id, _SECRET)
        issued_us = now_us - (100 - 5 * number) * DAY_US
        keys.issue(store, vault, wanted, keys.OPERATOR, issued_us, chosen=chosen)
    return ids


def _fill(data: DataFolder, entries: Sequence[LedgerEntry]) -> None:
    ledger = open_duckdb(data.root)
    try:
        for start in range(0, len(entries), _BATCH):
            ledger.append(entries[start : start + _BATCH], Position("past", start + 1))
    finally:
        ledger.close()


def _serve(
    folder: Path, data: DataFolder, port: int, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    PLANTED.keep(folder / "serve.log")
    log = (folder / "serve.log").open("w")
    command = [sys.executable, "-m", "tollkeeper", "serve", "--data", str(data.root)]
    process = subprocess.Popen(
        [*command, "--host", HOST, "--port", str(port)],
        env={**os.environ, **environment},  # noqa: TID251 - the child needs a PATH
        cwd=folder,
        start_new_session=True,
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log.close()
    deadline_s = time.monotonic() + _START_S
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline_s:
            process.kill()
            process.wait(_START_S)
            raise AssertionError("serve did not start:\n" + (folder / "serve.log").read_text())
        time.sleep(0.05)
    return process


def _answers(port: int) -> bool:
    """Tell whether the console answers through the gateway."""
    connection = HTTPConnection(HOST, port, timeout=_START_S)
    try:
        connection.request("GET", "/login")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
