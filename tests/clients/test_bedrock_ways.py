"""Other ways to Bedrock: OpenAI's client, a login of the caller's own, and a stream that is cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest
from urllib3.exceptions import ProtocolError

from aws_frames import compact, event, text_delta
from bedrock_client import HI, PROFILE, SONNET, Amazon
from bedrock_upstream import (
    ACCESS_KEY_ID,
    API_KEY,
    REGION,
    SECRET,
    SESSION,
    FakeBedrock,
    Received,
    begin_stream,
    is_signed,
    reply,
    send_chunk,
)
from booked import quantities_of
from provider_replies import chunk, response, sse, usage_chunk
from rough_upstream import Conversation, RoughUpstream
from running import Deployment
from sdk_clients import openai_client
from tollkeeper import bootstrap, clock
from tollkeeper.domain.ledger import Outcome
from tollkeeper.services.secrets import set_secret

MODEL = "openai.gpt-oss-120b-1:0"
SAY_HI: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture
def openai_sdk(amazon: Amazon) -> Iterator[openai.OpenAI]:
    with openai_client(amazon.gateway.url, amazon.gateway.key) as client:
        yield client


def test_chat_goes_to_the_compatible_path_signed(amazon: Amazon, openai_sdk: openai.OpenAI) -> None:
    parts = [chunk("Grüße"), usage_chunk()]

    def answer(conversation: Conversation, received: Received) -> None:
        body = sse(*parts, "data: [DONE]")
        reply(conversation, 200, {"Content-Type": "text/event-stream"}, body)

    amazon.bedrock.answer = answer
    streamed = openai_sdk.chat.completions.create(model=MODEL, messages=SAY_HI, stream=True)
    assert all(it.choices for it in streamed)  # the usage was asked for by the gateway alone
    entry = amazon.entry()
    assert (entry.provider, entry.wire, entry.model_requested) == ("bedrock", "openai", MODEL)
    assert quantities_of(entry)["cache_read"] == 1000
    received = amazon.bedrock.seen[0]
    assert received.target == "/openai/v1/chat/completions"
    assert b'"include_usage":true' in received.body
    assert is_signed(received)


def test_responses_of_a_provider_by_name(amazon: Amazon, openai_sdk: openai.OpenAI) -> None:
    amazon.bedrock.answer = lambda conversation, _: reply(
        conversation, 200, {}, compact(response(model="openai.gpt-5.6-luna"))
    )
    openai_sdk.responses.create(model="keyed/openai.gpt-5.6-luna", input="hi")
    entry = amazon.entry()
    assert (entry.provider, entry.endpoint, entry.basis) == ("keyed", "responses", "measured")
    received = amazon.bedrock.seen[0]
    assert received.target == "/openai/v1/responses"
    assert received.headers["authorization"] == f"Bearer {API_KEY}"
    assert b'"model":"openai.gpt-5.6-luna"' in received.body.replace(b" ", b"")


def test_a_profile_below_a_providers_name(amazon: Amazon) -> None:
    client = amazon.client(path="/providers/keyed")
    client.converse(modelId=PROFILE, messages=HI)
    entry = amazon.entry()
    assert (entry.provider, entry.endpoint, entry.model_requested) == ("keyed", "converse", PROFILE)
    assert amazon.bedrock.seen[0].model == PROFILE


def test_an_api_key_of_the_callers_own_goes_on_and_nothing_is_signed(amazon: Amazon) -> None:
    client = amazon.client()

    def own_key(request: Any, **_: Any) -> None:
        request.headers["x-tollkeeper-key"] = amazon.gateway.key
        request.headers["Authorization"] = f"Bearer {API_KEY}"

    client.meta.events.register("before-send.bedrock-runtime", own_key)
    client.converse(modelId=SONNET, messages=HI)
    received = amazon.bedrock.seen[0]
    assert received.headers["authorization"] == f"Bearer {API_KEY}"
    assert not {name for name in received.names if name.startswith("x-amz-")}
    assert amazon.entry().outcome == Outcome.OK


def test_a_stream_that_is_cut_breaks_off_for_the_client_too(amazon: Amazon) -> None:
    def cut(conversation: Conversation, received: Received) -> None:
        begin_stream(conversation)
        send_chunk(conversation, text_delta("Grüße") + text_delta("more")[:40])
        conversation.close()

    amazon.bedrock.answer = cut
    answer = amazon.client().converse_stream(modelId=SONNET, messages=HI)
    with closing(answer["stream"]) as events, pytest.raises(ProtocolError):
        list(events)
    entry = amazon.entry()
    assert (entry.outcome, entry.basis) == ("incomplete", "estimated")
    assert entry.output_tokens


def test_a_stream_without_its_counts_is_an_estimate(amazon: Amazon) -> None:
    def silent(conversation: Conversation, received: Received) -> None:
        begin_stream(conversation)
        send_chunk(conversation, text_delta("Grüße"))
        send_chunk(conversation, event("messageStop", {"stopReason": "end_turn"}))
        conversation.answer(b"0\r\n\r\n")

    amazon.bedrock.answer = silent
    answer = amazon.client().converse_stream(modelId=SONNET, messages=HI)
    assert len(list(answer["stream"])) == 2
    entry = amazon.entry()
    assert (entry.outcome, entry.basis) == (Outcome.INCOMPLETE, "estimated")
    assert entry.cost_nanos


def test_the_models_are_listed_by_names_that_can_be_called(
    amazon: Amazon, openai_sdk: openai.OpenAI
) -> None:
    listed = {model.id for model in openai_sdk.models.list()}
    assert SONNET in listed
    assert "amazon.nova-lite-v1:0" in listed
    assert not [name for name in listed if "regional." in name]


def test_an_access_key_may_be_kept_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bedrock = FakeBedrock()
    with RoughUpstream(bedrock) as rough:
        here = {"base_url": rough.url, "region": REGION}
        gateway = Deployment(tmp_path, rough.url, {"providers": {"bedrock": here}})
        store, vault = (
            bootstrap.open_store(gateway.folder),
            bootstrap.open_vault(gateway.folder),
        )
        kept = f"{ACCESS_KEY_ID}:{SECRET}:{SESSION}"
        set_secret(store, vault, "bedrock", rough.url, kept, clock.now_us())
        store.close()
        gateway.start()
        amazon = Amazon(gateway, bedrock, monkeypatch)
        try:
            amazon.client().converse(modelId=SONNET, messages=HI)
            assert amazon.entry().basis == "measured"
        finally:
            amazon.close()
            gateway.finish()
    assert all(is_signed(received) for received in bedrock.seen)
    assert len(bedrock.seen) == 1
