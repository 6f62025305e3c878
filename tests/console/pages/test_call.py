"""One call explained: its lines add up, its attempts are in order, its links find its likes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from consoles import RunningConsole, running_console
from ledger_entries import held_call, new_id, profile
from stores import DAY, NOW
from tollkeeper.console.access import viewer_of_user
from tollkeeper.console.pages.call import CallPage, call
from tollkeeper.console.shared import Console
from tollkeeper.domain.calls import Held, Part
from tollkeeper.domain.corrections import Booking, correction
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome, entries_of
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.services.explanation import explanation_of
from tollkeeper.services.settlement import Ending, settle

BOOK = shipped_price_book()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("call")) as made:
        yield made


def former(version: str) -> PriceBook | None:
    """Nobody has old versions here."""
    return None


def explaining(running: RunningConsole, book: PriceBook = BOOK) -> Console:
    return replace(running.console, explain=lambda entry: explanation_of(entry, book, former))


def show(
    running: RunningConsole, call_id: str, who: str = "admin", book: PriceBook = BOOK
) -> CallPage:
    viewer = viewer_of_user("acme", running.users[who])
    return call(explaining(running, book), viewer, {"call_id": call_id, "tz": "Europe/Berlin"})


def settled(running: RunningConsole, usage: dict[str, int], **changes: Any) -> LedgerEntry:
    """Give an entry as the gateway makes it, with the shipped prices."""
    named = profile(
        provider="anthropic",
        price_provider="anthropic",
        model="claude-opus-5-5",
        model_requested="opus",
        user_id=running.users["member"].user_id,
        **changes,
    )
    held: Held = held_call(started_at_us=NOW - 60_000_000, profile=named)
    ending = Ending(
        status=200,
        outcome=Outcome.OK,
        duration_ms=2_000,
        ttft_ms=500,
        usage=Usage(usage, model="claude-opus-5-5", raw='{"input_tokens":1}'),
    )
    (entry,) = entries_of(held, settle(held, ending, BOOK))
    running.load(entry)
    return entry


def dollars(text: str) -> Decimal:
    return Decimal(text.replace("$", "").replace(",", ""))


def test_lines_are_quantity_times_price_and_add_up_to_what_was_booked(
    running: RunningConsole,
) -> None:
    usage = {"input": 1_234, "cache_read": 56_789, "cache_write": 777, "output": 4_321}
    entry = settled(running, usage)
    page = show(running, entry.call_id)
    (bill,) = page.bills
    assert [(line.name, line.number) for line in bill.lines] == [
        ("Input", "1,234"),
        ("Cache read", "56,789"),
        ("Cache write", "777"),
        ("Output", "4,321"),
    ]
    for line in bill.lines:
        assert line.per == "per million"
        product = dollars(line.number) * dollars(line.price) / 1_000_000
        assert dollars(line.cost) == product == dollars(line.cost_full)
    booked = Decimal(entry.cost_nanos or 0) / 10**9
    assert sum(dollars(line.cost) for line in bill.lines) == booked
    assert dollars(bill.total) == dollars(page.cost) == booked > 0
    assert not bill.outdated
    assert bill.price_key == "anthropic/claude-opus-5-5"
    assert bill.basis.name == "Measured"


def test_a_call_whose_prices_were_changed_keeps_its_cost_and_shows_no_wrong_lines(
    running: RunningConsole,
) -> None:
    entry = settled(running, {"input": 1_000, "output": 10})
    page = show(running, entry.call_id, book=PriceBook("empty", {}))
    (bill,) = page.bills
    assert bill.outdated
    assert [(line.number, line.price, line.cost) for line in bill.lines] == [
        ("1,000", "", ""),
        ("10", "", ""),
    ]
    assert dollars(bill.total) == Decimal(entry.cost_nanos or 0) / 10**9


def test_an_unpriced_call_says_why_and_what_to_do(running: RunningConsole) -> None:
    entry = running.entry_of(
        "member",
        cost_nanos=None,
        list_cost_nanos=None,
        basis=Basis.UNPRICED,
        unpriced_reason="unknown_model",
        provider="lab",
        model_served="ours-7b",
    )
    running.load(entry)
    page = show(running, entry.call_id)
    (bill,) = page.bills
    assert bill.total == page.cost == "—"
    assert "ours-7b at lab" in bill.why
    assert "tollkeeper.yaml" in bill.what
    assert not bill.outdated


def test_attempts_parts_and_corrections_stand_together(running: RunningConsole) -> None:
    call_id = new_id()
    began_us = NOW - 60_000_000
    failed = running.entry_of(
        "member",
        entry_id=call_id,
        call_id=call_id,
        started_at_us=began_us,
        outcome=Outcome.UPSTREAM_ERROR,
        status=529,
        error_code="overloaded_error",
        cost_nanos=0,
        list_cost_nanos=0,
        basis=Basis.FREE,
        input_tokens=0,
        output_tokens=0,
        duration_ms=600,
        ttft_ms=None,
        usage_raw="",
    )
    good = running.entry_of(
        "member", call_id=call_id, attempt=2, started_at_us=began_us + 1_000_000, duration_ms=1_000
    )
    extra = good._replace(entry_id=f"{good.entry_id}.1", part=1, model_served="helper-model")
    correction = good._replace(
        entry_id=new_id(), corrects=good.entry_id, source="correction", cost_nanos=-8_000
    )
    running.load(failed, good, extra, correction)
    page = show(running, call_id)
    assert [bill.heading for bill in page.bills] == [
        "Attempt 1: openai · gpt-4.1-2025-04-14",
        "Attempt 2: openai · gpt-4.1-2025-04-14",
        "Attempt 2, further model: openai · helper-model",
        "Correction",
    ]
    assert page.bills[-1].total == "-$0.000008"
    assert dollars(page.cost) == Decimal("0.000408")
    assert [each.number for each in page.attempts] == [1, 2]
    assert page.attempts[0].why == "openai answered with 529 overloaded error. It cost nothing."
    assert page.took == "2.00 s"
    assert page.first == "1.04 s"
    assert 'class="failed" x="294"' in page.attempts[0].picture  # it failed at 0.6 of 2 seconds
    assert 'class="waits" x="500"' in page.attempts[1].picture
    assert page.outcome.name == "OK"


def test_a_call_that_was_priced_again_shows_both_prices_in_order(running: RunningConsole) -> None:
    entry = settled(running, {"input": 1_000_000})
    assert entry.cost_nanos is not None
    part = Part("m", {}, "measured", 5_000_000_000, 5_000_000_000, 0, "", entry.price_key)
    back, anew = correction(Booking(entry, entry), part, "book-2", NOW)
    later = part._replace(cost_nanos=7_000_000_000, list_cost_nanos=7_000_000_000)
    running.load(back, anew, *correction(Booking(entry, anew), later, "book-3", NOW))
    page = show(running, entry.call_id)
    assert dollars(page.cost) == 7
    first, second, third = page.bills
    assert (first.replaced, second.replaced, third.replaced) == (
        "Correction 1 below takes its place.",
        "Correction 2 below takes its place.",
        "",
    )
    assert dollars(first.total) == Decimal(entry.cost_nanos).scaleb(-9)
    assert "the price book says otherwise now. It was " in second.correction
    assert "price book book-2, it is $7" in third.correction
    assert sum(int(fact.text.split(" ")[0].replace(",", "")) for fact in page.tokens) == 1_000_000
    (row,) = [
        row
        for row in running.get("/calls?format=json", running.session("admin")).json()["calls"]
        if row["call_id"] == entry.call_id
    ]
    assert (row["cost_usd"], row["corrections"]) == ("7.000000000", 2)


def test_facts_lead_to_calls_that_share_them(running: RunningConsole) -> None:
    entry = settled(running, {"input": 5, "output": 5}, tags={"feature": 'a "b", c'})
    page = show(running, entry.call_id)
    for fact in (*page.facts, *page.tags):
        if fact.href:
            reply = running.get(fact.href + "&format=json", running.sign_in("admin"))
            found = [each["call_id"] for each in reply.json()["calls"]]
            assert entry.call_id in found, fact
    assert {fact.name for fact in page.facts} >= {"Person", "Team", "Key", "Tool", "Asked for"}
    assert parse_qs(urlsplit(page.day_href).query)["from"] == ["2026-09-21"]


def test_links_of_an_old_call_stay_on_its_day(running: RunningConsole) -> None:
    entry = running.entry_of("member", started_at_us=NOW - 60 * DAY)
    running.load(entry)
    page = show(running, entry.call_id)
    query = parse_qs(urlsplit(next(fact.href for fact in page.facts if fact.href)).query)
    assert query["from"] == query["to"] == ["2026-07-23"]


def test_somebody_elses_call_looks_like_none(running: RunningConsole) -> None:
    entry = settled(running, {"input": 5, "output": 5})
    show(running, entry.call_id, "member")
    for who in ("other member", "other lead"):
        with pytest.raises(LookupError, match="no such call"):
            show(running, entry.call_id, who)
    with pytest.raises(LookupError, match="no such call"):
        show(running, new_id())


def test_a_call_of_a_subscription_says_why_it_cost_nothing(running: RunningConsole) -> None:
    """In the list of calls, beside its $0; a call that is free for another reason does not."""
    for basis in (Basis.FLAT_RATE, Basis.FREE):
        entry = running.entry_of("member", basis=basis, cost_nanos=0)
        running.load(entry)
        address = f"/calls?filter=basis:{basis.value}"
        row = running.get(address, running.session("admin")).text.partition(entry.entry_id)[2]
        cell = row.partition('class="num cost"')[2].partition("</td>")[0]
        assert "$0.00" in cell
        assert ("flat rate" in cell) == (basis is Basis.FLAT_RATE)
