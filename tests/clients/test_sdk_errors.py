"""What people see in their SDK when a call goes wrong: which exception, which words, how often.

Refusals of the gateway must be raised at once, never repeated; errors of a provider are the
provider's own, and repeated as each SDK does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from google.genai import errors, types

from books import Books
from loopback import HOST, free_port
from running import Deployment, deployment, usual_configuration
from sandbox_requests import HI
from sdk_clients import (
    ANTHROPIC_MODEL,
    GOOGLE_MODEL,
    OPENAI_MODEL,
    anthropic_client,
    google_client,
    openai_client,
    require_failed,
    require_refused,
)
from tollkeeper.domain.ledger import Outcome

RETRIES = 2
"""What OpenAI's and Anthropic's SDKs do by themselves; Google's repeats nothing unasked."""


class Sdk(NamedTuple):
    """One way to make a call. ``ask`` takes address, key, model, headers, and streams or not."""

    tool: str
    model: str
    ask: Callable[[str, str, str, Mapping[str, str], bool], Any]
    raised: type[Exception]
    retries: int


def _chat(url: str, key: str, model: str, headers: Mapping[str, str], stream: bool) -> Any:
    messages: Any = HI
    with openai_client(url, key, RETRIES) as client:
        reply = client.chat.completions.create(
            model=model, messages=messages, stream=stream, extra_headers=headers
        )
        return list(reply) if stream else reply


def _response(url: str, key: str, model: str, headers: Mapping[str, str], stream: bool) -> Any:
    with openai_client(url, key, RETRIES) as client:
        reply = client.responses.create(
            model=model, input="hello", stream=stream, extra_headers=headers
        )
        return list(reply) if stream else reply


def _message(url: str, key: str, model: str, headers: Mapping[str, str], stream: bool) -> Any:
    messages: Any = HI
    with anthropic_client(url, key, RETRIES) as client:
        reply = client.messages.create(
            model=model, max_tokens=50, messages=messages, stream=stream, extra_headers=headers
        )
        return list(reply) if stream else reply


def _content(url: str, key: str, model: str, headers: Mapping[str, str], stream: bool) -> Any:
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=dict(headers)))
    with google_client(url, key) as client:
        asked: Any = {"model": model, "contents": "hello", "config": config}
        if stream:
            return list(client.models.generate_content_stream(**asked))
        return client.models.generate_content(**asked)


SDKS = {
    "openai chat": Sdk("openai-python", OPENAI_MODEL, _chat, openai.APIStatusError, RETRIES),
    "openai responses": Sdk(
        "openai-python", OPENAI_MODEL, _response, openai.APIStatusError, RETRIES
    ),
    "anthropic": Sdk(
        "anthropic-python", ANTHROPIC_MODEL, _message, anthropic.APIStatusError, RETRIES
    ),
    "google": Sdk("google-genai-python", GOOGLE_MODEL, _content, errors.APIError, 0),
}
each_sdk = pytest.mark.parametrize("sdk", SDKS.values(), ids=SDKS.keys())
each_way = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def status_of(raised: Any) -> int:
    return int(raised.code if isinstance(raised, errors.APIError) else raised.status_code)


# ---------------------------------------------------------------------- refusals


@each_way
@each_sdk
def test_a_bad_key_is_refused_at_once(
    gateway: Deployment, books: Books, sdk: Sdk, stream: bool
) -> None:
    with pytest.raises(sdk.raised, match="is not a Tollkeeper key") as caught:
        sdk.ask(gateway.url, "sk-proj-a-vendors-own-key", sdk.model, {}, stream)
    assert status_of(caught.value) == 401
    kinds = (openai.AuthenticationError, anthropic.AuthenticationError, errors.ClientError)
    assert isinstance(caught.value, kinds)
    books.require_untouched()


@each_way
@each_sdk
def test_a_revoked_key_says_so_under_its_owners_name(
    gateway: Deployment, books: Books, sdk: Sdk, stream: bool
) -> None:
    key = gateway.issue("old laptop")
    gateway.revoke(key)
    with pytest.raises(sdk.raised, match="revoked") as caught:
        sdk.ask(gateway.url, key, sdk.model, {}, stream)
    assert status_of(caught.value) == 401
    books.require_untouched()


@each_way
@each_sdk
def test_a_model_that_the_key_may_not_use(
    gateway: Deployment, books: Books, sdk: Sdk, stream: bool
) -> None:
    key = gateway.issue("narrow", models=("sandbox-only*",))
    with pytest.raises(sdk.raised, match=f"may not use model '{sdk.model}'") as caught:
        sdk.ask(gateway.url, key, sdk.model, {}, stream)
    assert status_of(caught.value) == 403
    kinds = (openai.PermissionDeniedError, anthropic.PermissionDeniedError, errors.ClientError)
    assert isinstance(caught.value, kinds)
    entry = books.entry()
    require_refused(entry, sdk.tool, "model_not_allowed", key_name="narrow")
    assert entry.call_id in str(caught.value) or entry.call_id == _call_id(caught.value)
    assert not books.sent()


