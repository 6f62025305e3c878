"""Gateways with folders of their own on one store: a cap holds to the cent, keys are the same.

On PostgreSQL as on a SQLite file; and the server may go away.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from budget_desks import CENT, DOLLAR, budget, only
from capped import answer, call_at_once, chat, keep_budgets, lab
from consoles import until
from loopback import HOST
from postgres_cluster import Cluster
from rough_upstream import RoughUpstream
from running import Deployment
from tollkeeper import bootstrap
from tollkeeper.domain.budgets import Budget, BudgetScope
from tollkeeper.storage.store.postgres_budgets import PostgresBudgetAuthority
from tollkeeper.storage.store.store_address import PostgresDatabase

CALLS = 1_000
REFUSED = 402
UNREACHABLE = 503
LIMITED = 429


@contextmanager
def gateways(
    folder: Path,
    upstream: RoughUpstream,
    store_url: str,
    budgets: list[Budget],
    count: int,
    **more: Any,
) -> Iterator[list[Deployment]]:
    """Run gateways with data folders of their own, and one key file and one store for all."""
    made: list[Deployment] = []
    with ExitStack() as ends:
        for number in range(count):
            place = folder / f"machine{number}"
            place.mkdir()
            key_file = made[0].folder.secret_key if made else None
            each = Deployment(place, upstream.url, lab(upstream.url, **more), store_url, key_file)
            ends.callback(each.finish)
            made.append(each)
        keep_budgets(made[0], *budgets)
        for each in made:
            each.start()
        yield made


def call(where: Deployment, model: str) -> tuple[int, dict[str, Any]]:
    """Make one call."""
    with closing(HTTPConnection(HOST, where.port, timeout=60)) as connection:
        headers = {"authorization": f"Bearer {where.key}", "content-type": "application/json"}
        connection.request(
            "POST", "/v1/chat/completions", chat(model, max_tokens=5), headers=headers
        )
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


@pytest.mark.parametrize(("limit", "sent"), [(5 * DOLLAR, 50), (10 * CENT, 1)])
def test_exactly_as_many_calls_reach_the_provider_as_the_cap_pays_for(
    store_url: str, limit: int, sent: int, tmp_path: Path
) -> None:
    url = store_url or f"sqlite:///{tmp_path / 'shared' / 'store.sqlite3'}"
    count = 3 if store_url else 2
    with (
        RoughUpstream(answer) as provider,
        gateways(tmp_path, provider, url, [budget(limit=limit)], count) as made,
    ):
        statuses = call_at_once([(each.port, each.key) for each in made], CALLS)
        # On a disk that is busy, some may wait too long for an answer, while what is left is held
        # by calls that may still give it back; none passes for it.
        assert statuses[200] == sent
        assert statuses[REFUSED] + statuses[UNREACHABLE] == CALLS - sent
        assert len(provider.requests) == sent
        for each in made:
            each.stop()
        with closing(bootstrap.open_budget_authority(made[0].folder)) as authority:
            assert only(authority.balances()).posted == limit


HOLD_LOCK = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1], isolation_level=None) as store:
    store.execute("BEGIN IMMEDIATE")
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def written_by_another_process(made: Deployment) -> Iterator[None]:
    """Hold the store's write lock, as a process does whose disk takes its time."""
    store = made.folder.store_url.removeprefix("sqlite:///")
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, store],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        yield
    finally:
        other.communicate("")


