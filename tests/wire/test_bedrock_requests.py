"""Requests for Bedrock: paths with every kind of model in them, limits, and refusals."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from botocore.parsers import RestJSONParser
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import (
    BadRequest,
    KeyRejected,
    NotAllowed,
    Overloaded,
    Refused,
    TollkeeperError,
    UnknownRoute,
    UpstreamTimeout,
)
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.controls import read_controls
from tollkeeper.wire.endpoints import Endpoint, match
from tollkeeper.wire.refusals import BUDGET_EXCEEDED, refusal
from tollkeeper.wire.rewrite import with_path_model
from wire_requests import KEY

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/otnfa2ysixqd"
CONVERSE = Endpoint("converse", Dialect.BEDROCK, "bedrock_converse")


@pytest.mark.parametrize(
    ("verb", "name", "reader", "streamed", "free"),
    [
        ("converse", "converse", "bedrock_converse", False, False),
        ("converse-stream", "converse", "bedrock_converse", True, False),
        ("invoke", "invoke", "bedrock_invoke", False, False),
        ("invoke-with-response-stream", "invoke", "bedrock_invoke", True, False),
        ("count-tokens", "count-tokens", "none", False, True),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/bedrock"])
def test_each_call_of_the_runtime(
    prefix: str, verb: str, name: str, reader: str, streamed: bool, free: bool
) -> None:
    found = match("POST", f"{prefix}/model/{quote(SONNET, safe='')}/{verb}")
    assert found is not None
    assert (found.endpoint.name, found.endpoint.reader) == (name, reader)
    assert (found.streamed, found.endpoint.free, found.kind) == (streamed, free, "bedrock")
    assert found.endpoint.dialect is Dialect.BEDROCK
    assert (found.model, found.provider) == (SONNET, "")
    assert found.upstream_path == f"/model/{quote(SONNET, safe='')}/{verb}"


@pytest.mark.parametrize("model", [SONNET, PROFILE, "amazon.nova-lite-v1:0", "unknown"])
@pytest.mark.parametrize("safe", ["", ":", "/:"])
def test_a_model_is_written_in_one_way_however_it_came(model: str, safe: str) -> None:
    found = match("POST", f"/model/{quote(model, safe=safe)}/converse")
    assert found is not None
    assert found.model == model
    assert found.upstream_path == f"/model/{quote(model, safe='')}/converse"


def test_a_path_that_names_its_provider_keeps_it() -> None:
    found = match("POST", f"/providers/aws-eu/model/{quote(PROFILE, safe='')}/invoke")
    assert found is not None
    assert (found.provider, found.model, found.kind) == ("aws-eu", PROFILE, "")
    assert found.upstream_path == f"/model/{quote(PROFILE, safe='')}/invoke"
    other = match("POST", "/providers/bedrock/guardrail/g1/version/1/apply")
    assert other is not None
    assert (other.endpoint.name, other.endpoint.dialect) == ("passthrough", Dialect.BEDROCK)


@pytest.mark.parametrize(
    "model",
    [
        "..%2F..%2Fguardrail",
        "a%2F..%2Fb",
        "a%2F%2Fb",
        "%2Fa",
        "a%252Fb",
        "a%00b",
        "a%0Ab",
        "a%3Fb",
        "a%23b",
        "a%ffb",
        "a b",
        "a\\b",
        "%2e%2e",
        quote(KEY),
        "x" * 300,
    ],
)
def test_what_is_no_name_of_a_model_is_refused(model: str) -> None:
    with pytest.raises(BadRequest):
        match("POST", f"/model/{model}/converse")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/model/m/converse"),
        ("POST", "/model/m/other"),
        ("POST", "/model//converse"),
        ("POST", "/model/converse"),
        ("POST", "/x/model/m/converse"),
        ("POST", "/model/m/converse/"),
    ],
)
def test_other_paths_are_none_of_the_runtimes(method: str, path: str) -> None:
    try:
        found = match(method, path)
    except BadRequest:
        return
    assert found is None


@given(st.text(max_size=60))
def test_whatever_is_recognised_goes_on_as_one_path(text: str) -> None:
    try:
        found = match("POST", f"/model/{text}/converse")
    except BadRequest:
        return
    if found is not None and found.endpoint.dialect is Dialect.BEDROCK:
        assert found.upstream_path.count("/") == 3
        assert ".." not in found.upstream_path.split("/")


def test_another_model_takes_the_place_of_the_one_that_was_asked_for() -> None:
    path = f"/model/{quote(PROFILE, safe='')}/invoke-with-response-stream"
    changed = with_path_model(path, "amazon.nova-lite-v1:0")
    assert changed == "/model/amazon.nova-lite-v1%3A0/invoke-with-response-stream"


@pytest.mark.parametrize(
    ("body", "limit", "tier"),
    [
        ({"inferenceConfig": {"maxTokens": 5}, "serviceTier": {"type": "flex"}}, 5, "flex"),
        ({"max_tokens": 7, "anthropic_version": "bedrock-2023-05-31"}, 7, ""),
        ({"max_gen_len": 8}, 8, ""),
        ({"max_tokens_to_sample": 9}, 9, ""),
        ({"textGenerationConfig": {"maxTokenCount": 10}}, 10, ""),
        ({"inferenceConfig": {"max_new_tokens": 11}}, 11, ""),
        ({"max_tokens": -1, "maxTokens": "x", "inferenceConfig": []}, None, ""),
        ({"max_tokens": 0, "serviceTier": "flex"}, None, ""),
        ({"max_tokens": 10**12}, None, ""),
        ({"model": "other", "stream": True}, None, ""),
    ],
)
def test_limits_of_every_maker(body: dict[str, Any], limit: int | None, tier: str) -> None:
    controls = read_controls(json.dumps(body).encode(), CONVERSE)
    assert (controls.max_output_tokens, controls.service_tier) == (limit, tier)
    assert (controls.model, controls.stream) == ("", False)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":1,"a":2}', b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_controls(body, CONVERSE)


@pytest.mark.parametrize(
    ("error", "status", "word", "repeated"),
    [
        (KeyRejected("key is revoked"), 403, "UnrecognizedClientException", False),
        (NotAllowed("may not"), 403, "AccessDeniedException", False),
        (UnknownRoute("no model"), 404, "ResourceNotFoundException", False),
        (BadRequest("bad"), 400, "ValidationException", False),
        (Refused("no"), Refused("no").status, "AccessDeniedException", False),
        (Overloaded("busy"), 503, "ServiceUnavailableException", True),
        (UpstreamTimeout("late"), UpstreamTimeout("late").status, "ModelTimeoutException", True),
        (TollkeeperError("oops"), 500, "InternalServerException", True),
        (NotAllowed("spent", code=BUDGET_EXCEEDED), 402, "ServiceQuotaExceededException", False),
    ],
)
def test_a_refusal_is_told_in_amazons_words(
    error: TollkeeperError, status: int, word: str, repeated: bool
) -> None:
    reply = refusal(error, CONVERSE, call_id="call-1")
    assert reply.status == status
    headers = dict(line.split(": ", 1) for line in reply.headers.decode().splitlines())
    parsed = RestJSONParser().parse(
        {"status_code": status, "headers": headers, "body": reply.body}, None
    )
    assert parsed["Error"] == {"Code": word, "Message": error.message}
    assert parsed["ResponseMetadata"]["RequestId"] == "call-1"
    assert headers.get("x-should-retry") == (None if repeated else "false")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyRejected("key is revoked"), 401),
        (NotAllowed("may not"), 400),
        (UnknownRoute("no model"), 404),
        (NotAllowed("spent", code=BUDGET_EXCEEDED), 402),
    ],
)
def test_claude_code_is_told_so_that_it_shows_it_at_once(
    error: TollkeeperError, status: int
) -> None:
    assert refusal(error, CONVERSE, "claude-code", call_id="call-1").status == status
