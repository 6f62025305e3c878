"""However a call ends, its place at its rate limits is free again, once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gauges import metrics, wait_for, wait_until_at_rest
from loopback import free_port
from protocols import ANTHROPIC, MESSAGES, OPENAI
from raw_http import RawConnection, request
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import Deployment, deployment, usual_configuration
from scripted_provider import CHAT, DONE, EVENTS_HEAD, EXTRA, LAST_CHUNK, chunk, delta, event
from tollkeeper import bootstrap, clock
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import Budget, BudgetScope, Unit
from tollkeeper.services import budgets

PLACES: Final = "tollkeeper_rate_limit_places"
BOUNDARY: Final = "a-boundary-of-its-own"
CAPPED: Final = "gpt-4.1-nano"
_GO_ON: Final = threading.Event()
_ARRIVED: Final[set[bytes]] = set()
_numbers: Final = count()


# ------------------------------------------------------------------ the provider


def _stream_begins(conversation: Conversation) -> None:
    conversation.answer(EVENTS_HEAD, chunk(event(delta("hel"))))


def _stream_ends(conversation: Conversation) -> None:
    rest = (delta("lo"), EXTRA, DONE)
    conversation.answer(*(chunk(event(each)) for each in rest), LAST_CHUNK)


def _stream(conversation: Conversation) -> None:
    _stream_begins(conversation)
    _stream_ends(conversation)


def _late_stream(conversation: Conversation) -> None:
    _stream_begins(conversation)
    _GO_ON.wait(1)
    _stream_ends(conversation)


def _late(conversation: Conversation) -> None:
    _GO_ON.wait(0.5)
    conversation.answer(json_reply(CHAT))


def _cut(conversation: Conversation) -> None:
    _stream_begins(conversation)
    conversation.close()


def _garbage(conversation: Conversation) -> None:
    conversation.answer(b"this is no HTTP\r\n\r\n")
    conversation.close()


def _redirect(conversation: Conversation) -> None:
    conversation.answer(b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n")


PLAYS: Final[dict[bytes, Callable[[Conversation], None]]] = {
    b"stream": _stream,
    b"late-stream": _late_stream,
    b"late": _late,
    b"cut": _cut,
    b"garbage": _garbage,
    b"redirect": _redirect,
    b"error": lambda it: it.answer(json_reply({"error": {"message": "no"}}, "500 Oops")),
    b"reset": Conversation.reset,
}


def script(conversation: Conversation) -> None:
    """Do what the request's own header says."""
    _ARRIVED.add(conversation.head.lower().partition(b"x-nonce: ")[2].partition(b"\r\n")[0])
    _, found, rest = conversation.head.lower().partition(b"\r\nx-play: ")
    play = PLAYS.get(rest.partition(b"\r\n")[0]) if found else None
    if play is None:
        conversation.answer(json_reply(CHAT))
    else:
        play(conversation)


# ------------------------------------------------------------------ how calls end


def _until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline_s, "it never was"
        time.sleep(0.01)


def called(play: str, *, stream: bool = False, **members: Any) -> Callable[[Deployment], None]:
    """Make a call and read all that comes of it."""

    def end(gateway: Deployment) -> None:
        with RawConnection(gateway.port) as connection:
            sent = OPENAI.call(gateway.key, {"x-play": play}, stream=stream, **members)
            connection.send(sent).answer(20)

    return end


def left(play: str, *, stream: bool, after: bytes = b"") -> Callable[[Deployment], None]:
    """Make a call, and leave it before its reply or in the middle of that."""

    def end(gateway: Deployment) -> None:
        nonce = f"left-{next(_numbers)}"
        with RawConnection(gateway.port) as connection:
            headers = {"x-play": play, "x-nonce": nonce}
            connection.send(OPENAI.call(gateway.key, headers, stream=stream))
            if after:
                connection.read_until(after)
            else:
                _until(lambda: nonce.encode() in _ARRIVED)

    return end


def left_at_once(**members: Any) -> Callable[[Deployment], None]:
    """Make a call and leave, whatever has become of it by then."""

    def end(gateway: Deployment) -> None:
        with RawConnection(gateway.port) as connection:
            connection.send(OPENAI.call(gateway.key, {"x-play": "late"}, **members))

    return end


def raw(method: str, path: str) -> Callable[[Deployment], None]:
    def end(gateway: Deployment) -> None:
        fields = {"authorization": f"Bearer {gateway.key}"}
        with RawConnection(gateway.port) as connection:
            connection.send(request(path, b"", fields, method=method)).answer(20)

    return end


