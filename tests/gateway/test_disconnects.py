"""Clients that leave: what the provider did until then, or does after it, is booked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from booked import is_near, quantities_of
from books import Books
from gauges import metrics, wait_for, wait_until_at_rest
from protocols import ALL, ANTHROPIC, OPENAI, Protocol
from raw_http import RawConnection, ask
from running import Deployment, deployment, usual_configuration
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome

protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
SLOWLY = {"x-sandbox-chunks": "20", "x-sandbox-gap-ms": "60", "x-sandbox-output-tokens": "400"}
AT_LEISURE = SLOWLY | {"x-sandbox-gap-ms": "800"}
"""So slow that, also on a busy machine, hardly a piece follows before the gateway has gone."""
LATE = {"x-sandbox-ttft-ms": "1500", "x-sandbox-output-tokens": "400"}
ENDLESS = {"x-sandbox-chunks": "1000", "x-sandbox-gap-ms": "1000"}
_numbers = count()


def _configured(upstream: str, policy: str, **more: Any) -> dict[str, Any]:
    configuration = usual_configuration(upstream)
    for provider in configuration["providers"].values():
        provider["cut_policy"] = policy
    return configuration | more


@pytest.fixture(scope="module")
def draining(sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("draining")
    with deployment(folder, sandbox, _configured(sandbox, "drain")) as made:
        yield made


@pytest.fixture(scope="module")
def cancelling(sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("cancelling")
    with deployment(folder, sandbox, _configured(sandbox, "cancel")) as made:
        yield made


@pytest.fixture(scope="module")
def bounded(sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Reads on for one call at a time, and for a few seconds."""
    limits = {"limits": {"drains": 1}, "timeouts": {"abandoned_s": 3.0, "first_byte_s": 4.0}}
    folder = tmp_path_factory.mktemp("bounded")
    with deployment(folder, sandbox, _configured(sandbox, "drain", **limits)) as made:
        yield made


def _leave(
    gateway: Deployment,
    protocol: Protocol,
    headers: dict[str, str],
    *,
    stream: bool = True,
    after: bytes = b"",
    reset: bool = False,
) -> str:
    """Make a call and leave it once its reply has come so far; give its nonce."""
    nonce = f"left-{next(_numbers)}"
    with RawConnection(gateway.port) as connection:
        connection.send(protocol.with_nonce(gateway.key, nonce, stream=stream, headers=headers))
        if after:
            connection.read_until(after)
        else:
            wait_for(gateway, "tollkeeper_upstream_busy", 1.0)
        if reset:
            connection.reset()
    return nonce


def _require_estimate(entry: LedgerEntry) -> None:
    assert (entry.outcome, entry.basis) == (Outcome.DISCONNECTED, Basis.ESTIMATED)
    assert entry.cost_nanos is not None
    assert entry.cost_nanos > 0


# ---------------------------------------------------------------------- streams that are drained


@protocols
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_drained_stream_is_booked_as_the_provider_bills_it(
    draining: Deployment, protocol: Protocol, reset: bool
) -> None:
    books = Books(draining)
    nonce = _leave(draining, protocol, SLOWLY, after=b"data: ", reset=reset)
    entry = books.entry()
    assert (entry.outcome, entry.basis, entry.status) == (
        Outcome.DISCONNECTED,
        Basis.MEASURED,
        200,
    )
    call = books.call(nonce)
    assert call["outcome"] == "answered"
    assert quantities_of(entry) == call["billed"]
    assert entry.cost_nanos
    wait_until_at_rest(draining)
    assert ask(draining.port, protocol.call(draining.key, stream=True)).ended
    books.entries(2)


@protocols
def test_a_client_that_leaves_before_the_head_is_drained_too(
    draining: Deployment, protocol: Protocol
) -> None:
    books = Books(draining)
    nonce = _leave(draining, protocol, LATE)
    entry = books.entry()
    assert (entry.outcome, entry.basis) == (Outcome.DISCONNECTED, Basis.MEASURED)
    assert quantities_of(entry) == books.call(nonce)["billed"]
    wait_until_at_rest(draining)


