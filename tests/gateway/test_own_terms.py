"""An operator's contracts, plans and machines, in force on a running gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from protocols import ALL, OPENAI, Protocol
from raw_http import Answer, ask
from running import Deployment, deployment, usual_configuration
from tollkeeper import bootstrap, clock
from tollkeeper.domain.ledger import Basis, LedgerEntry
from tollkeeper.domain.price_rules import PriceRule
from tollkeeper.services import price_terms

ONE_SECOND_S = 1.0


@pytest.fixture
def gateway(sandbox: str, tmp_path: Path) -> Iterator[Deployment]:
    configuration = usual_configuration(sandbox)
    configuration["prices"] = [
        {"name": "in the file", "provider": "openai", "team": "core", "discount": "50%"},
        {"name": "somebody else's", "provider": "*", "team": "search", "discount": "90%"},
    ]
    configuration["plans"] = [
        {"name": "reserved", "provider": "google", "seat_usd": 100, "covers": "all"},
        {"name": "seats", "provider": "anthropic", "seat_usd": 20},
    ]
    configuration["providers"]["farm"] = {
        "kind": "openai",
        "base_url": f"{sandbox}/v1",
        "prices": {"gpu_ms": 3.6, "input": 0, "output": 0},
        "models": ["llama"],
    }
    with deployment(tmp_path, sandbox, configuration) as made:
        yield made


def _call(gateway: Deployment, protocol: Protocol = OPENAI, **body: Any) -> Answer:
    answer = ask(gateway.port, protocol.call(gateway.key, body=dict(protocol.body) | body))
    assert answer.status == 200, answer
    return answer


def _entry(gateway: Deployment, protocol: Protocol = OPENAI, **body: Any) -> LedgerEntry:
    before = len(gateway.entries())
    _call(gateway, protocol, **body)
    return gateway.entries_when(before + 1)[-1]


def test_a_contract_of_the_file_makes_the_cost_of_its_team(gateway: Deployment) -> None:
    entry = _entry(gateway)
    assert entry.list_cost_nanos
    assert entry.cost_nanos == entry.list_cost_nanos // 2
    assert entry.basis == Basis.MEASURED
    assert entry.price_key.startswith("custom:in the file -5000bp openai/")
    assert "+rules." in entry.price_version
    cost = Decimal(_call(gateway).headers["x-tollkeeper-cost-usd"])
    assert cost * 10**9 == entry.cost_nanos


def test_a_rule_made_while_it_runs_holds_within_a_second_and_ends(gateway: Deployment) -> None:
    store = bootstrap.open_store(gateway.folder)
    try:
        made = price_terms.make_rule(
            store, PriceRule("now", discount_bp=10_000), "alice", clock.now_us()
        )
        time.sleep(ONE_SECOND_S)
        entry = _entry(gateway)
        assert (entry.cost_nanos, entry.basis) == (0, Basis.MEASURED)
        assert entry.list_cost_nanos
        assert entry.price_key.startswith("custom:now ")
        price_terms.end_rule(store, made.rule_id, "alice", clock.now_us())
        time.sleep(ONE_SECOND_S)
        assert _entry(gateway).price_key.startswith("custom:in the file ")
    finally:
        store.close()


def test_a_plan_that_covers_all_makes_calls_flat_rate(gateway: Deployment) -> None:
    for protocol in ALL:
        entry = _entry(gateway, protocol)
        flat = entry.provider == "google"
        assert (entry.basis == Basis.FLAT_RATE) == flat, entry
        assert entry.list_cost_nanos
        assert (entry.cost_nanos == 0) == flat


def test_a_machine_by_the_hour_is_billed_by_the_calls_own_time(gateway: Deployment) -> None:
    entry = _entry(gateway, model="llama")
    assert entry.provider == "farm"
    assert entry.basis == Basis.ESTIMATED
    assert entry.units["gpu_ms"] == entry.duration_ms > 0
    assert entry.cost_nanos == entry.duration_ms * 1_000
