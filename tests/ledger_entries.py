"""Calls and entries for tests: plausible ones, and arbitrary ones from hypothesis."""

from __future__ import annotations

import itertools
from typing import Any

from tollkeeper.domain.calls import Held, Part, Profile, Settled
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome

_mint = IdMint(mark=7)
_numbers = itertools.count(1)
START_US = 1_790_000_000_000_000


def new_id() -> str:
    return _mint.next(START_US // 1000 + next(_numbers))


def profile(**changes: Any) -> Profile:
    """Who calls, what for, where to."""
    usual = Profile(
        org="acme",
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
    )
    return usual._replace(**changes)


def held_call(**changes: Any) -> Held:
    """A call as it is held before it is sent."""
    entry_id = new_id()
    call = Held(
        entry_id=entry_id,
        call_id=entry_id,
        started_at_us=START_US,
        attempt=1,
        sent=True,
        prompt_bytes=400,
        output_tokens=100,
        profile=profile(),
    )
    return call._replace(**changes)


def settled_call(held: Held, **changes: Any) -> Settled:
    """How a held call ended."""
    part = Part(
        model="gpt-4.1-2025-04-14",
        quantities={"input": 48, "output": 14},
        basis=Basis.MEASURED,
        cost_nanos=208_000,
        list_cost_nanos=208_000,
        saved_nanos=0,
        price_key="openai/gpt-4.1 rule=dated",
        usage_raw='{"prompt_tokens":48,"completion_tokens":14,"total_tokens":62}',
    )
    return Settled(
        entry_id=held.entry_id,
        status=200,
        outcome=Outcome.OK,
        error_code="",
        duration_ms=120,
        ttft_ms=40,
        request_id="req_1",
        price_version="test-1",
        parts=[part._replace(**changes)],
    )


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