@protocols
def test_a_plain_reply_is_awaited_whatever_the_policy(
    cancelling: Deployment, protocol: Protocol
) -> None:
    """It is generated and billed in full, so hanging up would only lose its usage."""
    books = Books(cancelling)
    nonce = _leave(cancelling, protocol, LATE, stream=False)
    entry = books.entry()
    assert (entry.outcome, entry.basis, entry.status) == (
        Outcome.DISCONNECTED,
        Basis.MEASURED,
        200,
    )
    call = books.call(nonce)
    assert call["outcome"] == "answered"
    assert quantities_of(entry) == call["billed"]
    wait_until_at_rest(cancelling)


# ---------------------------------------------------------------------- streams that are cancelled


@protocols
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_cancelled_stream_is_estimated_from_what_went_by(
    cancelling: Deployment, protocol: Protocol, reset: bool
) -> None:
    books = Books(cancelling)
    nonce = _leave(cancelling, protocol, AT_LEISURE, after=b"You said", reset=reset)
    entry = books.entry()
    _require_estimate(entry)
    wait_until_at_rest(cancelling)
    call = books.call(nonce)
    assert call["outcome"] == "left"
    billed, booked = call["billed"], quantities_of(entry)
    if protocol.name in {"anthropic", "gemini"}:  # their streams begin with the exact input
        assert booked["input"] == billed["input"]
    if protocol.name != "gemini":
        # A piece may have been on its way when the gateway hung up.
        assert any(is_near(booked["output"], billed["output"] - late) for late in range(41))
    assert ask(cancelling.port, protocol.call(cancelling.key, stream=True)).ended
    books.entries(2)


@protocols
def test_a_stream_that_is_cancelled_before_its_head(
    cancelling: Deployment, protocol: Protocol
) -> None:
    books = Books(cancelling)
    nonce = _leave(cancelling, protocol, {"x-sandbox-ttft-ms": "60000"})
    entry = books.entry()
    _require_estimate(entry)
    assert (entry.status, entry.output_tokens) == (0, 0)
    wait_until_at_rest(cancelling)
    assert books.call(nonce)["outcome"] == "left"