def upload(*parts: bytes, length: int | None = None) -> Callable[[Deployment], None]:
    """Send a form; one that is shorter than it says is left in the middle."""

    def end(gateway: Deployment) -> None:
        whole = b"".join(parts)
        fields: dict[str, str | None] = {
            "authorization": f"Bearer {gateway.key}",
            "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        if length is not None:
            fields["content-length"] = str(length)
        with RawConnection(gateway.port) as connection:
            connection.send(request("/v1/audio/transcriptions", b"", fields), whole)
            if length is None or length == len(whole):
                connection.answer(20)
            else:
                _until(lambda: metrics(gateway)[PLACES] > 0)  # it began, with half a body

    return end


def _field(name: str, content: bytes, file: str = "") -> bytes:
    named = f'name="{name}"' + (f'; filename="{file}"' if file else "")
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {named}\r\n\r\n"
    return head.encode() + content + b"\r\n"


MODEL = _field("model", b"whisper-1")
LARGE = _field("file", b"\0" * 200_000, "a.wav")
END = f"--{BOUNDARY}--\r\n".encode()
FORM = MODEL + LARGE + END

ENDINGS: Final[dict[str, Callable[[Deployment], None]]] = {
    "whole": called("whole"),
    "whole stream": called("stream", stream=True),
    "error of the provider": called("error"),
    "redirect": called("redirect"),
    "no HTTP": called("garbage"),
    "reset before the reply": called("reset"),
    "stream that breaks": called("cut", stream=True),
    "provider that is not there": called("whole", model="dead/model"),
    "unknown model": called("whole", model="nobody-serves-this"),
    "over its budget": called("whole", model=CAPPED),
    "left before the reply": left("late", stream=False),
    "left before a stream": left("late-stream", stream=True),
    "left at once": left_at_once(),
    "left while its budget may be asked": left_at_once(model=CAPPED),
    "left in a stream": left("late-stream", stream=True, after=b"hel"),
    "another protocol": lambda gateway: _of_anthropic(gateway, "/v1/messages"),
    "tokens counted": lambda gateway: _of_anthropic(gateway, "/v1/messages/count_tokens"),
    "job looked at": raw("GET", "/v1/messages/batches/msgbatch_1"),
    "results of a job": raw("GET", "/v1/messages/batches/msgbatch_1/results"),
    "stored response": raw("GET", "/v1/responses/resp_1"),
    "upload": upload(FORM, length=len(FORM)),
    "upload that is left": upload(MODEL, LARGE, length=len(FORM) + 10_000),
    "upload without an end": upload(MODEL, LARGE, length=len(MODEL + LARGE)),
    "small upload": upload(MODEL, END, length=len(MODEL + END)),
}


def _of_anthropic(gateway: Deployment, path: str) -> None:
    body = {"model": "claude-sonnet-4-5", "messages": MESSAGES, "max_tokens": 9}
    with RawConnection(gateway.port) as connection:
        connection.send(request(path, body, {ANTHROPIC.key_header: gateway.key})).answer(20)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A gateway whose key has many places; one model has a budget with nothing in it."""
    with RoughUpstream(script) as rough:
        configuration = usual_configuration(rough.url) | {
            "rate_limits": [
                {"name": "key", "scope": "key", "each": True, "parallel": 100},
                {"name": "all", "scope": "team", "tokens_per_minute": 10**9, "parallel": 100},
            ],
            "timeouts": {"abandoned_s": 3.0, "first_byte_s": 5.0},
        }
        configuration["models"]["whisper-*"] = "openai"
        dead = f"http://127.0.0.1:{free_port()}/v1"
        configuration["providers"]["dead"] = {
            "kind": "openai",
            "base_url": dead,
            "api_key": "sk-canary-dead-0005",
        }
        folder = tmp_path_factory.mktemp("places")
        with deployment(folder, rough.url, configuration) as made:
            _cap(made)
            yield made


def _cap(gateway: Deployment) -> None:
    window = WindowRule(WindowKind.LIFETIME)
    nothing = Budget("", "none", BudgetScope.MODEL, Unit.USD, 0, window, match=CAPPED)
    store = bootstrap.open_store(gateway.folder)
    try:
        budgets.make_budget(store, nothing, "alice", clock.now_us())
    finally:
        store.close()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.sampled_from(sorted(ENDINGS)), min_size=1, max_size=16))
def test_however_calls_end_together_no_place_is_lost(gateway: Deployment, names: list[str]) -> None:
    with ThreadPoolExecutor(len(names)) as callers:
        for done in [callers.submit(ENDINGS[name], gateway) for name in names]:
            done.result(60)
    wait_for(gateway, PLACES, 0)
    wait_until_at_rest(gateway)


@pytest.mark.parametrize("name", sorted(ENDINGS))
def test_after_every_kind_of_end_its_place_is_free(gateway: Deployment, name: str) -> None:
    ENDINGS[name](gateway)
    wait_for(gateway, PLACES, 0)
    wait_until_at_rest(gateway)
