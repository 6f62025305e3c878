"""Every recorded reply of five providers goes through a running gateway, and into its ledger.

The client must receive what was recorded, byte for byte; the ledger must hold what the
recording says was used, and what that costs. What differs is listed, with the reason.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from booked import quantities_of
from conftest import ROOT
from price_oracle import is_text, oracle_nanos
from recorded_recounts import inclusive, recounted
from recorded_replies import CORPORA, STITCHED, read_reply
from replay_round import (
    CONNECTIONS,
    KEYS,
    NOT_AS_RECORDED,
    REFUSED_HERE,
    STORED,
    Replayed,
    Round,
    replay,
    replay_table,
)
from replayed_calls import CHANGES, Call, without_extra_chunk
from running import EMAIL, TEAM
from tollkeeper.providers.price_data import shipped_price_book

DROPPED_FIELDS = {"server", "x-should-retry"}
"""What the recordings have of the fields that never reach a client."""

REQUEST_IDS = ("request-id", "x-request-id", "apim-request-id", "x-amzn-requestid")
WITHOUT_USAGE = {
    # (provider, what was called, basis, reason) of replies below 400 → how many
    ("azure", "chat/completions", "free", ""): 1,  # an error, but for its status
    ("azure", "chat/completions", "unpriced", "unknown_model"): 17,  # a deployment's own name
    ("google", "batchEmbedContents", "estimated", ""): 8,
    ("google", "embedContent", "estimated", ""): 1,
    ("google", "interactions", "unpriced", "pending"): 1,
    ("google", "interactions", "unpriced", "unknown_model"): 1,  # nothing was recorded of it
    ("openai", "chat/completions", "estimated", ""): 87,
    ("openai", "chat/completions", "free", ""): 1,  # an error, as above
    ("openai", "completions", "estimated", ""): 20,
    ("openai", "images/edits", "unpriced", "unknown_dimension:images"): 4,
    ("openai", "images/generations", "free", ""): 1,  # an error, as above
    ("openai", "images/generations", "unpriced", "unknown_dimension:images"): 5,
    ("openai", "images/generations", "measured", ""): 9,  # by the size that was asked for
    ("openai", "images/variations", "unpriced", "unknown_dimension:images"): 4,
    ("openai", "responses", "estimated", ""): 1,
    ("openai", "responses", "free", ""): 2,  # errors, as above
    ("openai", "responses", "unpriced", "pending"): 4,  # worked on in the background
    ("openai", "responses/input_tokens", "free", ""): 6,
    ("openai", "audio/transcriptions", "unpriced", "no_usage"): 2,
    ("openai", "audio/translations", "unpriced", "no_usage"): 5,
    ("vertex", "generateContent", "free", ""): 1,  # its prompt was blocked
}
SEARCH_MODELS = (
    # Each call makes a search, for $0.025 on top of its tokens, which the oracle does not count.
    "openai-chat-93a2d827e6866d25",
    "openai-chat-4abcd45914a45276",
    "openai-chat-d8e675a3b02a6be3",
)
NOT_IN_THE_ORACLE = {
    # spellings of known models that only our book understands → how many
    "davinci:2023-07-21-v2": 19,
    "babbage:2023-07-21-v2": 5,
    "gpt-5.4-2025-04-14": 2,
    "models/gemini-2.5-pro": 1,
    # models that only another source lists
    "text-embedding-004": 2,
    "text-embedding-005": 1,
}
STORED_RESPONSES = 8
WITHOUT_END = {"_nousage-interactions-b9532f58a4192d36"}
"""A fixture of an empty stream: its client is told that it has no end."""

JOBS = {
    # (provider, what was called, basis, reason) of work that is billed later, and its like
    # → how many, and how many bills of earlier work they brought
    ("anthropic", "messages/batches", "free", ""): (2, 3),
    ("google", "batches", "free", ""): (1, 2),
    ("google", "cachedContents", "free", ""): (1, 0),
    ("google", "cachedContents", "unpriced", "unknown_dimension:cache_kept_tokens"): (5, 0),
    ("google", "interactions", "measured", ""): (15, 0),
    ("google", "interactions", "unpriced", "pending"): (1, 0),
    ("google", "interactions", "unpriced", "unknown_model"): (1, 0),  # nothing was recorded of it
    ("openai", "batches", "free", ""): (6, 2),
    ("openai", "batches", "unpriced", "pending"): (2, 0),
    ("openai", "files", "free", ""): (2, 4),
    ("openai", "threads/runs", "measured", ""): (5, 0),
    ("openai", "threads/runs/stored", "free", ""): (6, 6),
}


@pytest.fixture(scope="module")
def replayed(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Round:
    return replay(shared, tmp_path_factory.mktemp("replay"))


# ---------------------------------------------------------------------- what the client gets


def test_every_recording_is_replayed_over_a_few_connections(replayed: Round) -> None:
    recordings = [made for made in replayed.calls if not made.call.hidden]
    assert len(recordings) == 4_963
    assert len(replayed.calls) - len(recordings) == 188
    assert replayed.client_connections == CONNECTIONS
    closing = sum(made.call.replay.framing == "close" for made in replayed.calls)
    assert replayed.upstream_connections <= closing + 2 * CONNECTIONS


def test_every_change_to_a_recorded_request_is_of_a_known_kind(replayed: Round) -> None:
    seen = Counter(
        name for made in replayed.calls if not made.call.hidden for name in made.call.changes
    )
    assert seen.keys() == CHANGES.keys()
    # What only fixtures need may not spread to what was really recorded.
    assert seen["no model"] == 154
    assert seen["no body"] == 145
    assert seen["stream"] == 65


def test_the_client_receives_what_was_recorded(replayed: Round) -> None:
    refused = set()
    for made in replayed.calls:
        call, answer = made.call, made.answer
        assert answer.status == call.replay.status, call.name
        if made.entry.outcome == "refused":
            refused.add(call.name)
            continue
        expected = call.replay.body
        if call.hidden:
            expected = without_extra_chunk(expected)
        if call.name in WITHOUT_END:
            assert answer.body.startswith(expected)
            assert b"the provider's stream has no end" in answer.body
            continue
        assert answer.body == expected, call.name
        changed = {name for name, value in call.replay.fields if answer.fields.get(name) != value}
        assert changed <= DROPPED_FIELDS, call.name
        assert not DROPPED_FIELDS & answer.fields.keys()
    assert refused == REFUSED_HERE.keys()


def test_a_usage_chunk_that_was_not_asked_for_is_taken_out(replayed: Round) -> None:
    hidden = [made for made in replayed.calls if made.call.hidden]
    shorter = [made for made in hidden if len(made.answer.body) < len(made.call.replay.body)]
    assert len(shorter) > 170
    for made in shorter:
        assert b'"usage":{' not in made.answer.body.replace(b" ", b""), made.call.name
    # The others state their usage in a chunk that also says something.
    assert len(hidden) - len(shorter) == 9


# ---------------------------------------------------------------------- what the provider gets


def test_the_provider_receives_the_request_with_its_own_key(replayed: Round) -> None:
    for made in replayed.calls:
        call, received = made.call, made.received
        if call.name in REFUSED_HERE:
            assert received is None
            continue
        assert received is not None, call.name
        assert b"tk_live_" not in received.head + received.body
        field, key = KEYS[call.provider]
        if made.entry.wire == "openai" and call.provider in {"anthropic", "google"}:
            field = "authorization: Bearer "  # in OpenAI's dialect they take it so
        assert f"\r\n{field}{key}\r\n".encode() in received.head, call.name
        assert received.body == call.body or json.loads(received.body) == _expected(made), call.name


def _expected(made: Replayed) -> Any:
    """Give the body that the provider must get, where it differs from what was sent."""
    sent = json.loads(made.call.body)
    named = re.match(r"(/providers/azure)?/openai/deployments/([^/]+)/", made.call.target)
    if named is not None and (sent.get("model") or not named[1]):
        sent["model"] = named[2]  # what the path says, so that nothing else can be meant
    if made.entry.streamed:
        sent["stream_options"] = (sent.get("stream_options") or {}) | {"include_usage": True}
    return sent


# ---------------------------------------------------------------------- what the ledger says


def test_every_call_is_in_the_ledger_under_its_callers_name(replayed: Round) -> None:
    for made in replayed.calls:
        call, entry = made.call, made.entry
        for part in made.entries:
            assert (part.team, part.user_name, part.key_name) == (TEAM, EMAIL, "laptop")
            assert (part.tool, part.tool_version) == ("replay", "1.2")
        if call.name in REFUSED_HERE:
            continue
        assert entry.provider == call.provider, call.name
        asked = call.streamed and entry.endpoint != "passthrough"
        assert entry.streamed == (asked or call.replay.is_stream), call.name
        assert entry.status == call.replay.status
        if call.record.reader and entry.endpoint not in {STORED, "passthrough"}:
            assert entry.model_requested == _requested(call), call.name
        ids = [value for name, value in call.replay.fields if name in REQUEST_IDS]
        if ids:
            assert entry.request_id_upstream == ids[0], call.name


def _requested(call: Call) -> str:
    """Give the model that a call asks for, in its path or in its body."""
    in_path = re.search(r"/models/([^:/]+):|/deployments/([^/]+)/", call.target)
    if in_path is not None:
        return in_path[1] or in_path[2]
    if call.body.startswith(b"--"):
        in_form = re.search(rb'name="model"\r\n\r\n([^\r]+)', call.body)
        return in_form[1].decode() if in_form else ""
    return str(json.loads(call.body)["model"])


def test_quantities_are_those_of_the_recorded_usage(replayed: Round) -> None:
    exact = [made for made in replayed.calls if made.exact]
    for made in exact:
        assert made.booked == made.stated, made.call.name
        assert made.entry.outcome == "ok"
    assert len(exact) == 4_629 + 188


def test_quantities_add_up_to_what_the_recorded_usage_object_says(replayed: Round) -> None:
    compared = 0
    for made in replayed.calls:
        record = made.call.record
        expected = recounted(record) if made.exact and record.name not in STITCHED else None
        if expected is None or made.entry.unpriced_reason.startswith("inconsistent_usage"):
            continue
        assert inclusive(quantities_of(made.entry)) == expected, made.call.name
        if record.reader != "anthropic_messages":  # there it is put together from two objects
            assert json.loads(made.entry.usage_raw) == record.stated(), made.call.name
        compared += 1
    assert compared > 4_600


def test_costs_are_those_of_the_price_book(replayed: Round) -> None:
    book = shipped_price_book()
    bases: Counter[str] = Counter()
    for made in replayed.calls:
        if not made.exact:
            continue
        record = made.call.record
        usage = read_reply(record).usage
        assert usage is not None
        for part, entry in zip((usage, *usage.components), made.entries, strict=True):
            model = part.model or usage.model or entry.model_requested
            assert entry.model_served == model, made.call.name
            priced = book.price(record.provider, model, part, entry.started_at_us)
            stated = part.provider_cost_nanos
            assert entry.cost_nanos == (priced.nanos if stated is None else stated), made.call.name
            bases[entry.basis] += 1
    assert bases.keys() == {"measured", "unpriced", "free", "provider_reported"}
    assert bases["unpriced"] == 67


def test_costs_of_text_are_those_of_another_price_calculator(replayed: Round) -> None:
    """What the ledger holds is what genai-prices makes of the same tokens, at the same time."""
    equal: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    differ: dict[str, int] = {}
    for made in replayed.calls:
        entry = made.entry
        if not made.exact or len(made.entries) > 1 or entry.basis != "measured":
            continue
        if not is_text(entry):
            continue
        try:
            priced = oracle_nanos(entry)
        except LookupError:
            unknown[entry.model_served] += 1
            continue
        assert entry.cost_nanos is not None
        if entry.tier == "ON_DEMAND_FLEX":  # half the price, which the source does not have
            priced //= 2
        if priced == entry.cost_nanos:
            equal[made.call.record.corpus] += 1
        else:
            differ[made.call.name] = entry.cost_nanos - priced
    assert differ == dict.fromkeys(SEARCH_MODELS, 25_000_000)
    assert unknown == NOT_IN_THE_ORACLE
    assert equal.total() > 4_400
    assert equal.keys() == set(CORPORA)


def test_the_page_on_accuracy_has_the_counts_of_this_replay(replayed: Round) -> None:
    assert replay_table(replayed) in (ROOT / "docs/accuracy.md").read_text("utf-8")


def test_the_cost_stands_in_the_head_of_a_plain_reply(replayed: Round) -> None:
    for made in replayed.calls:
        stated = made.answer.fields.get("x-tollkeeper-cost-usd")
        costs = [entry.cost_nanos for entry in made.entries]
        known = [cost for cost in costs if cost is not None]
        one_piece = not made.entry.streamed or made.answer.status >= 300
        plain = "json" in made.answer.fields["content-type"] and one_piece
        if plain and known == costs and made.entry.outcome != "refused":
            assert Decimal(stated or "NaN") * 10**9 == sum(known), made.call.name
        else:
            assert stated is None, made.call.name


# ---------------------------------------------------------------------- the exceptions


def test_what_is_not_as_recorded_is_listed(replayed: Round) -> None:
    """Fails as well when an exception no longer applies."""
    differ = set()
    for made in replayed.calls:
        if made.call.record.corpus == "_nousage" or not made.call.record.reader:
            continue
        usage = read_reply(made.call.record).usage
        assert usage is not None
        if quantities_of(made.entry) == dict(usage.quantities):
            continue
        if made.entry.endpoint != STORED:
            differ.add(made.call.name)
    assert differ == NOT_AS_RECORDED.keys()


def test_work_that_is_billed_later_waits_for_its_bill(replayed: Round) -> None:
    """Each of these is held against its recording in tests/metering/test_job_replies.py."""
    found: dict[tuple[str, str, str, str], tuple[int, int]] = {}
    for made in replayed.calls:
        if made.call.record.reader:
            continue
        entry = made.entry
        key = (entry.provider, entry.endpoint, entry.basis, entry.unpriced_reason)
        calls, bills = found.get(key, (0, 0))
        found[key] = (calls + 1, bills + len(made.bills))
        if entry.basis == "free" or entry.unpriced_reason == "pending":
            assert quantities_of(entry) == {}, made.call.name
        assert bool(entry.cost_nanos) == (entry.basis == "measured"), made.call.name
        assert all(bill.cost_nanos is not None for bill in made.bills), made.call.name
    assert found == JOBS


def test_a_stored_response_brings_the_bill_of_work_in_the_background(replayed: Round) -> None:
    stored = [made for made in replayed.calls if made.entry.endpoint == STORED]
    assert len(stored) == STORED_RESPONSES
    for made in stored:
        assert (made.entry.basis, made.entry.cost_nanos) == ("free", 0), made.call.name
        if re.search(rb'"background": ?true', made.call.replay.body) and made.call.record.stated():
            usage = read_reply(made.call.record).usage
            assert usage is not None
            (bill,) = made.bills
            assert quantities_of(bill) == dict(usage.quantities), made.call.name
        else:  # billed when it was made, not done yet, or deleted
            assert made.bills == [], made.call.name
    assert sum(len(made.bills) for made in stored) == 4


def test_errors_cost_nothing_and_say_their_word(replayed: Round) -> None:
    failed = [made for made in replayed.calls if made.call.replay.status >= 400]
    assert len(failed) == 97
    for made in failed:
        for entry in made.entries:
            assert (entry.basis, entry.cost_nanos, quantities_of(entry)) == ("free", 0, {})
            assert entry.error_code
        refused = made.call.name in REFUSED_HERE
        assert made.entry.outcome == ("refused" if refused else "upstream_error")


def test_replies_without_usage_are_estimated_or_have_no_price(replayed: Round) -> None:
    found: Counter[tuple[str, str, str, str]] = Counter()
    for made in replayed.calls:
        entry = made.entry
        silent = made.call.record.corpus == "_nousage" and made.call.replay.status < 400
        if not silent or entry.endpoint == "passthrough" or entry.endpoint == STORED:
            continue
        found[(entry.provider, entry.endpoint, entry.basis, entry.unpriced_reason)] += 1
        if entry.basis == "estimated":
            assert entry.cost_nanos
    assert found == WITHOUT_USAGE
