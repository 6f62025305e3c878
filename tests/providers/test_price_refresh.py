"""Fetching newer prices: what is read, what is refused, what is compared, what is in force then."""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from tollkeeper.domain.price_diff import PriceChange, diff
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.rate_card import instant_us
from tollkeeper.domain.usage import Usage
from tollkeeper.ports import DataFolder
from tollkeeper.providers import genai_source
from tollkeeper.providers.genai_source import Source
from tollkeeper.providers.price_data import (
    fetched_folder,
    fetched_mark,
    known_versions,
    newest_price_book,
    price_book_version,
    shipped_price_book,
)
from tollkeeper.providers.price_refresh import (
    PricesUnusable,
    Refresh,
    prepare,
    put_in_force,
)
from tollkeeper.providers.price_versions import parts_of

NOW_US = instant_us("2026-12-01T10:00:00Z")
MILLION = 1_000_000
DATA = Path(str(distribution("genai-prices").locate_file("genai_prices/data.py"))).read_bytes()


def say_nothing(what: str) -> None:
    pass


@pytest.fixture(scope="module")
def release() -> Source:
    """The pinned release, as it is."""
    return genai_source.checked(genai_source.read_python(DATA))


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


def changed(release: Source, provider: str, **models: Any) -> Source:
    """Give the release with other prices for some models; None takes a model away."""
    providers = []
    for row in release.providers:
        if row["id"] == provider:
            kept = [
                {**model, **(models.get(_word(model["id"])) or {})}
                for model in row["models"]
                if models.get(_word(model["id"]), {}) is not None
            ]
            row = {**row, "models": kept}
        providers.append(row)
    return genai_source.checked(providers)


def _word(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")


def priced(**prices: str) -> dict[str, Any]:
    return {"prices": {name: Decimal(price) for name, price in prices.items()}}


def made(source: Source, data: DataFolder) -> Refresh:
    return prepare(source, data, NOW_US, say_nothing)


def cost(book: PriceBook, at: str = "2026-12-02") -> int | None:
    return book.price("openai", "gpt-4.1", Usage({"input": MILLION}), instant_us(at)).nanos


GPT_41 = priced(input_mtok="2.5", cache_read_mtok="0.5", output_mtok="8")


@pytest.fixture(scope="module")
def dearer(release: Source, tmp_path_factory: pytest.TempPathFactory) -> Refresh:
    """A release in which one model costs a quarter more."""
    folder = DataFolder(tmp_path_factory.mktemp("data"))
    return made(changed(release, "openai", gpt_4_1=GPT_41), folder)


def test_the_same_release_is_no_news(release: Source, data: DataFolder) -> None:
    refresh = made(release, data)
    assert not refresh.is_news
    assert refresh.doubts == []


def test_a_newer_release_is_in_force_and_the_past_stays(dearer: Refresh, data: DataFolder) -> None:
    before = newest_price_book(data).book
    refresh = dearer
    assert price_book_version(refresh.parts.version, data) is None
    assert refresh.basis == before.version
    found = {(it.model, it.cell): (it.old, it.new, it.factor) for it in refresh.diff.changed}
    assert found["gpt-4.1", "input"] == ("2", "2.5", "1.25")
    assert newest_price_book(data).book.version == before.version  # nothing is written yet
    put_in_force(refresh, data)
    after = newest_price_book(data)
    assert (after.fault, after.book.version) == ("", refresh.parts.version)
    assert cost(after.book) == 2_500_000_000
    assert cost(after.book, "2026-11-30") == 2_000_000_000  # as it was priced on that day
    # Both versions can be had, and neither has changed.
    old = price_book_version(before.version, data)
    new = price_book_version(f"{after.book.version}+own.1a2b3c4d", data)
    assert old is not None
    assert new is not None
    assert (cost(old), cost(new)) == (2_000_000_000, 2_500_000_000)
    assert price_book_version("genai-prices-9+000000000000", data) is None
    listed = known_versions(data)
    assert [it.version for it in listed if it.in_force] == [after.book.version]
    assert {it.place for it in listed} == {"archive", "shipped", "fetched"}
    put_in_force(refresh, data)  # again: nothing is written twice
    assert len(list(fetched_folder(data).glob("*.json.gz"))) == 1
    assert (fetched_folder(data).stat().st_mode & 0o077) == 0


def test_what_looks_wrong_is_a_doubt(release: Source, data: DataFolder) -> None:
    dear = priced(input_mtok="20", output_mtok="8", cache_read_mtok="0.5")
    refresh = made(changed(release, "openai", gpt_4_1=dear), data)
    assert any("more than threefold" in it for it in refresh.doubts)
    free = priced(input_mtok="0", output_mtok="8", cache_read_mtok="0.5")
    assert any(
        "to or from 0" in it for it in made(changed(release, "openai", gpt_4_1=free), data).doubts
    )
    gone = made(changed(release, "anthropic", claude_sonnet_4_5=None), data)
    assert gone.diff.vanished == [("anthropic", "claude-sonnet-4-5")]
    assert any("no longer listed; they keep" in it for it in gone.doubts)
    put_in_force(gone, data)
    book = newest_price_book(data).book
    used = Usage({"input": MILLION})
    assert book.price("anthropic", "claude-sonnet-4-5", used, NOW_US).nanos == 6_000_000_000  # long
    shown = book.show("anthropic", "claude-sonnet-4-5", NOW_US)
    assert shown is not None
    assert shown.gone == "2026-12-01"
    new_key = priced(input_mtok="2", output_mtok="8", input_smell_mtok="1")
    unread = made(changed(release, "openai", gpt_4_1=new_key), data)
    assert any("not known here: input_smell_mtok" in it for it in unread.doubts)


def test_corrections_that_no_longer_apply_are_left_out(release: Source, data: DataFolder) -> None:
    renamed = {"id": "gpt-4o-transcribe-2"}
    refresh = made(changed(release, "openai", gpt_4o_transcribe=renamed), data)
    assert any("gpt-4o-transcribe" in it and "no longer apply" in it for it in refresh.doubts) or (
        ("openai", "gpt-4o-transcribe") in refresh.diff.vanished
    )
    put_in_force(refresh, data)
    assert newest_price_book(data).fault == ""


def test_an_older_release_is_refused(release: Source, data: DataFolder) -> None:
    with pytest.raises(PricesUnusable, match="older than"):
        made(release._replace(release="0.0.9"), data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-200]),
        lambda path: path.write_bytes(path.read_bytes()[:5_000] + b"x" + path.read_bytes()[5_001:]),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: fetched_mark(DataFolder(path.parent.parent)).write_bytes(b"\xff../../x\n"),
    ],
)
def test_a_damaged_book_is_not_used_and_said(
    dearer: Refresh, data: DataFolder, damage: Any
) -> None:
    put_in_force(dearer, data)
    (path,) = fetched_folder(data).glob("*.json.gz")
    damage(path)
    newest = newest_price_book(data)
    assert newest.book.version == shipped_price_book().version
    assert newest.fault.startswith("the fetched price book cannot be used: ")
    assert all(it.version for it in known_versions(data))


