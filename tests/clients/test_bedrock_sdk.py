"""AWS's own client through the gateway: signed with our key as the access key, or as a bearer.

The provider behind it checks every signature with AWS's own signer.
"""

from __future__ import annotations

import json
import threading
from contextlib import closing
from typing import Any

import pytest
from botocore.eventstream import ParserError
from botocore.exceptions import ClientError, EventStreamError

from aws_frames import (
    CONVERSE_QUANTITIES,
    compact,
    converse_reply,
    event,
    exception,
    text_delta,
)
from bedrock_client import HI, PROFILE, SONNET, Amazon
from bedrock_upstream import (
    ACCESS_KEY_ID,
    API_KEY,
    SESSION,
    Received,
    begin_stream,
    refuse,
    reply,
    send_chunk,
    stream,
)
from booked import quantities_of
from rough_upstream import Conversation
from running import EMAIL, TEAM, Deployment
from tollkeeper.domain.ledger import LedgerEntry, Outcome

UNNAMED = PROFILE.replace("otnfa2ysixqd", "unnamed12345")
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": []}


def _require_booked(entry: LedgerEntry, model: str, endpoint: str, **expected: Any) -> None:
    assert (entry.team, entry.user_name) == (TEAM, EMAIL)
    assert (entry.provider, entry.wire, entry.endpoint) == ("bedrock", "bedrock", endpoint)
    assert (entry.model_requested, entry.outcome, entry.status) == (model, Outcome.OK, 200)
    assert entry.request_id_upstream == "req-1"
    assert entry.tool == "boto3"
    assert {name: getattr(entry, name) for name in expected} == expected


def _require_nothing_of_the_callers(received: Received, gateway: Deployment) -> None:
    """What the provider saw has our signature and nothing of the caller's."""
    text = "\n".join(f"{name}: {value}" for name, value in received.headers.items())
    assert gateway.key not in text
    assert "anything" not in text
    assert "eu-west-3" not in text
    assert "amz-sdk-invocation-id" not in received.headers
    assert received.names.count("authorization") == received.names.count("x-amz-date") == 1


@pytest.mark.parametrize("path", ["", "/bedrock"])
def test_converse(amazon: Amazon, path: str) -> None:
    answer = amazon.client(path=path).converse(modelId=SONNET, messages=HI)
    assert answer["usage"]["inputTokens"] == 25
    assert answer["ResponseMetadata"]["RequestId"] == "req-1"
    entry = amazon.entry()
    _require_booked(entry, SONNET, "converse", streamed=False, basis="measured")
    assert quantities_of(entry) == CONVERSE_QUANTITIES
    # $3.30, 0.33, 4.125, 6.60 and 16.50 for a million: the prices of a region.
    assert entry.cost_nanos == 25 * 3300 + 1000 * 330 + 100 * 4125 + 200 * 6600 + 34 * 16500
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-tollkeeper-call-id"] == entry.call_id
    assert float(headers["x-tollkeeper-cost-usd"]) == pytest.approx(entry.cost_nanos / 1e9)
    _require_nothing_of_the_callers(amazon.bedrock.seen[0], amazon.gateway)


def test_converse_stream(amazon: Amazon) -> None:
    answer = amazon.client().converse_stream(modelId=f"global.{SONNET[3:]}", messages=HI)
    events = list(answer["stream"])
    assert [next(iter(it)) for it in events][-1] == "metadata"
    text = "".join(
        it["contentBlockDelta"]["delta"].get("text", "")
        for it in events
        if "contentBlockDelta" in it
    )
    assert text == "Grüße 🌍metadata usage"
    entry = amazon.entry()
    _require_booked(entry, f"global.{SONNET[3:]}", "converse", streamed=True, basis="measured")
    assert quantities_of(entry) == CONVERSE_QUANTITIES
    assert entry.cost_nanos == 25 * 3000 + 1000 * 300 + 100 * 3750 + 200 * 6000 + 34 * 15000


def test_invoke_and_its_stream(amazon: Amazon) -> None:
    client = amazon.client()
    whole = client.invoke_model(modelId=SONNET, body=json.dumps(CLAUDE), trace="ENABLED")
    assert json.loads(whole["body"].read())["usage"]["output_tokens"] == 34
    streamed = client.invoke_model_with_response_stream(modelId=SONNET, body=json.dumps(CLAUDE))
    native = [json.loads(it["chunk"]["bytes"]) for it in streamed["body"]]
    assert native[-1]["type"] == "message_stop"
    for entry, is_stream in zip(amazon.entries(2), (False, True), strict=True):
        _require_booked(entry, SONNET, "invoke", streamed=is_stream)
        assert quantities_of(entry) == CONVERSE_QUANTITIES
        assert entry.model_served == SONNET  # not the maker's name, which tells no region
    assert amazon.bedrock.seen[0].headers["x-amzn-bedrock-trace"] == "ENABLED"