def test_as_many_as_may_be_in_flight_can_leave_one_after_the_other(
    sandbox: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing of a call that was left may stay behind."""
    configuration = _configured(sandbox, "cancel", limits={"in_flight": 5})
    with deployment(tmp_path_factory.mktemp("few"), sandbox, configuration) as gateway:
        books = Books(gateway)
        for number in range(12):
            _leave(gateway, OPENAI, SLOWLY, after=b"data: ")
            _require_estimate(books.entries(number + 1)[-1])
        wait_until_at_rest(gateway)
        assert metrics(gateway)["tollkeeper_client_disconnects_total"] == 12


# ---------------------------------------------------------------------- no disconnects


@protocols
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_leaving_after_the_last_byte_is_no_disconnect(
    gateway: Deployment, books: Books, protocol: Protocol, stream: bool
) -> None:
    before = metrics(gateway)["tollkeeper_client_disconnects_total"]
    with RawConnection(gateway.port) as connection:
        connection.send(protocol.call(gateway.key, stream=stream))
        assert connection.answer().ended
        connection.reset()
    entry = books.entry()
    assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
    assert metrics(gateway)["tollkeeper_client_disconnects_total"] == before


@pytest.mark.parametrize(
    ("protocol", "mark"), [(OPENAI, b"[DONE]\n\n"), (ANTHROPIC, b'"message_stop"}\n\n')]
)
def test_leaving_at_the_end_marker_is_no_disconnect(
    cancelling: Deployment, protocol: Protocol, mark: bytes
) -> None:
    """The marker is what clients wait for; the last chunk of HTTP behind it is not."""
    books = Books(cancelling)
    before = metrics(cancelling)["tollkeeper_client_disconnects_total"]
    headers = {"x-sandbox-chunks": "3", "x-sandbox-gap-ms": "5"}
    _leave(cancelling, protocol, headers, after=mark, reset=True)
    entry = books.entry()
    assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
    wait_until_at_rest(cancelling)
    assert metrics(cancelling)["tollkeeper_client_disconnects_total"] == before


# ---------------------------------------------------------------------- bounds


@protocols
def test_a_drain_ends_in_time_and_is_booked_with_what_is_usual(
    bounded: Deployment, protocol: Protocol
) -> None:
    """The provider works on and bills; what it will have made is guessed, never left out."""
    books = Books(bounded)
    nonce = _leave(bounded, protocol, ENDLESS, after=b"data: ")
    entry = books.entry()
    _require_estimate(entry)
    assert entry.output_tokens >= 100
    wait_until_at_rest(bounded)
    assert books.call(nonce)["outcome"] == "left"


def test_a_plain_reply_is_not_awaited_for_ever(bounded: Deployment) -> None:
    books = Books(bounded)
    _leave(bounded, OPENAI, {"x-sandbox-fault": "hang"}, stream=False)
    entry = books.entry()
    assert entry.outcome in {Outcome.DISCONNECTED, Outcome.UPSTREAM_FAILED}
    assert entry.cost_nanos != 0
    wait_until_at_rest(bounded)


def test_only_so_many_are_drained_at_once(bounded: Deployment) -> None:
    books = Books(bounded)
    drained = metrics(bounded)["tollkeeper_drained_streams_total"]
    with RawConnection(bounded.port) as first, RawConnection(bounded.port) as second:
        for connection in (first, second):
            connection.send(OPENAI.call(bounded.key, SLOWLY, stream=True))
            connection.read_until(b"data: ")
        first.close()
        wait_for(bounded, "tollkeeper_draining_streams", 1.0)
    bases = sorted(entry.basis for entry in books.entries(2))
    assert bases == [Basis.ESTIMATED, Basis.MEASURED]
    wait_until_at_rest(bounded)
    assert metrics(bounded)["tollkeeper_drained_streams_total"] == drained + 1


@pytest.mark.parametrize("policy", ["draining", "cancelling"])
def test_a_storm_of_clients_that_leave(policy: str, request: pytest.FixtureRequest) -> None:
    """None is forgotten, none is booked twice, and what was drained is exact."""
    gateway: Deployment = request.getfixturevalue(policy)
    books = Books(gateway)
    storm, senders = 25, 8
    nonces = [f"storm-{policy}-{number}" for number in range(storm * senders)]

    def leave(numbers: range) -> None:
        for number in numbers:
            protocol = ALL[number % 4]
            headers = {"x-sandbox-chunks": "6", "x-sandbox-gap-ms": "10"}
            with RawConnection(gateway.port) as connection:
                connection.send(
                    protocol.with_nonce(gateway.key, nonces[number], stream=True, headers=headers)
                )
                if number % 3:
                    connection.read_until(b"data: ")

    starts = range(0, storm * senders, storm)
    threads = [threading.Thread(target=leave, args=(range(at, at + storm),)) for at in starts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    wait_until_at_rest(gateway)
    ask(gateway.port, OPENAI.call(gateway.key))  # what is in the journal now is all there is
    *left, last = books.entries(books.sent())
    assert last.outcome == Outcome.OK
    sent = {entry.tags["nonce"]: entry for entry in left}
    assert len(sent) == len(left), "one entry for each call"
    for nonce, entry in sent.items():
        assert entry.outcome in {Outcome.DISCONNECTED, Outcome.OK}
        assert entry.cost_nanos
        if policy == "draining":
            assert entry.basis == Basis.MEASURED
            assert quantities_of(entry) == books.call(nonce)["billed"]
