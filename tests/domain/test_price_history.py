"""How a book grows with each release of its source, and what becomes of what it said before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tollkeeper.domain.price_data import PriceRow, ProviderRow
from tollkeeper.domain.price_history import Release, with_release

EARLY, LATER, LAST = "2026-01-10T12:00:00Z", "2026-05-10T12:00:00Z", "2026-09-10T12:00:00Z"


def provider(*rows: PriceRow, model: str = "m", name: str = "p", **more: Any) -> ProviderRow:
    return {"provider": name, "name": name, "models": [{"model": model, "prices": rows, **more}]}


def grown(*releases: tuple[str, ProviderRow], witness: Any = None) -> list[ProviderRow]:
    book: list[ProviderRow] = []
    for number, (seen, row) in enumerate(releases):
        book = with_release(book, Release(f"r{number}", seen, [row]), witness)
    return book


def prices(book: list[ProviderRow], model: str = "m") -> list[tuple[str, dict[str, str]]]:
    (row,) = [it for it in book[0]["models"] if it["model"] == model]
    return [(it.get("since", ""), dict(it["usd"])) for it in row["prices"]]


class Saw:
    """A witness who saw one price of input, at any time."""

    def __init__(self, price: str) -> None:
        self.price = Decimal(price)

    def says(self, provider: str, model: str, quantity: str, before_us: int) -> Decimal | None:
        return self.price if quantity == "input" else None


def test_a_change_without_a_stated_day_holds_from_when_it_was_seen() -> None:
    book = grown(
        (EARLY, provider({"usd": {"input": "2"}})), (LATER, provider({"usd": {"input": "5"}}))
    )
    assert prices(book) == [("", {"input": "2"}), (LATER, {"input": "5"})]
    assert book[0]["models"][0]["prices"][1]["said_by"] == "r1"
    again = with_release(book, Release("r2", LAST, [provider({"usd": {"input": "5"}})]))
    assert prices(again) == prices(book)


def test_a_stated_day_beats_when_it_was_seen() -> None:
    stated = provider({"usd": {"input": "2"}}, {"since": "2026-03-01", "usd": {"input": "5"}})
    book = grown((EARLY, provider({"usd": {"input": "2"}})), (LATER, stated))
    assert prices(book) == [("", {"input": "2"}), ("2026-03-01", {"input": "5"})]
    # The day is stated later than the change was seen: it still is the day.
    seen_first = grown(
        (EARLY, provider({"usd": {"input": "2"}})),
        (LATER, provider({"usd": {"input": "5"}})),
        (LAST, stated),
    )
    assert prices(seen_first) == prices(book)


def test_what_a_release_states_of_the_past_corrects_the_past() -> None:
    stated = provider({"usd": {"input": "3"}}, {"since": "2026-03-01", "usd": {"input": "5"}})
    releases = (EARLY, provider({"usd": {"input": "2"}})), (LATER, stated)
    assert prices(grown(*releases)) == [("", {"input": "3"}), ("2026-03-01", {"input": "5"})]
    witnessed = grown(*releases, witness=Saw("2"))  # the earlier one was right on its day
    assert prices(witnessed) == [("", {"input": "2"}), ("2026-03-01", {"input": "5"})]


def test_a_price_that_is_to_come_says_nothing_of_the_past() -> None:
    promised = provider({"usd": {"input": "2"}}, {"since": "2027-01-01", "usd": {"input": "5"}})
    book = grown((EARLY, provider({"usd": {"input": "5"}})), (LATER, promised))
    assert prices(book) == [
        ("", {"input": "5"}),
        (LATER, {"input": "2"}),
        ("2027-01-01", {"input": "5"}),
    ]
    again = with_release(book, Release("r2", LAST, [promised]))
    assert prices(again) == prices(book)
    cancelled = with_release(book, Release("r2", LAST, [provider({"usd": {"input": "2"}})]))
    assert prices(cancelled) == prices(book)[:2]


def test_stated_history_that_a_later_release_drops_is_kept() -> None:
    stated = provider({"usd": {"input": "2"}}, {"since": "2026-01-01", "usd": {"input": "5"}})
    book = grown((EARLY, stated), (LATER, provider({"usd": {"input": "5"}})))
    assert prices(book) == [("", {"input": "2"}), ("2026-01-01", {"input": "5"})]


def test_slips_were_never_the_price() -> None:
    def then(earlier: str, later: str, witness: Any = None) -> int:
        first, second = (provider({"usd": {"input": it}}) for it in (earlier, later))
        return len(prices(grown((EARLY, first), (LATER, second), witness=witness)))

    assert then("0.041666", "0.0416666666667") == 1  # rounding
    assert then("55.1", "5.51") == 1  # a power of ten
    assert then("2", "5") == 2
    assert then("2", "5", Saw("5")) == 1  # somebody had the later one before
    assert then("55.1", "5.51", Saw("55.1")) == 2  # somebody saw the earlier one


def test_what_is_taken_back_within_days_was_a_slip() -> None:
    def there_and_back(name: str, back: str) -> int:
        steady = provider({"usd": {"input": "2"}}, name=name)
        slip = provider({"usd": {"input": "3"}}, name=name)
        return len(prices(grown((EARLY, steady), (LATER, slip), (back, steady))))

    assert there_and_back("p", "2026-05-20T00:00:00Z") == 2  # two rows of one price
    assert there_and_back("p", LAST) == 3
    assert there_and_back("openrouter", "2026-05-20T00:00:00Z") == 3  # there it was a price


def test_a_price_that_moved_to_its_own_quantity_was_listed_under_a_wrong_one() -> None:
    mixed = provider({"usd": {"output": "60"}})
    split = provider({"usd": {"output": "3", "output_image": "60"}})
    assert prices(grown((EARLY, mixed), (LATER, split))) == [
        ("", {"output": "3", "output_image": "60"})
    ]


def test_what_is_priced_for_the_first_time_cost_that_before() -> None:
    book = grown(
        (EARLY, provider({"usd": {"input": "2", "audio_ms": "1"}})),
        (LATER, provider({"usd": {"input": "5", "cache_read": "0.5"}})),
    )
    assert prices(book) == [
        ("", {"input": "2", "cache_read": "0.5"}),
        (LATER, {"input": "5", "cache_read": "0.5"}),
    ]


def test_prices_for_long_prompts_have_their_own_history() -> None:
    def at(price: str) -> ProviderRow:
        return provider({"usd": {"input": "2"}, "above": [(200_000, {"input": price})]})

    book = grown((EARLY, at("4")), (LATER, at("6")))
    rows = book[0]["models"][0]["prices"]
    assert [row["above"] for row in rows] == [
        [(200_000, {"input": "4"})],
        [(200_000, {"input": "6"})],
    ]


def test_a_model_that_is_gone_keeps_its_prices() -> None:
    one, other = provider({"usd": {"input": "2"}}), provider({"usd": {"input": "9"}}, model="n")
    book = grown((EARLY, one), (LATER, other))
    gone = next(it for it in book[0]["models"] if it["model"] == "m")
    assert gone["gone"] == LATER[:10]
    assert prices(book) == [("", {"input": "2"})]
    back = with_release(book, Release("r2", LAST, [one]))
    assert "gone" not in next(it for it in back[0]["models"] if it["model"] == "m")
    nobody = with_release(book, Release("r2", LAST, [{**one, "provider": "q"}]))
    assert {it["model"]: it.get("gone") for it in nobody[0]["models"]} == {
        "m": LATER[:10],
        "n": LAST[:10],
    }


def test_a_model_that_got_another_name_keeps_its_history() -> None:
    old = provider({"usd": {"input": "2"}}, model="m-latest")
    new = provider({"usd": {"input": "5"}}, aliases=["m-latest"])
    book = grown((EARLY, old), (LATER, new))
    assert [it["model"] for it in book[0]["models"]] == ["m"]
    assert prices(book) == [("", {"input": "2"}), (LATER, {"input": "5"})]


def test_a_model_that_is_split_off_was_priced_wrongly_before() -> None:
    both = provider({"usd": {"input": "2"}}, aliases=["n"])
    split = provider({"usd": {"input": "2"}})
    split["models"] = [*split["models"], {"model": "n", "prices": [{"usd": {"input": "5"}}]}]
    assert prices(grown((EARLY, both), (LATER, split)), "n") == [("", {"input": "5"})]


def test_windows_are_as_the_release_says() -> None:
    flat = provider({"usd": {"input": "2"}})
    hours = provider({"usd": {"input": "1"}}, {"daily": ("01:00", "04:00"), "usd": {"input": "2"}})
    assert len(prices(grown((EARLY, flat), (LATER, hours)))) == 2
    assert prices(grown((EARLY, hours), (LATER, flat))) == [("", {"input": "2"})]


def test_early_changes_of_the_source_were_it_being_put_together() -> None:
    before = "2025-07-12T00:00:00Z"
    book = grown(
        (before, provider({"usd": {"input": "2"}})),
        ("2025-07-31T00:00:00Z", provider({"usd": {"input": "5"}})),
    )
    assert prices(book) == [("", {"input": "5"})]
