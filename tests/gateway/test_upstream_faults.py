"""A provider at its worst: what the client is told, what is booked, and that life goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from booked import is_near, quantities_of
from books import Books
from gauges import metrics, wait_until_at_rest
from protocols import ALL, OPENAI, Protocol
from raw_http import RawConnection, ask, get, request
from running import Deployment
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome

protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
both = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
STATUSES = [
    "400",
    "401",
    "403",
    "404",
    "408",
    "409",
    "413",
    "422",
    "429",
    "500",
    "502",
    "503",
    "504",
    "529",
]
A_DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
ODDITIES = [
    "interim:3",
    "many-headers:50",
    "http10",
    "slow-headers:5",
    "chunk-extensions",
    "gzip",
    "sse-crlf",
    "sse-cr",
    "sse-comments",
    "two-replies",
]
PIECES = {"x-sandbox-chunks": "4", "x-sandbox-output-tokens": "40"}


@pytest.fixture(autouse=True)
def _lives_on(gateway: Deployment) -> Iterator[None]:
    """After every fault nothing is left behind, and an ordinary call is answered."""
    yield
    wait_until_at_rest(gateway)
    for protocol in ALL:
        assert ask(gateway.port, protocol.call(gateway.key, stream=True)).ended


def _faulty(fault: str, **more: str) -> dict[str, str]:
    return PIECES | {"x-sandbox-fault": fault} | more


def _require_estimate(entry: LedgerEntry, outcome: Outcome) -> None:
    assert (entry.outcome, entry.basis) == (outcome, Basis.ESTIMATED)
    assert entry.cost_nanos is not None
    assert entry.cost_nanos > 0


def _require_nothing_spent(entry: LedgerEntry, outcome: Outcome) -> None:
    assert (entry.outcome, entry.basis, entry.cost_nanos) == (outcome, Basis.FREE, 0)


def _upstream(gateway: Deployment) -> int:
    return int(gateway.upstream.rpartition(":")[2])


def _as_given(gateway: Deployment, data: bytes) -> bytes:
    """Give the body that the provider itself answers to the same call."""
    plain = data.replace(b"x-sandbox-fault: http10", b"x-sandbox-fault: none")
    return ask(_upstream(gateway), plain).body


# ---------------------------------------------------------------------- streams that break off


@protocols
@pytest.mark.parametrize("fault", ["reset-after:2", "eof-after:2", "reset-after:0"])
def test_a_stream_that_breaks_off_ends_with_an_error(
    gateway: Deployment, books: Books, protocol: Protocol, fault: str
) -> None:
    """U1, U2, U4: an error in the client's own protocol, and no end marker."""
    with RawConnection(gateway.port) as connection:
        connection.send(
            protocol.with_nonce(gateway.key, fault, stream=True, headers=_faulty(fault))
        )
        answer = connection.answer()
        assert answer.ended, "for HTTP the reply is whole, and the connection goes on"
        assert connection.send(protocol.call(gateway.key)).answer().status == 200
    assert answer.status == 200
    found = protocol.fault_in_stream(answer.body)
    assert found.code in {"incomplete", ""}
    assert "broke off" in found.message
    entry, _ = books.entries(2)
    assert (entry.status, entry.error_code) == (200, "incomplete")
    _require_estimate(entry, Outcome.INCOMPLETE)
    assert books.sent() == 2, "what has begun to answer is never asked again"
    billed, booked = _calls(gateway, fault)[-1]["billed"], quantities_of(entry)
    if protocol.name == "anthropic":
        assert booked["input"] == billed["input"], "stated at the start of the stream"
    if protocol.name != "gemini":
        assert is_near(booked.get("output", 0), billed.get("output", 0))
    elif not fault.endswith(":0"):
        assert booked == billed


def _calls(gateway: Deployment, nonce: str) -> list[dict[str, dict[str, int]]]:
    found = get(_upstream(gateway), f"/sandbox/calls?nonce={nonce}").json()["calls"]
    return list(found)


@protocols
def test_a_stream_without_its_end_marker(
    gateway: Deployment, books: Books, protocol: Protocol
) -> None:
    """U2, within good framing: with its last counts it is whole, else the client is told."""
    answer = ask(gateway.port, protocol.call(gateway.key, _faulty("no-done"), stream=True))
    assert answer.status == 200
    assert answer.ended
    entry = books.entry()
    if protocol.name in {"openai", "anthropic"}:
        assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
        assert b'"error"' not in answer.body
        return
    _require_estimate(entry, Outcome.INCOMPLETE)
    assert entry.error_code == "incomplete"
    if protocol.name == "responses":
        assert protocol.fault_in_stream(answer.body).code == "incomplete"


