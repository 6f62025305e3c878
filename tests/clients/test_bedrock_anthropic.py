"""Anthropic's client for Bedrock, as Claude Code has it too: it signs, or sends a bearer."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic import AnthropicBedrock, PermissionDeniedError

from aws_frames import CONVERSE_QUANTITIES
from bedrock_client import SONNET, Amazon
from bedrock_upstream import is_signed
from booked import quantities_of
from sandbox_requests import HI

MESSAGE: Any = {"model": SONNET, "max_tokens": 50, "messages": HI}


def _client(amazon: Amazon, way: str, key: str = "") -> AnthropicBedrock:
    key = key or amazon.gateway.key
    given: dict[str, Any] = {
        "signed": {"aws_access_key": key, "aws_secret_key": "anything"},
        "bearer": {"api_key": key},
        "header": {
            "aws_access_key": "AKIAIOSFODNN7EXAMPLE",
            "aws_secret_key": "anything",
            "default_headers": {"x-tollkeeper-key": key},
        },
    }[way]
    url = f"{amazon.gateway.url}/bedrock"
    return AnthropicBedrock(base_url=url, aws_region="eu-west-3", max_retries=0, **given)


@pytest.mark.parametrize("way", ["signed", "bearer", "header"])
def test_messages_whole_and_streamed(amazon: Amazon, way: str) -> None:
    with _client(amazon, way) as client:
        whole = client.messages.create(**MESSAGE)
        assert (whole.usage.output_tokens, whole.content[0].type) == (34, "text")
        with client.messages.create(**MESSAGE, stream=True) as stream:
            assert [event.type for event in stream][-1] == "message_stop"
    for entry, is_stream in zip(amazon.entries(2), (False, True), strict=True):
        assert (entry.provider, entry.endpoint, entry.streamed) == ("bedrock", "invoke", is_stream)
        assert (entry.tool, entry.model_requested) == ("anthropic-python", SONNET)
        assert quantities_of(entry) == CONVERSE_QUANTITIES
    assert all(is_signed(received) for received in amazon.bedrock.seen)


@pytest.mark.parametrize("way", ["signed", "bearer", "header"])
def test_a_refusal_is_an_error_of_its_own(amazon: Amazon, way: str) -> None:
    narrow = amazon.gateway.issue(f"narrow {way}", models=("amazon.*",))
    with (
        _client(amazon, way, narrow) as client,
        pytest.raises(PermissionDeniedError, match="may not use model"),
    ):
        client.messages.create(**MESSAGE)
    assert not amazon.bedrock.seen
