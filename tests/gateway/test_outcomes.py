"""Every way in which a call can end, and every way in which its cost can be known."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from canaries import LOGIN
from gauges import wait_for
from protocols import ANTHROPIC, OPENAI
from raw_http import RawConnection, ask, request
from rough_upstream import Conversation, json_reply
from scripted_provider import (
    CHAT,
    EVENTS_HEAD,
    USAGE,
    Scripted,
    chunk,
    delta,
    event,
    scripted_provider,
)
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "hello"}],
    "usage": {"input_tokens": 20, "output_tokens": 10},
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted_provider(tmp_path_factory.mktemp("scripted")) as made:
        yield made


def _ask(provider: Scripted) -> None:
    ask(provider.port, OPENAI.call(provider.key))


def _whole(provider: Scripted) -> None:
    provider.answers(json_reply(CHAT))
    _ask(provider)


def _error(provider: Scripted) -> None:
    provider.answers(json_reply({"error": {"code": "overloaded"}}, "500 Oops"))
    _ask(provider)


def _no_answer(provider: Scripted) -> None:
    provider.answers(b"", close=True)
    _ask(provider)


def _broken_off(provider: Scripted) -> None:
    provider.answers(EVENTS_HEAD + chunk(event(delta("hello"))), close=True)
    ask(provider.port, OPENAI.call(provider.key, stream=True))


def _silent_after_a_piece(conversation: Conversation) -> None:
    conversation.answer(EVENTS_HEAD + chunk(event(delta("hello"))))
    conversation.wait_for_end()


def _client_left(provider: Scripted) -> None:
    provider.plays(_silent_after_a_piece)
    with RawConnection(provider.port) as connection:
        connection.send(OPENAI.call(provider.key, stream=True)).read_until(b"hello")


def _refused(provider: Scripted) -> None:
    provider.plays(_silent_after_a_piece)
    ask(provider.port, OPENAI.call(provider.key, model="nobody-serves-this"))


def _gateway_killed(provider: Scripted) -> None:
    provider.plays(_silent_after_a_piece)
    with RawConnection(provider.port) as connection:
        connection.send(OPENAI.call(provider.key, stream=True)).read_until(b"hello")
        provider.gateway.kill()
    provider.gateway.start()


OUTCOMES: dict[Outcome, tuple[Callable[[Scripted], None], Basis]] = {
    Outcome.OK: (_whole, Basis.MEASURED),
    Outcome.UPSTREAM_ERROR: (_error, Basis.FREE),
    Outcome.UPSTREAM_FAILED: (_no_answer, Basis.UNPRICED),
    Outcome.INCOMPLETE: (_broken_off, Basis.ESTIMATED),
    Outcome.DISCONNECTED: (_client_left, Basis.ESTIMATED),
    Outcome.REFUSED: (_refused, Basis.FREE),
    Outcome.INTERRUPTED: (_gateway_killed, Basis.ESTIMATED),
}


def test_every_outcome_is_among_these() -> None:
    assert set(OUTCOMES) == set(Outcome)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome(provider: Scripted, outcome: Outcome) -> None:
    happens, basis = OUTCOMES[outcome]
    happens(provider)
    entry = provider.entry()
    assert (entry.outcome, entry.basis) == (outcome, basis)
    if basis is Basis.FREE:
        assert entry.cost_nanos == 0
    elif basis is Basis.UNPRICED:
        assert entry.cost_nanos is None
    else:
        assert entry.cost_nanos is not None
        assert entry.cost_nanos > 0
    wait_for(provider.gateway, "tollkeeper_open_calls", 0.0)


# ---------------------------------------------------------------------- how costs are known


def _stated(provider: Scripted) -> None:
    provider.answers(json_reply(CHAT | {"usage": USAGE | {"cost": 0.01}}))
    _ask(provider)


def _without_usage(provider: Scripted) -> None:
    provider.answers(json_reply(CHAT | {"usage": None}))
    _ask(provider)


def _unknown_model(provider: Scripted) -> None:
    provider.answers(json_reply(CHAT | {"model": "gpt-unheard-of"}))
    _ask(provider)


def _with_a_login(provider: Scripted) -> None:
    """The vendor's subscription pays: the caller's login goes there, beside our key."""
    provider.answers(json_reply(MESSAGE))
    headers = {"x-tollkeeper-key": provider.key, "authorization": f"Bearer {LOGIN}"}
    ask(provider.port, request(ANTHROPIC.path, dict(ANTHROPIC.body), headers))


def _free_of_charge(provider: Scripted) -> None:
    provider.answers(json_reply({"input_tokens": 20}))
    headers = {"x-api-key": provider.key}
    ask(provider.port, request("/v1/messages/count_tokens", dict(ANTHROPIC.body), headers))


def _cost_of(entry: LedgerEntry) -> tuple[int | None, bool]:
    """Give the cost, and whether a list price is known."""
    return entry.cost_nanos, entry.list_cost_nanos is not None


BASES: dict[Basis, tuple[Callable[[Scripted], None], int | None, bool]] = {
    # What happens, its cost in nano-dollars, and whether there is a list price.
    Basis.PROVIDER_REPORTED: (_stated, 10_000_000, True),
    Basis.MEASURED: (_whole, 24_000, True),  # 20 in at 0.40, 10 out at 1.60 USD a million
    Basis.ESTIMATED: (_without_usage, -1, True),
    Basis.UNPRICED: (_unknown_model, None, False),
    Basis.FLAT_RATE: (_with_a_login, 0, True),
    Basis.FREE: (_free_of_charge, 0, True),
}


def test_every_basis_but_that_of_a_cache_is_among_these() -> None:
    """There is no cache of replies in this version, so nothing is booked as coming from one."""
    assert set(BASES) == set(Basis) - {Basis.CACHED}


@pytest.mark.parametrize("basis", BASES)
def test_a_basis(provider: Scripted, basis: Basis) -> None:
    happens, cost, has_list_price = BASES[basis]
    happens(provider)
    entry = provider.entry()
    assert (entry.outcome, entry.basis) == (Outcome.OK, basis)
    found, listed = _cost_of(entry)
    assert listed is has_list_price
    if cost == -1:
        assert found is not None
        assert found > 0
    else:
        assert found == cost
    if basis is Basis.FLAT_RATE:
        assert entry.list_cost_nanos == 20 * 3_000 + 10 * 15_000  # 3 and 15 USD a million