@protocols
def test_an_error_inside_a_stream_goes_to_the_client_as_it_is(
    gateway: Deployment, books: Books, protocol: Protocol
) -> None:
    answer = ask(gateway.port, protocol.call(gateway.key, _faulty("error-event:2"), stream=True))
    assert answer.status == 200
    assert answer.ended
    assert answer.body.count(b"error") >= 1
    assert b"tollkeeper" not in answer.body
    assert b"no end" not in answer.body
    entry = books.entry()
    assert entry.error_code not in {"", "incomplete"}, "the provider's own word"
    _require_estimate(entry, Outcome.INCOMPLETE)
    assert books.sent() == 1


@protocols
def test_an_error_with_a_good_status(gateway: Deployment, books: Books, protocol: Protocol) -> None:
    """A whole reply that is nothing but an error spent nothing."""
    answer = ask(gateway.port, protocol.call(gateway.key, _faulty("error-event:1")))
    assert answer.status == 200
    assert answer.json()["error"]
    entry = books.entry()
    _require_nothing_spent(entry, Outcome.UPSTREAM_ERROR)
    assert entry.error_code


# ---------------------------------------------------------------------- no reply at all


@protocols
@both
def test_a_connection_that_is_reset_instead_of_answered(
    gateway: Deployment, books: Books, protocol: Protocol, stream: bool
) -> None:
    """Nobody knows what became of the call: its cost is unknown, and not zero."""
    opened = metrics(gateway)["tollkeeper_upstream_opened"]
    with RawConnection(gateway.port) as connection:
        connection.send(protocol.call(gateway.key, _faulty("reset"), stream=stream))
        fault = protocol.fault(connection.answer())
        assert fault.status == 502
        assert "without a reply" in fault.message
        assert connection.send(protocol.call(gateway.key)).answer().status == 200
    entry, _ = books.entries(2)
    assert (entry.outcome, entry.basis, entry.cost_nanos, entry.unpriced_reason) == (
        Outcome.UPSTREAM_FAILED,
        Basis.UNPRICED,
        None,
        "no_reply",
    )
    # A connection that had been idle may be dead; then, and only then, there is a second try.
    assert books.sent() - 1 <= 2
    assert metrics(gateway)["tollkeeper_upstream_opened"] - opened <= 2


@protocols
@both
@pytest.mark.parametrize(
    "fault", ["garbage", "two-lengths", "length-and-chunked", "interim:20", "many-headers:1000"]
)
def test_a_reply_that_breaks_http_is_given_to_nobody(
    gateway: Deployment, books: Books, protocol: Protocol, fault: str, stream: bool
) -> None:
    """U10 to U12, U15."""
    answer = ask(gateway.port, protocol.call(gateway.key, _faulty(fault), stream=stream))
    assert protocol.fault(answer).status == 502
    assert b"sandbox" not in answer.head + answer.body
    entry = books.entry()
    assert (entry.outcome, entry.basis, entry.cost_nanos) == (
        Outcome.UPSTREAM_FAILED,
        Basis.UNPRICED,
        None,
    )
    assert books.sent() == 1


# ---------------------------------------------------------------------- errors of the provider


@protocols
@both
@pytest.mark.parametrize(
    "fault",
    [*STATUSES, "429:7", f"429:{A_DATE}", "429:soon", "429:1000000000", "503:-1"],
)
def test_an_error_of_the_provider_is_passed_on_and_costs_nothing(
    gateway: Deployment, books: Books, protocol: Protocol, fault: str, stream: bool
) -> None:
    """U3, U5: its status, its words and its Retry-After; nothing is sent again."""
    status, _, retry_after = fault.partition(":")
    data = protocol.call(gateway.key, _faulty(fault), stream=stream)
    with RawConnection(gateway.port) as connection:
        answer = connection.send(data).answer()
        assert connection.send(protocol.call(gateway.key)).answer().status == 200
    assert answer.status == int(status)
    assert answer.body == _as_given(gateway, data)
    if retry_after:
        assert answer.headers["retry-after"] == retry_after
    entry, _ = books.entries(2)
    _require_nothing_spent(entry, Outcome.UPSTREAM_ERROR)
    assert entry.status == int(status)
    assert entry.error_code
    assert books.sent() == 3, "two calls, and the one that was asked directly"


@protocols
@both
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(
    gateway: Deployment, books: Books, protocol: Protocol, status: int, stream: bool
) -> None:
    """U17: the key would go where the redirect says."""
    answer = ask(
        gateway.port, protocol.call(gateway.key, _faulty(f"redirect:{status}"), stream=stream)
    )
    fault = protocol.fault(answer)
    assert fault.status == 502
    assert "redirect" in fault.message
    assert "location" not in answer.headers
    _require_nothing_spent(books.entry(), Outcome.UPSTREAM_FAILED)
    assert get(_upstream(gateway), "/sandbox/calls?limit=0").json()["redirected"] == 0
    assert books.sent() == 1


# ---------------------------------------------------------------------- lengths


