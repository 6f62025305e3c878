"""Gateways with folders of their own on one store: a cap holds to the cent, keys are the same.

On PostgreSQL as on a SQLite file; and the server may go away.
"""

from __future__ import annotations

import json
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


@contextmanager
def gateways(
    folder: Path, upstream: RoughUpstream, store_url: str, budgets: list[Budget], count: int
) -> Iterator[list[Deployment]]:
    """Run gateways with data folders of their own, and one key file and one store for all."""
    made: list[Deployment] = []
    with ExitStack() as ends:
        for number in range(count):
            place = folder / f"machine{number}"
            place.mkdir()
            key_file = made[0].folder.secret_key if made else None
            each = Deployment(place, upstream.url, lab(upstream.url), store_url, key_file)
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
        # On a disk that is busy, some may wait too long for an answer; none passes for it.
        assert statuses[200] == sent
        assert statuses[REFUSED] + statuses[UNREACHABLE] == CALLS - sent
        assert len(provider.requests) == sent
        for each in made:
            each.stop()
        with closing(bootstrap.open_budget_authority(made[0].folder)) as authority:
            assert only(authority.balances()).posted == limit


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
