"""The sandbox through Anthropic's own client: messages, tools, thinking, caching, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from sandbox_requests import A_PERSON, HI, PERSON, SAID, sandbox_running

FIRST: Any = HI
TOOLS: Any = [
    {"name": "noop", "input_schema": {"type": "object"}},
    {"name": "add_person", "input_schema": PERSON},
]


@pytest.fixture
def client() -> Iterator[Anthropic]:
    with (
        sandbox_running() as port,
        Anthropic(base_url=f"http://127.0.0.1:{port}", api_key="none", max_retries=0) as client,
    ):
        yield client


def test_a_message_and_its_stream_say_and_bill_the_same(client: Anthropic) -> None:
    asked: Any = {"model": "claude-x", "max_tokens": 1_000, "messages": FIRST}
    whole = client.messages.create(**asked)
    assert [block.to_dict() for block in whole.content] == [{"type": "text", "text": SAID}]
    assert (whole.model, whole.stop_reason, whole.role) == ("claude-x", "end_turn", "assistant")
    with client.messages.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert final.content[0].to_dict()["text"] == SAID
    assert final.usage.input_tokens == whole.usage.input_tokens > 0
    assert final.usage.output_tokens == whole.usage.output_tokens > 0
    raw = list(client.messages.create(**asked, stream=True))
    assert [event.type for event in raw][:3] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
    ]


def test_counting_gives_what_a_message_bills(client: Anthropic) -> None:
    asked: Any = {
        "model": "claude-x",
        "messages": FIRST,
        "system": "Be brief.",
        "tools": TOOLS,
    }
    count = client.messages.count_tokens(**asked)
    whole = client.messages.create(**asked, max_tokens=100)
    assert count.input_tokens == whole.usage.input_tokens


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        ("use tool add_person now", {"type": "auto"}, "add_person"),
        ("use tool", {"type": "auto"}, "noop"),
        ("hello", {"type": "auto"}, None),
        ("hello", {"type": "any"}, "noop"),
        ("hello", {"type": "tool", "name": "add_person"}, "add_person"),
        ("use tool", {"type": "none"}, None),
    ],
)
def test_a_tool_is_called_when_asked_for(
    client: Anthropic, text: str, choice: Any, called: str | None
) -> None:
    asked: Any = {
        "model": "claude-x",
        "max_tokens": 1_000,
        "messages": [{"role": "user", "content": text}],
        "tools": TOOLS,
        "tool_choice": choice,
    }
    whole = client.messages.create(**asked)
    block: Any = whole.content[0]
    assert (block.name if block.type == "tool_use" else None) == called
    assert whole.stop_reason == ("tool_use" if called else "end_turn")
    with client.messages.stream(**asked) as stream:
        streamed: Any = stream.get_final_message().content[0]
    assert streamed.to_dict() == block.to_dict() | {"id": streamed.to_dict().get("id")} or (
        block.type == "text" and streamed.text == block.text
    )
    if called == "add_person":
        assert streamed.input == block.input == A_PERSON


def test_a_tools_result_is_answered_in_words(client: Anthropic) -> None:
    messages: Any = [
        {"role": "user", "content": "use tool noop"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1", "name": "noop", "input": {}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "42"}],
        },
    ]
    reply = client.messages.create(model="c", max_tokens=1_000, messages=messages, tools=TOOLS)
    assert reply.content[0].to_dict()["text"] == "The tool said: 42"


@pytest.mark.parametrize(
    ("thinking", "shown"),
    [
        ({"type": "enabled", "budget_tokens": 1_024}, True),
        ({"type": "adaptive"}, True),
        ({"type": "adaptive", "display": "omitted"}, False),
        ({"type": "disabled"}, None),
    ],
)
def test_thinking_is_shown_and_billed_when_asked_for(
    client: Anthropic, thinking: Any, shown: bool | None
) -> None:
    asked: Any = {"model": "c", "max_tokens": 4_000, "messages": FIRST}
    without = client.messages.create(**asked)
    whole = client.messages.create(**asked, thinking=thinking)
    with client.messages.stream(**asked, thinking=thinking) as stream:
        final = stream.get_final_message()
    for message in (whole, final):
        kinds = [block.type for block in message.content]
        assert kinds == (["text"] if shown is None else ["thinking", "text"])
        first = message.content[0].to_dict()
        if shown is not None:
            assert bool(first["thinking"]) == shown
            assert first["signature"]
        thought = message.usage.output_tokens - without.usage.output_tokens
        assert (thought > 0) == (shown is not None)


def test_json_fits_the_schema(client: Anthropic) -> None:
    form: Any = {"format": {"type": "json_schema", "schema": PERSON}}
    reply = client.messages.create(model="c", max_tokens=1_000, messages=FIRST, output_config=form)
    assert reply.content[0].to_dict()["text"] == '{"name":"text..","age":18,"tags":["a","a"]}'


def cached(*, ttl: str | None = None, more: str = "") -> Any:
    control = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    return {
        "model": "c",
        "max_tokens": 1_000,
        "system": [{"type": "text", "text": "rules " * 200, "cache_control": control}],
        "messages": [{"role": "user", "content": f"hello {more}"}],
    }


def test_a_marked_prefix_is_written_once_and_read_afterwards(client: Anthropic) -> None:
    first = client.messages.create(**cached()).usage
    second = client.messages.create(**cached(more="again")).usage
    assert first.cache_creation_input_tokens == 300
    assert first.cache_read_input_tokens == 0
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_5m_input_tokens == 300
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 300)
    assert first.input_tokens < 10
    other = client.messages.create(**cached() | {"model": "d"}).usage
    assert other.cache_read_input_tokens == 0


def test_an_hour_is_billed_as_an_hour_and_only_what_is_new_is_written(client: Anthropic) -> None:
    asked = cached(ttl="1h")
    with client.messages.stream(**asked) as stream:
        first = stream.get_final_message().usage
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_1h_input_tokens == 300
    asked["messages"][0]["content"] = [
        {"type": "text", "text": "x" * 400, "cache_control": {"type": "ephemeral"}}
    ]
    second = client.messages.create(**asked).usage
    assert second.cache_read_input_tokens == 300
    assert second.cache_creation is not None
    assert second.cache_creation.ephemeral_5m_input_tokens == 100
    assert second.input_tokens == 3


def test_the_callers_limit_is_kept(client: Anthropic) -> None:
    reply = client.messages.create(model="c", max_tokens=3, messages=FIRST)
    assert (reply.stop_reason, reply.usage.output_tokens) == ("max_tokens", 3)
    assert reply.content[0].to_dict()["text"] == "You said: Sa"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_errors_are_the_providers_own(client: Anthropic, status: int, kind: str) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(
            model="c",
            max_tokens=10,
            messages=FIRST,
            extra_headers={"x-sandbox-fault": f"{status}:7"},
        )
    assert caught.value.status_code == status
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == kind
    assert caught.value.response.headers["request-id"] == body["request_id"]
    assert caught.value.response.headers["retry-after"] == "7"


def test_an_unknown_fault_is_refused_in_the_callers_own_words(client: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"reset-after\[:N\]") as caught:
        client.messages.create(
            model="c",
            max_tokens=10,
            messages=FIRST,
            extra_headers={"x-sandbox-fault": "explode"},
        )
    body: Any = caught.value.body
    assert body["error"]["type"] == "invalid_request_error"


def test_an_error_inside_a_stream_is_raised(client: Anthropic) -> None:
    with (
        pytest.raises(anthropic.APIStatusError, match="overloaded_error"),
        client.messages.stream(
            model="c",
            max_tokens=100,
            messages=FIRST,
            extra_headers={"x-sandbox-fault": "error-event"},
        ) as stream,
    ):
        stream.until_done()


def test_models_are_listed_in_its_own_shape(client: Anthropic) -> None:
    assert [model.id for model in client.models.list()] == ["echo"]
    assert client.models.retrieve("claude-x").id == "claude-x"