def test_a_newer_shipped_book_is_used_again(dearer: Refresh, data: DataFolder) -> None:
    texts = dearer.parts.texts
    early = parts_of((texts[0].replace(b"2026-12-01T10", b"2026-11-01T10", 1), *texts[1:]))
    put_in_force(dearer._replace(parts=early), data)
    assert newest_price_book(data).book.version == shipped_price_book().version


def test_a_release_that_contradicts_itself_is_refused(release: Source, data: DataFolder) -> None:
    twice = release._replace(providers=[*release.providers, release.providers[0]])
    with pytest.raises(PricesUnusable, match="listed twice"):
        made(twice, data)


def test_large_changes() -> None:
    def is_large(old: str | None, new: str | None) -> bool:
        return PriceChange("p", "m", "input", old, new, None).is_large()

    assert not is_large("1", "3")
    assert is_large("1", "3.01")
    assert not is_large("3", "1")
    assert is_large("3.01", "1")
    assert is_large("0", "1")
    assert is_large("1", "0")
    assert is_large("1", None)
    assert not is_large(None, "1")


def test_a_price_that_is_to_come_shows_in_the_diff() -> None:
    def row(*prices: Any) -> Any:
        return {"provider": "p", "name": "P", "models": [{"model": "m", "prices": list(prices)}]}

    now = {"usd": {"input": "1"}}
    later = {"since": "2027-01-01", "usd": {"input": "2"}}
    found = diff([row(now)], [row(now, later)], NOW_US)
    assert [(it.cell, it.old, it.new) for it in found.changed] == [
        ("from 2027-01-01 input", None, "2")
    ]
    assert not diff([row(now, later)], [row(now, later)], NOW_US).changed