@protocols
def test_a_plain_reply_that_is_cut_by_its_connection(
    gateway: Deployment, books: Books, protocol: Protocol
) -> None:
    """U10: nothing of it went out, so the client gets an error and no half JSON."""
    for fault in ("length-long", "reset-after:1", "eof-after:1"):
        answer = ask(gateway.port, protocol.call(gateway.key, _faulty(fault)))
        assert protocol.fault(answer).status == 502, fault
    for entry in books.entries(3):
        _require_estimate(entry, Outcome.INCOMPLETE)
    assert books.sent() == 3


@protocols
@both
def test_a_reply_that_is_longer_than_it_says(
    gateway: Deployment, books: Books, protocol: Protocol, stream: bool
) -> None:
    """The length counts. What follows it goes to nobody, and the connection is not used again."""
    opened = metrics(gateway)["tollkeeper_upstream_opened"]
    data = protocol.call(gateway.key, _faulty("length-short"), stream=stream)
    with RawConnection(gateway.port) as connection:
        answer = connection.send(data).answer()
        assert answer.status == 200
        assert connection.send(protocol.call(gateway.key)).answer().status == 200
    given = _as_given(gateway, data)
    if not stream:
        assert given == answer.body
    entry, _ = books.entries(2)
    assert entry.cost_nanos
    assert metrics(gateway)["tollkeeper_upstream_opened"] > opened - 1


@protocols
def test_a_stream_that_is_shorter_than_it_says(
    gateway: Deployment, books: Books, protocol: Protocol
) -> None:
    """The error behind it needs room: the length that the provider promised is not passed on."""
    data = protocol.call(gateway.key, _faulty("length-long"), stream=True)
    with RawConnection(gateway.port) as connection:
        answer = connection.send(data).answer()
        assert answer.ended
        assert "content-length" not in answer.headers
        assert connection.send(protocol.call(gateway.key)).answer().status == 200
    entry, _ = books.entries(2)
    if protocol.name == "gemini":  # the others were whole at their end marker
        assert "broke off" in protocol.fault_in_stream(answer.body).message
        _require_estimate(entry, Outcome.INCOMPLETE)
    else:
        assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)


@protocols
def test_json_that_is_cut_within_good_http(
    gateway: Deployment, books: Books, protocol: Protocol
) -> None:
    """U9: it is passed on as it is, and booked as incomplete."""
    data = protocol.call(gateway.key, _faulty("truncated-json"))
    answer = ask(gateway.port, data)
    assert (answer.status, answer.body) == (200, _as_given(gateway, data))
    _require_estimate(books.entry(), Outcome.INCOMPLETE)


# ---------------------------------------------------------------------- odd, and good


@protocols
@both
@pytest.mark.parametrize(
    "fault",
    ODDITIES,
)
def test_an_odd_reply_is_passed_on_and_measured(
    gateway: Deployment, books: Books, protocol: Protocol, fault: str, stream: bool
) -> None:
    """U6, U12, U14 to U16: every byte of it, and nothing of what it came wrapped in."""
    nonce = f"{fault}-{protocol.name}-{stream}"
    members = {"stream_options": {"include_usage": True}} if stream and protocol is OPENAI else {}
    data = protocol.with_nonce(gateway.key, nonce, stream=stream, headers=_faulty(fault), **members)
    with RawConnection(gateway.port) as connection:
        answer = connection.send(data).answer()
        assert connection.send(protocol.call(gateway.key)).answer().status == 200
    assert answer.status == 200
    assert answer.ended
    assert answer.body == _as_given(gateway, data)
    assert "set-cookie" not in answer.headers
    assert "x-sandbox-trailer" not in answer.headers
    entry, _ = books.entries(2)
    assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
    assert quantities_of(entry) == _calls(gateway, nonce)[0]["billed"]
    assert b"nobody asked" not in answer.body


def test_a_refusal_before_the_body_is_read(gateway: Deployment, books: Books) -> None:
    """U13: it is passed on at once, and the connection to the provider is not used again."""
    body = dict(OPENAI.body) | {"pad": "x" * (8 << 20)}
    answer = ask(gateway.port, OPENAI.call(gateway.key, _faulty("early-413"), body=body))
    assert answer.status == 413
    _require_nothing_spent(books.entry(), Outcome.UPSTREAM_ERROR)


def test_an_upload_that_is_refused_while_it_comes(gateway: Deployment, books: Books) -> None:
    """U13: the client hears it at once, and need not send the rest."""
    start = (
        b'--b0\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b0\r\n'
        b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    )
    headers: dict[str, str | None] = {
        "authorization": f"Bearer {gateway.key}",
        "content-type": "multipart/form-data; boundary=b0",
        "content-length": str(50 << 20),
        "x-sandbox-fault": "early-413",
    }
    with RawConnection(gateway.port) as connection:
        connection.send(request("/v1/audio/transcriptions", headers=headers), start)
        connection.send(b"\1" * (1 << 20))
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert connection.is_closed(5)
    entry = books.entry()
    _require_nothing_spent(entry, Outcome.UPSTREAM_ERROR)
    assert entry.model_requested == "whisper-1"
