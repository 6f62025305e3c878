"""Calls that wait for their budgets: clients that leave, uploads, bodies, and strict holds."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from budget_desks import CENT, DOLLAR, budget
from capped import answer, balances, capped, chat
from gauges import wait_until_at_rest
from raw_http import RawConnection, request
from rough_upstream import RoughUpstream
from running import Deployment
from tollkeeper.domain.budgets import Sizing, Unit

CHAT = "/v1/chat/completions"
FORM = (
    b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nlab/dime\r\n'
    b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    + b"a" * 200_000
    + b"\r\n--x--\r\n"
)


@pytest.fixture
def provider() -> Iterator[RoughUpstream]:
    with RoughUpstream(answer) as made:
        yield made


@contextmanager
def locked(made: Deployment) -> Iterator[None]:
    """Keep everybody from writing to the store."""
    with closing(sqlite3.connect(made.folder.store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_whose_client_leaves_while_it_waits_holds_and_sends_nothing(
    provider: RoughUpstream, tmp_path: Path
) -> None:
    with capped(tmp_path, provider, [budget(limit=DOLLAR)]) as made:
        with locked(made):
            with RawConnection(made.port) as connection:
                headers = {"authorization": f"Bearer {made.key}"}
                connection.send(request(CHAT, chat(), headers))
                time.sleep(0.5)
            time.sleep(0.5)
        with RawConnection(made.port) as connection:
            connection.send(request(CHAT, chat(), headers))
            assert connection.answer().status == 200
        wait_until_at_rest(made)
        assert len(provider.requests) == 1
        assert len(made.entries()) == 1
        made.stop()
        assert [(row.posted, row.held) for row in balances(made)] == [(10 * CENT, 0)]


def test_an_upload_waits_with_what_has_come_of_it_and_goes_on(
    provider: RoughUpstream, tmp_path: Path
) -> None:
    with capped(tmp_path, provider, [budget(limit=2, unit=Unit.REQUESTS)]) as made:
        headers = {
            "authorization": f"Bearer {made.key}",
            "content-type": "multipart/form-data; boundary=x",
        }
        statuses = []
        for _ in range(3):
            with RawConnection(made.port) as connection:
                connection.send(request("/v1/audio/transcriptions", FORM, headers))
                statuses.append(connection.answer().status)
        assert statuses == [200, 200, 402]
        assert [sent.count(b"a" * 1_000) for sent in provider.requests] == [200, 200]
        made.stop()
        assert [(row.posted, row.held) for row in balances(made)] == [(2, 0)]


def test_strict_and_balanced_budgets_hold_each_in_its_own_way(
    provider: RoughUpstream, tmp_path: Path
) -> None:
    strict = budget("b1", DOLLAR, sizing=Sizing.STRICT)
    tokens = budget("b2", 1_000_000, unit=Unit.TOKENS)
    with capped(tmp_path, provider, [strict, tokens]) as made:
        headers = {"authorization": f"Bearer {made.key}"}
        with RawConnection(made.port) as connection:
            connection.send(request(CHAT, chat(), headers))
            refused = connection.answer()
            assert refused.json()["error"]["code"] == "budget_unpriced"
            assert "how long the reply" in refused.json()["error"]["message"]
        with RawConnection(made.port) as connection:
            connection.send(request(CHAT, chat(max_tokens=10), headers))
            assert connection.answer().status == 200
        assert len(provider.requests) == 1
