"""One call: everything it left, found by any of its ids, and only by who may see it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from ledger_entries import START_US, ledger_entry, new_id
from ledgers import ENGINES, EVERY_ENGINE
from tollkeeper.domain.access import Scope
from tollkeeper.domain.explanation import Explanation
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.pricing import PriceLine
from tollkeeper.ports import Ledger, Position
from tollkeeper.reports.call import call

ACME = Scope("acme")


@pytest.fixture(params=EVERY_ENGINE)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    opened = ENGINES[request.param](tmp_path)
    yield opened
    opened.close()


def retried_call(call_id: str) -> list[LedgerEntry]:
    """Two attempts; the second billed a further model, and was corrected much later."""
    first = ledger_entry(entry_id=f"{call_id}-1", call_id=call_id, cost_nanos=0, outcome="refused")
    second = ledger_entry(
        entry_id=f"{call_id}-2",
        call_id=call_id,
        attempt=2,
        cost_nanos=100,
        units={"web_searches": 3},
        reasoning_tokens=9,
    )
    return [
        first,
        second,
        second._replace(entry_id=f"{call_id}-2.1", part=1, cost_nanos=None),
        second._replace(
            entry_id="correction",
            corrects=second.entry_id,
            cost_nanos=-30,
            started_at_us=START_US + 90 * 86_400_000_000,
        ),
    ]


@pytest.mark.parametrize("call_id", [new_id(), "imported-call-7"], ids=["ours", "foreign"])
def test_all_entries_of_a_call_are_found_in_order(ledger: Ledger, call_id: str) -> None:
    entries = retried_call(call_id)
    ledger.append([*reversed(entries), ledger_entry()], Position("a", 1))
    detail = call(ledger, ACME, call_id)
    assert detail.call_id == call_id
    assert [each.entry for each in detail.entries] == entries
    assert detail.first == entries[0]
    assert detail.cost_usd == Decimal("70E-9")
    assert detail.unpriced == 1
    assert detail.entries[1].quantities == {
        "input": 48,
        "output": 14,
        "reasoning": 9,
        "web_searches": 3,
    }
    for entry in entries:
        assert call(ledger, ACME, entry.entry_id) == detail


def test_a_call_whose_start_differs_from_its_id_is_found(ledger: Ledger) -> None:
    entry = ledger_entry(started_at_us=START_US - 400 * 86_400_000_000)
    ledger.append([entry], Position("a", 1))
    assert call(ledger, ACME, entry.call_id).first == entry


def test_a_call_out_of_scope_does_not_exist(ledger: Ledger) -> None:
    entry = ledger_entry()
    ledger.append([entry], Position("a", 1))
    for scope in (Scope("other"), Scope("acme", frozenset({"data"})), Scope("acme", None, "u_2")):
        with pytest.raises(LookupError, match="no such call"):
            call(ledger, scope, entry.call_id)
    assert call(ledger, Scope("acme", frozenset({"core"}), "u_1"), entry.call_id).first == entry


@pytest.mark.parametrize("call_id", ["", "' OR ''='", "\x00", "x" * 10_000, "%", new_id()])
def test_an_unknown_call_is_an_error(ledger: Ledger, call_id: str) -> None:
    ledger.append([ledger_entry()], Position("a", 1))
    with pytest.raises(LookupError, match="no such call"):
        call(ledger, ACME, call_id)


def test_amounts_are_unknown_only_when_none_is_known(ledger: Ledger) -> None:
    entry = ledger_entry(cost_nanos=None, list_cost_nanos=None, saved_nanos=0)
    ledger.append([entry], Position("a", 1))
    detail = call(ledger, ACME, entry.call_id)
    assert (detail.cost_usd, detail.list_cost_usd, detail.saved_usd) == (None, None, Decimal(0))


def test_price_lines_are_added_by_who_has_the_prices(ledger: Ledger) -> None:
    entry = ledger_entry()
    ledger.append([entry], Position("a", 1))
    (detail,) = call(ledger, ACME, entry.call_id).entries
    line = PriceLine("input", 48, "input", "2", 1_000_000, "0.000096")
    assert detail.lines == ()
    explained = detail.explained(Explanation([line], "genai-prices", "agreed"))
    assert (explained.lines, explained.entry) == ([line], entry)


def test_a_batch_of_more_lines_than_are_shown_has_the_sums_of_all(ledger: Ledger) -> None:
    """What is left out are lines: the call itself and its corrections are always there."""
    call_id = new_id()
    begun = ledger_entry(entry_id=call_id, call_id=call_id, cost_nanos=None, basis="unpriced")
    lines = [
        begun._replace(entry_id=f"job-a.{number:05}", part=1, cost_nanos=10, list_cost_nanos=10)
        for number in range(1_500)
    ]
    back = begun._replace(entry_id="~1-", corrects=call_id, revision=1, sign=-1)
    anew = back._replace(entry_id="~1+", sign=1, cost_nanos=0, basis="free")
    ledger.append([*lines, begun, back, anew, ledger_entry(cost_nanos=7)], Position("a", 1))
    detail = call(ledger, ACME, call_id)
    assert (len(detail.entries), detail.omitted) == (1_000, 503)
    assert [each.entry.entry_id for each in detail.entries[:3]] == [call_id, "~1-", "~1+"]
    assert detail.cost_usd == Decimal("0.000015")
    assert detail.unpriced == 0
    per_entry = {name: count for name, count in detail.entries[0].quantities.items() if count}
    assert detail.quantities["input"] == 1_503 * per_entry["input"]


def test_a_correction_without_what_it_corrects_is_shown_as_it_is(ledger: Ledger) -> None:
    orphan = ledger_entry(corrects="gone", revision=1, cost_nanos=5)
    ledger.append([orphan], Position("a", 1))
    found = call(ledger, ACME, orphan.call_id)
    assert found.standing(orphan) == orphan
