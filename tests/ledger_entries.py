"""Calls and entries for tests: plausible ones, and arbitrary ones from hypothesis."""

from __future__ import annotations

import itertools
from typing import Any

from tollkeeper.domain.calls import Held
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome

_mint = IdMint(seed=7)
_numbers = itertools.count(1)
START_US = 1_790_000_000_000_000


def new_id() -> str:
    return _mint.next(START_US // 1000 + next(_numbers))


def held_call(**changes: Any) -> Held:
    """A call as it is held before it is sent."""
    entry_id = new_id()
    call = Held(
        entry_id=entry_id,
        call_id=entry_id,
        started_at_us=START_US,
        org="acme",
        attempt=1,
        sent=True,
        team="core",
        user_id="u_1",
        user_name="alice@acme.com",
        key_id="abcdefgh",
        key_name="laptop",
        end_customer="",
        session_id="s-1",
        tool="claude-code",
        tool_version="2.1.329",
        provider="openai",
        price_provider="openai",
        model="gpt-4.1",
        model_requested="gpt-4.1",
        endpoint="chat/completions",
        wire="openai",
        streamed=False,
        flat_rate=False,
        tags={"feature": "chat"},
        estimate={"input": 10, "output": 100},
    )
    return call._replace(**changes)


def ledger_entry(**changes: Any) -> LedgerEntry:
    """One finished call as it stands in the ledger."""
    entry_id = new_id()
    entry = LedgerEntry(
        entry_id=entry_id,
        call_id=entry_id,
        started_at_us=START_US,
        org="acme",
        duration_ms=120,
        ttft_ms=40,
        team="core",
        user_id="u_1",
        user_name="alice@acme.com",
        key_id="abcdefgh",
        key_name="laptop",
        tool="claude-code",
        provider="openai",
        model_requested="gpt-4.1",
        model_served="gpt-4.1-2025-04-14",
        endpoint="chat/completions",
        wire="openai",
        status=200,
        outcome=Outcome.OK,
        basis=Basis.MEASURED,
        input_tokens=48,
        output_tokens=14,
        cost_nanos=208_000,
        list_cost_nanos=208_000,
        saved_nanos=0,
        price_version="test-1",
        tags={"feature": "chat"},
        usage_raw='{"prompt_tokens":48,"completion_tokens":14,"total_tokens":62}',
    )
    return entry._replace(**changes)