def test_a_maker_that_counts_in_headers_only(amazon: Amazon) -> None:
    client = amazon.client()
    for _ in range(3):  # heads of one kind are remembered, their counts are not
        client.invoke_model(modelId="cohere.command-text-v14", body='{"prompt":"a"}')
    for entry in amazon.entries(3):
        assert quantities_of(entry) == {"input": 6, "output": 9}


def test_counting_is_free(amazon: Amazon) -> None:
    asked: Any = {"converse": {"messages": HI}}
    assert amazon.client().count_tokens(modelId=SONNET, input=asked)["inputTokens"] == 12
    _require_booked(amazon.entry(), SONNET, "count-tokens", basis="free", cost_nanos=0)


def test_a_profile_is_priced_as_the_model_that_the_operator_names(amazon: Amazon) -> None:
    client = amazon.client()
    client.converse(modelId=PROFILE, messages=HI)
    client.converse(modelId=UNNAMED, messages=HI)
    named, unnamed = amazon.entries(2)
    assert (named.model_requested, named.model_served) == (PROFILE, SONNET)
    assert named.cost_nanos == 2_706_000
    assert (unnamed.basis, unnamed.cost_nanos) == ("unpriced", None)
    assert unnamed.unpriced_reason == "unknown_model:application-inference-profile"
    assert [received.model for received in amazon.bedrock.seen] == [PROFILE, UNNAMED]


def test_names_lead_to_accounts_of_ones_own(amazon: Amazon) -> None:
    client = amazon.client()
    for name in ("keyed/us.amazon.nova-micro-v1:0", "cheap", "amazon.nova-pro-v1:0"):
        client.converse(modelId=name, messages=HI)
    assert [entry.provider for entry in amazon.entries(3)] == ["keyed", "keyed", "bedrock"]
    assert [received.model for received in amazon.bedrock.seen] == [
        "us.amazon.nova-micro-v1:0",
        "amazon.nova-lite-v1:0",
        "amazon.nova-pro-v1:0",
    ]
    assert amazon.bedrock.seen[0].headers["authorization"] == f"Bearer {API_KEY}"


def test_a_refusal_is_an_error_of_the_clients_own(amazon: Amazon) -> None:
    revoked = amazon.gateway.issue("gone")
    amazon.gateway.revoke(revoked)
    with pytest.raises(ClientError, match="revoked") as raised:
        amazon.client(key=revoked).converse(modelId=SONNET, messages=HI)
    assert raised.value.response["Error"]["Code"] == "UnrecognizedClientException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    narrow = amazon.gateway.issue("narrow", models=("amazon.*",))
    with pytest.raises(ClientError, match="may not use model") as raised:
        amazon.client(key=narrow).converse_stream(modelId=SONNET, messages=HI)
    assert raised.value.response["Error"]["Code"] == "AccessDeniedException"
    assert not amazon.bedrock.seen


def test_no_key_of_ours_is_refused(amazon: Amazon) -> None:
    with pytest.raises(ClientError, match="no Tollkeeper key") as raised:
        amazon.client(key="AKIAIOSFODNN7EXAMPLE").converse(modelId=SONNET, messages=HI)
    assert raised.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_an_error_of_the_provider_passes_and_costs_nothing(amazon: Amazon) -> None:
    amazon.bedrock.answer = lambda conversation, _: refuse(
        conversation, 400, "ValidationException", "The provided model identifier is invalid."
    )
    with pytest.raises(ClientError, match="identifier is invalid") as raised:
        amazon.client().converse(modelId="no.such-model-v1:0", messages=HI)
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    entry = amazon.entry()
    assert (entry.outcome, entry.error_code) == (Outcome.UPSTREAM_ERROR, "ValidationException")
    assert entry.cost_nanos == 0


def test_what_amazon_says_of_our_signature_shows_no_secret(amazon: Amazon) -> None:
    amazon.bedrock.session = "another"
    try:
        with pytest.raises(ClientError) as raised:
            amazon.client().converse(modelId=SONNET, messages=HI)
    finally:
        amazon.bedrock.session = SESSION
    assert raised.value.response["Error"]["Code"] == "InvalidSignatureException"

    def echoes(conversation: Conversation, received: Received) -> None:
        refuse(conversation, 403, "AccessDeniedException", json.dumps(received.headers))

    amazon.bedrock.answer = echoes
    with pytest.raises(ClientError) as raised:
        amazon.client().converse(modelId=SONNET, messages=HI)
    shown = str(raised.value)
    assert SESSION not in shown
    assert ACCESS_KEY_ID not in shown


