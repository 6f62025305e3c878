"""Anthropic's own client through the gateway: what it is told is what the ledger holds."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic, NotFoundError

from books import Books
from running import Deployment
from sandbox_questions import CACHED, OWN_TOOL
from sandbox_requests import A_PERSON, HI, SAID
from sdk_clients import ANTHROPIC_MODEL, TIMEOUT_S, of_message, require_booked
from tollkeeper.domain.ledger import Outcome
from tollkeeper.domain.money import usd

TOOL_NAME = "anthropic-python"
MESSAGE: Any = {"model": ANTHROPIC_MODEL, "max_tokens": 4_000, "messages": HI}
MESSAGES = {"provider": "anthropic", "wire": "anthropic", "endpoint": "messages"}
PICTURE: Any = [
    {
        "role": "user",
        "content": [
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
            },
            {"type": "text", "text": "what is this?"},
        ],
    }
]


def test_a_message_with_its_headers(anthropic_sdk: Anthropic, books: Books) -> None:
    raw = anthropic_sdk.messages.with_raw_response.create(**MESSAGE)
    reply, entry = raw.parse(), books.entry()
    assert reply.content[0].to_dict()["text"] == SAID
    require_booked(
        entry, TOOL_NAME, of_message(reply.usage), **MESSAGES, model_requested=ANTHROPIC_MODEL
    )
    assert raw.headers["x-tollkeeper-call-id"] == entry.call_id
    assert entry.cost_nanos
    assert Decimal(raw.headers["x-tollkeeper-cost-usd"]) == usd(entry.cost_nanos)
    assert reply._request_id == raw.headers["request-id"] == entry.request_id_upstream


def _whole(client: Anthropic, asked: Any) -> Any:
    return client.messages.create(**asked)


def _streamed(client: Anthropic, asked: Any) -> Any:
    with client.messages.stream(**asked) as stream:
        assert [event.type for event in stream][-1] == "message_stop"
        return stream.get_final_message()


@pytest.mark.parametrize("ask", [_whole, _streamed])
@pytest.mark.parametrize(
    "extra",
    [
        {},
        OWN_TOOL,
        {"messages": PICTURE},
        {"thinking": {"type": "enabled", "budget_tokens": 1_024}},
    ],
    ids=["text", "tool", "picture", "thinking"],
)
def test_messages(anthropic_sdk: Anthropic, books: Books, ask: Any, extra: Any) -> None:
    reply = ask(anthropic_sdk, MESSAGE | extra)
    if extra == OWN_TOOL:
        assert (reply.stop_reason, reply.content[0].input) == ("tool_use", A_PERSON)
    assert ("thinking" in {block.type for block in reply.content}) == ("thinking" in extra)
    require_booked(
        books.entry(), TOOL_NAME, of_message(reply.usage), **MESSAGES, streamed=ask is _streamed
    )


@pytest.mark.parametrize("ask", [_whole, _streamed])
def test_cache_writes_of_both_lifetimes_and_reads(
    anthropic_sdk: Anthropic, books: Books, ask: Any
) -> None:
    # Two prefixes of its own for each way of asking: the provider remembers them.
    marked = [dict(block) for block in CACHED["system"]]
    marked[0]["text"] = f"{ask.__name__} " * 60
    asked = MESSAGE | {"system": marked}
    replies = [ask(anthropic_sdk, asked) for _ in range(2)]
    first, second = books.entries(2)
    for reply, entry in zip(replies, (first, second), strict=True):
        require_booked(
            entry, TOOL_NAME, of_message(reply.usage), **MESSAGES, streamed=ask is _streamed
        )
    assert first.cache_write_1h_tokens
    assert first.cache_write_tokens
    assert first.saved_nanos is not None
    assert first.saved_nanos < 0  # writing costs more, until something is read
    written = first.cache_write_1h_tokens + first.cache_write_tokens
    assert (second.cache_read_tokens, second.cache_write_tokens) == (written, 0)
    assert second.saved_nanos is not None
    assert second.saved_nanos > 0


def test_many_calls_at_once_are_each_booked_once(gateway: Deployment, books: Books) -> None:
    async def one(client: AsyncAnthropic, number: int) -> tuple[str, dict[str, int], bool]:
        messages: Any = [{"role": "user", "content": "word " * number}]
        asked: Any = MESSAGE | {"messages": messages}
        if number % 2:
            raw = await client.messages.with_raw_response.create(**asked)
            reply = await raw.parse()
            return raw.headers["x-tollkeeper-call-id"], of_message(reply.usage), False
        async with client.messages.stream(**asked) as stream:
            reply = await stream.get_final_message()
            call_id = stream.response.headers["x-tollkeeper-call-id"]
        return call_id, of_message(reply.usage), True

    async def work() -> list[tuple[str, dict[str, int], bool]]:
        async with AsyncAnthropic(
            base_url=gateway.url, api_key=gateway.key, max_retries=0, timeout=TIMEOUT_S
        ) as client:
            return await asyncio.gather(*(one(client, number) for number in range(1, 31)))

    seen = asyncio.run(work())
    entries = {entry.call_id: entry for entry in books.entries(30)}
    assert len(entries) == 30
    for call_id, quantities, streamed in seen:
        require_booked(entries[call_id], TOOL_NAME, quantities, **MESSAGES, streamed=streamed)


def test_counting_is_free(anthropic_sdk: Anthropic, books: Books) -> None:
    asked: Any = {"model": ANTHROPIC_MODEL, "messages": HI, "system": "Be brief."}
    count = anthropic_sdk.messages.count_tokens(**asked)
    reply = anthropic_sdk.messages.create(**asked, max_tokens=100)
    counted, billed = books.entries(2)
    assert count.input_tokens == reply.usage.input_tokens == billed.input_tokens
    require_booked(
        counted, TOOL_NAME, {}, basis="free", cost_nanos=0, endpoint="messages/count_tokens"
    )


def test_models_come_in_its_own_shape(anthropic_sdk: Anthropic, books: Books) -> None:
    listed = [model.id for model in anthropic_sdk.models.list(limit=1_000)]
    assert {ANTHROPIC_MODEL, "gpt-4.1-mini", "echo"} <= set(listed)
    assert anthropic_sdk.models.retrieve(ANTHROPIC_MODEL).type == "model"
    with pytest.raises(NotFoundError, match="no model 'claude-0'"):
        anthropic_sdk.models.retrieve("claude-0")
    books.require_untouched()


def test_a_subscription_beside_our_key(gateway: Deployment, books: Books) -> None:
    """The way of Claude Code with a login: ours in a header, the vendor's in Authorization."""
    headers = {"x-tollkeeper-key": gateway.key}
    with Anthropic(
        base_url=gateway.url,
        auth_token="sk-ant-oat01-canary-sdk-login",
        default_headers=headers,
        max_retries=0,
    ) as client:
        reply = client.messages.create(**MESSAGE)
    entry = books.entry()
    require_booked(
        entry, TOOL_NAME, of_message(reply.usage), **MESSAGES, basis="flat_rate", cost_nanos=0
    )
    assert entry.list_cost_nanos


def test_a_stream_that_the_caller_leaves(anthropic_sdk: Anthropic, books: Books) -> None:
    with anthropic_sdk.messages.stream(
        **MESSAGE, extra_headers={"x-sandbox-chunks": "50", "x-sandbox-gap-ms": "20"}
    ) as stream:
        for _ in zip(range(3), stream, strict=False):
            pass
    entry = books.entry()
    assert entry.outcome == Outcome.DISCONNECTED
    assert entry.input_tokens
    assert entry.cost_nanos