def _call_id(raised: Any) -> str:
    return str(raised.response.headers["x-tollkeeper-call-id"])


@each_way
@each_sdk
def test_a_model_that_nobody_serves(
    gateway: Deployment, books: Books, sdk: Sdk, stream: bool
) -> None:
    with pytest.raises(sdk.raised, match="no configured provider serves model 'mystery-9'") as (
        caught
    ):
        sdk.ask(gateway.url, gateway.key, "mystery-9", {}, stream)
    assert status_of(caught.value) == 404
    kinds = (openai.NotFoundError, anthropic.NotFoundError, errors.ClientError)
    assert isinstance(caught.value, kinds)
    require_refused(books.entry(), sdk.tool, "model_not_found")
    assert not books.sent()


# ---------------------------------------------------------------------- errors of the provider


ERRORS: dict[int, tuple[type[Exception], ...]] = {
    400: (openai.BadRequestError, anthropic.BadRequestError, errors.ClientError),
    401: (openai.AuthenticationError, anthropic.AuthenticationError, errors.ClientError),
    404: (openai.NotFoundError, anthropic.NotFoundError, errors.ClientError),
}
REPEATED: dict[int, tuple[type[Exception], ...]] = {
    429: (openai.RateLimitError, anthropic.RateLimitError, errors.ClientError),
    503: (openai.InternalServerError, anthropic.InternalServerError, errors.ServerError),
}


@pytest.mark.parametrize("status", ERRORS)
@each_sdk
def test_an_error_of_the_provider_is_raised_as_its_own(
    gateway: Deployment, books: Books, sdk: Sdk, status: int
) -> None:
    with pytest.raises(ERRORS[status]) as caught:
        sdk.ask(gateway.url, gateway.key, sdk.model, {"x-sandbox-fault": str(status)}, False)
    assert status_of(caught.value) == status
    require_failed(books.entry(), sdk.tool, status)
    assert books.sent() == 1


@pytest.mark.parametrize("status", REPEATED)
@each_sdk
def test_a_rate_limit_is_repeated_as_the_sdk_does_and_each_try_is_booked(
    gateway: Deployment, books: Books, sdk: Sdk, status: int
) -> None:
    fault = {"x-sandbox-fault": f"{status}:0.01"}
    with pytest.raises(REPEATED[status]) as caught:
        sdk.ask(gateway.url, gateway.key, sdk.model, fault, False)
    assert status_of(caught.value) == status
    tries = 1 + sdk.retries
    for entry in books.entries(tries):
        require_failed(entry, sdk.tool, status)
    assert books.sent() == tries


@each_sdk
def test_an_error_inside_a_stream_is_raised_and_what_came_is_billed(
    gateway: Deployment, books: Books, sdk: Sdk
) -> None:
    raised = (openai.APIError, anthropic.APIError, errors.APIError)
    fault = {"x-sandbox-fault": "error-event:2", "x-sandbox-chunks": "6"}
    if sdk.ask is _response:  # there an error is an event like others
        events = sdk.ask(gateway.url, gateway.key, sdk.model, fault, True)
        assert events[-1].type in {"response.failed", "error"}
    else:
        with pytest.raises(raised):
            sdk.ask(gateway.url, gateway.key, sdk.model, fault, True)
    entry = books.entry()
    assert entry.outcome == Outcome.INCOMPLETE
    assert entry.error_code
    assert entry.cost_nanos
    assert books.sent() == 1


@each_sdk
def test_a_stream_that_breaks_off_does_not_look_complete(
    gateway: Deployment, books: Books, sdk: Sdk
) -> None:
    raised = (openai.APIError, anthropic.APIError, errors.APIError)
    fault = {"x-sandbox-fault": "eof-after:2", "x-sandbox-chunks": "6"}
    if sdk.ask is _response:
        events = sdk.ask(gateway.url, gateway.key, sdk.model, fault, True)
        assert events[-1].type == "response.failed"
        assert events[-1].response.error.message
    else:
        with pytest.raises(raised, match=r"provider|upstream"):
            sdk.ask(gateway.url, gateway.key, sdk.model, fault, True)
    entry = books.entry()
    assert (entry.outcome, entry.basis) == (Outcome.INCOMPLETE, "estimated")
    assert entry.cost_nanos


# ---------------------------------------------------------------------- nobody there


@each_sdk
def test_a_provider_that_cannot_be_reached(
    tmp_path_factory: pytest.TempPathFactory, sdk: Sdk
) -> None:
    nobody = f"http://{HOST}:{free_port()}"
    with deployment(
        tmp_path_factory.mktemp("nobody"), nobody, usual_configuration(nobody)
    ) as gateway:
        with pytest.raises(sdk.raised, match=r"could not be reached|refused") as caught:
            sdk.ask(gateway.url, gateway.key, sdk.model, {}, False)
        assert status_of(caught.value) == 502
        entries = gateway.entries_when(1 + sdk.retries)
    for entry in entries:
        assert (entry.outcome, entry.status) == (Outcome.UPSTREAM_FAILED, 502)
        assert (entry.basis, entry.cost_nanos) == ("free", 0)