def test_a_failure_within_a_stream_reaches_the_client_and_the_ledger(amazon: Amazon) -> None:
    failed = text_delta("Grüße") + exception("modelStreamErrorException", "it fell over")
    amazon.bedrock.answer = lambda conversation, _: stream(conversation, failed)
    answer = amazon.client().converse_stream(modelId=SONNET, messages=HI)
    with closing(answer["stream"]) as events, pytest.raises(EventStreamError, match="fell over"):
        list(events)
    entry = amazon.entry()
    assert (entry.outcome, entry.error_code) == (Outcome.INCOMPLETE, "modelStreamErrorException")
    assert entry.basis == "estimated"
    assert entry.output_tokens


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1] + b"\0",
        lambda data: data[: len(data) // 2],
        lambda data: b"\xff\xff\xff\xff" + data[4:],
    ],
    ids=["checksum", "truncated", "huge"],
)
def test_hostile_frames_are_passed_on_and_never_taken_for_whole(
    amazon: Amazon, damage: Any
) -> None:
    good, last = text_delta("Grüße"), text_delta("more")
    amazon.bedrock.answer = lambda conversation, _: stream(conversation, good + damage(last))
    answer = amazon.client().converse_stream(modelId=SONNET, messages=HI)
    with closing(answer["stream"]) as events:
        try:
            assert len(list(events)) == 1  # of a message that is cut AWS's reader says nothing
        except ParserError as error:
            assert "Checksum" in type(error).__name__
    entry = amazon.entry()
    # A reader that stumbles hangs up, maybe before the stream has ended.
    assert entry.outcome in {Outcome.INCOMPLETE, Outcome.DISCONNECTED}
    assert entry.basis == "estimated"


def test_a_client_that_leaves_a_stream_is_metered_to_its_end(amazon: Amazon) -> None:
    def slow(conversation: Conversation, received: Received) -> None:
        begin_stream(conversation)
        send_chunk(conversation, text_delta("x"))
        gone.wait(10)
        for _ in range(3):
            send_chunk(conversation, text_delta("y" * 100))
        usage = {"inputTokens": 7, "outputTokens": 90, "totalTokens": 97}
        send_chunk(conversation, event("metadata", {"usage": usage}))
        conversation.answer(b"0\r\n\r\n")

    gone = threading.Event()
    amazon.bedrock.answer = slow
    answer = amazon.client().converse_stream(modelId=SONNET, messages=HI)
    assert next(iter(answer["stream"]))
    answer["stream"].close()
    gone.set()
    entry = amazon.entry()
    assert (entry.outcome, entry.basis) == (Outcome.DISCONNECTED, "measured")
    assert quantities_of(entry) == {"input": 7, "output": 90}


def test_a_tier_without_a_price_is_unpriced(amazon: Amazon) -> None:
    served = converse_reply(serviceTier={"type": "reserved"})
    amazon.bedrock.answer = lambda conversation, _: reply(conversation, 200, {}, compact(served))
    amazon.client().converse(modelId=SONNET, messages=HI, serviceTier={"type": "reserved"})
    entry = amazon.entry()
    assert (entry.tier, entry.cost_nanos) == ("reserved", None)
    assert entry.unpriced_reason == "unknown_tier:reserved"


def test_whatever_else_amazon_has_is_signed_if_its_body_is_small_or_missing(
    amazon: Amazon,
) -> None:
    """Listing goes through; what would have to be signed while it is read does not."""
    client = amazon.client(path="/providers/bedrock")
    amazon.bedrock.answer = lambda conversation, _: reply(
        conversation, 200, {}, compact({"asyncInvokeSummaries": []})
    )
    assert client.list_async_invokes(maxResults=5)["asyncInvokeSummaries"] == []
    assert amazon.bedrock.seen[0].target == "/async-invoke?maxResults=5"
    with pytest.raises(ClientError, match="cannot be signed") as raised:
        client.apply_guardrail(
            guardrailIdentifier="g1",
            guardrailVersion="1",
            source="INPUT",
            content=[{"text": {"text": "a"}}],
        )
    assert raised.value.response["Error"]["Code"] == "ValidationException"