@pytest.mark.slow
def test_while_the_file_is_busy_what_is_spent_is_told_and_what_may_be_left_is_not(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'shared' / 'store.sqlite3'}"
    spent = budget("spent", 20 * CENT, scope=BudgetScope.KEY, each=True)
    wide = budget("wide", DOLLAR)
    with (
        RoughUpstream(answer) as provider,
        gateways(tmp_path, provider, url, [spent, wide], 2) as made,
    ):
        other_key = made[0].issue("other")
        for each in made:
            each.key = made[0].key
            assert call(each, "lab/dime")[0] == 200
        for each in made:  # each has heard of it from the store
            until(lambda each=each: call(each, "lab/dime")[0] == REFUSED, 10)
        with written_by_another_process(made[0]):
            refused = [call(made[number % 2], "lab/dime") for number in range(6)]
            made[0].key = other_key
            unknown = call(made[0], "lab/dime")
        assert {(status, said["error"]["code"]) for status, said in refused} == {
            (REFUSED, "insufficient_quota")
        }
        assert "is used up: $0.20 spent" in refused[-1][1]["error"]["message"]
        assert (unknown[0], unknown[1]["error"]["code"]) == (UNREACHABLE, "budget_unreachable")
        until(lambda: call(made[0], "lab/dime")[0] == 200, 10)
        assert len(provider.requests) == 3


def test_while_the_store_is_away_calls_without_a_cap_go_on(
    cluster: Cluster, database: PostgresDatabase, tmp_path: Path
) -> None:
    url = cluster.url(database.options["dbname"])
    cap = budget(limit=DOLLAR, scope=BudgetScope.MODEL, match="dime")
    with (
        RoughUpstream(answer) as provider,
        gateways(tmp_path, provider, url, [cap], 1) as (made,),
    ):
        assert call(made, "lab/dime")[0] == 200
        assert call(made, "lab/free")[0] == 200
        cluster.stop()
        try:
            capped = [call(made, "lab/dime") for _ in range(3)]
            free = [call(made, "lab/free") for _ in range(10)]
        finally:
            cluster.start()
        assert [status for status, _ in free] == [200] * 10
        status, said = capped[-1]
        assert status == UNREACHABLE, capped
        assert said["error"]["code"] == "budget_unreachable"
        assert cluster.password not in json.dumps(said)
        until(lambda: call(made, "lab/dime")[0] == 200, 30)  # without a restart of ours
        served = sum(status == 200 for status, _ in capped) + 2
        until(lambda: len([it for it in made.entries() if it.status == 200]) >= served + 11, 10)
        assert cluster.password not in made.logs()
        made.stop()
        with closing(PostgresBudgetAuthority(database)) as authority:
            assert only(authority.balances()).posted == served * 10 * CENT


def test_a_gateway_with_another_key_file_refuses_to_start(
    cluster: Cluster, database: PostgresDatabase, tmp_path: Path
) -> None:
    url = cluster.url(database.options["dbname"])
    with (
        RoughUpstream(answer) as provider,
        gateways(tmp_path, provider, url, [], 1) as (made,),
    ):
        made.stop()
        own = made.folder.secret_key.read_bytes()
        made.folder.secret_key.write_bytes(b"another" * 4 + b"file")
        with pytest.raises(AssertionError, match=r"copy secret\.key from the data folder"):
            made.start()
        made.folder.secret_key.unlink()
        with pytest.raises(AssertionError, match="another server on the same store"):
            made.start()
        made.folder.secret_key.write_bytes(own)
        made.folder.secret_key.chmod(0o600)
        made.start()
        assert call(made, "lab/dime")[0] == 200


def test_gateways_that_divide_rate_limits_let_as_many_through_as_they_say(
    store_url: str, tmp_path: Path
) -> None:
    url = store_url or f"sqlite:///{tmp_path / 'shared' / 'store.sqlite3'}"
    rules = [{"name": "all", "scope": "model", "requests_per_minute": 7}]
    divided = {"rate_limits": rules, "limits": {"rate_share": "divide"}}
    with (
        RoughUpstream(answer) as provider,
        gateways(tmp_path, provider, url, [], 2, **divided) as made,
    ):
        until(lambda: all("share of rate limits" in each.logs() for each in made), 10)
        answers = [call(made[number % 2], "lab/dime") for number in range(20)]
        passed = [number % 2 for number, (status, _) in enumerate(answers) if status == 200]
        assert sorted((passed.count(0), passed.count(1))) == [3, 4]
        refused = next(said for status, said in answers if status == LIMITED)
        assert "its share of 7" in refused["error"]["message"]
        assert len(provider.requests) == 7
        assert {status for status, _ in answers} == {200, LIMITED}
