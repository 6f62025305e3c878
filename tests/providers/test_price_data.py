"""The price book that is shipped: made from its source, and right where the source is not."""

from __future__ import annotations

import json
from collections import Counter
from importlib.metadata import distribution
from pathlib import Path

import msgspec
import pytest

from tollkeeper.domain.price_data import EVIDENCE
from tollkeeper.domain.price_history import Release, with_release
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.rate_card import instant_us
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.genai_rows import provider_rows
from tollkeeper.providers.genai_source import checked, read_python
from tollkeeper.providers.price_data import (
    ARCHIVE,
    OTHER_NAMES,
    book_of,
    price_book_version,
    shipped_price_book,
)
from tollkeeper.providers.price_text import book_rows, book_text
from tollkeeper.providers.price_versions import packed, parts_of, unpacked, version_files

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "src" / "tollkeeper" / "prices"
NOW_US = instant_us("2026-11-12T12:00")
MILLION = 1_000_000
USD = 10**9


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return shipped_price_book()


def test_the_newest_release_adds_nothing_that_the_book_does_not_say() -> None:
    text = (FOLDER / "book.jsonl").read_bytes()
    package = distribution("genai-prices")
    data = Path(str(package.locate_file("genai_prices/data.py"))).read_bytes()
    rows, unread = provider_rows(checked(read_python(data)).providers)
    head = json.loads(text.partition(b"\n")[0])
    assert head["source"] == f"genai-prices {package.version}"
    again = with_release(book_rows(text), Release(head["source"], head["released"], rows))
    assert book_text(head["source"], head["released"], again) == text
    assert not unread


def test_every_version_that_was_ever_shipped_is_there_and_unchanged() -> None:
    for name, path in version_files(ARCHIVE):
        parts = unpacked(path)
        assert parts.version == name
        assert packed(parts) == path.read_bytes()
        found = price_book_version(name)
        assert found is not None
        assert found.version == name
    first = price_book_version("genai-prices-0.2.3+1cdc8a783c72+own.06bf5834")
    assert first is not None
    assert first.version == "genai-prices-0.2.3+1cdc8a783c72"


def test_every_provider_and_model_can_be_priced(book: PriceBook) -> None:
    models = 0
    for provider in book.providers():
        for model in book.models(provider):
            priced = book.price(provider, model, Usage(), NOW_US)
            assert priced.nanos is not None, (provider, model, priced)
            assert book.show(provider, model, NOW_US) is not None
            models += 1
    assert models > 2_300
    assert set(OTHER_NAMES.values()) <= set(book.providers())


def test_every_correction_has_a_reason_and_a_source() -> None:
    rows = [json.loads(line) for line in (FOLDER / "overlay.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        assert len(row["reason"]) > 10, row
        assert row["source"].startswith(("https://", "recorded replies")), row


def test_no_correction_claims_to_have_been_checked_that_was_not() -> None:
    """What was looked at stands there with its day; where nothing was, there is no day."""
    rows = [json.loads(line) for line in (FOLDER / "overlay.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        assert row["evidence"] in EVIDENCE, row
        if row["evidence"] in {"notes", "none"}:
            assert "seen" not in row, row
            assert "checked" not in row, row
        else:
            assert len(row["seen"]) > 10, row
            assert row["checked"] >= "2026-11-01", row
        if row["evidence"] == "none":
            assert not {"usd", "prices", "past", "adds", "variants", "geo"} & set(row), row


def test_the_document_counts_what_the_corrections_rest_on() -> None:
    rows = [json.loads(line) for line in (FOLDER / "overlay.jsonl").read_text("utf-8").splitlines()]
    count = Counter(row["evidence"] for row in rows)
    said = (
        f"Of {len(rows)} rows {count['page']} rest on a page, {count['list']} on a list, "
        f"{count['replies']} on replies, {count['text']} on a text, {count['notes']} on notes, "
        f"and {count['none']} have nothing to look up."
    )
    document = Path(__file__).resolve().parents[2] / "docs" / "accuracy.md"
    assert said in " ".join(document.read_text("utf-8").split())


HEAD = b'{"source":"x 1","released":"2026-11-20"}\n'
COMPILED = HEAD + b'{"provider":"p","name":"P"}\n{"model":"m","prices":[{"usd":{"input":"1"}}]}\n'


def _book(compiled: bytes, overlay: bytes = b"", gaps: bytes = b"") -> PriceBook:
    return book_of(parts_of((compiled, gaps, overlay)))


def test_the_version_changes_with_the_prices_and_with_the_corrections() -> None:
    correction = (
        b'{"provider":"p","models":["m"],"usd":{"input":"2"},'
        b'"reason":"r","source":"s","checked":"2026-11-20"}\n'
    )
    plain = _book(COMPILED)
    assert plain.version.startswith("x-1+")
    assert plain.price("p", "m", Usage({"input": 1}), 0).nanos == 1_000
    corrected = _book(COMPILED, correction)
    assert corrected.price("p", "m", Usage({"input": 1}), 0).nanos == 2_000
    others = {_book(COMPILED + b"\n").version, _book(COMPILED, gaps=b"\n").version}
    assert len({plain.version, corrected.version, *others}) == 4
    assert _book(COMPILED).version == plain.version
    assert shipped_price_book().version == shipped_price_book().version


def test_a_damaged_file_is_refused() -> None:
    with pytest.raises(ValueError, match="first line"):
        _book(b'{"provider":"p","name":"P"}\n')
    with pytest.raises(msgspec.ValidationError):
        _book(HEAD + b'{"provider":1}\n')
    with pytest.raises(msgspec.DecodeError):
        _book(HEAD + b'{"provider":"p","name":"P"}\n', b"{]\n")
    late = _book(HEAD + b'{"provider":"p","name":"P"}\n{"model":7}\n')
    with pytest.raises(msgspec.ValidationError):
        late.models("p")


def _nanos(
    book: PriceBook,
    model: str,
    quantities: dict[str, int],
    when: str = "2026-11-12T12:00",
    **served: str,
) -> int | None:
    provider, _, name = model.partition("/")
    usage = Usage(quantities, **served)  # type: ignore[arg-type]
    return book.price(provider, name, usage, instant_us(when)).nanos


# What naive use of the source bills wrongly: docs/accuracy.md, "Where the source is wrong".


def test_anthropic_batch_is_known_from_the_reply_itself(book: PriceBook) -> None:
    cost = _nanos(book, "anthropic/claude-sonnet-4-6", {"input": MILLION}, tier="batch")
    assert cost == 1.5 * USD


def test_anthropic_inference_in_the_us_costs_a_tenth_more(book: PriceBook) -> None:
    used = {"input": MILLION, "web_searches": 1}
    assert _nanos(book, "anthropic/claude-sonnet-4-6", used, geo="us") == 3.3 * USD + 10_000_000
    assert _nanos(book, "anthropic/claude-sonnet-4-6", used, geo="global") == 3 * USD + 10_000_000
    assert _nanos(book, "anthropic/claude-haiku-4-5", {"input": 1}, geo="us") is None


def test_anthropic_fast_mode(book: PriceBook) -> None:
    used = {"input": MILLION, "cache_read": MILLION, "output": MILLION}
    assert _nanos(book, "anthropic/claude-opus-5-5", used, speed="fast") == (8 + 0.4 + 40) * USD
    assert _nanos(book, "anthropic/claude-opus-5-5", used, speed="standard") == 24.2 * USD
    assert _nanos(book, "anthropic/claude-sonnet-5", {"input": 1}, speed="fast") is None


def test_an_hour_in_the_cache_costs_twice_the_input(book: PriceBook) -> None:
    used = {"cache_write": MILLION, "cache_write_1h": MILLION}
    assert _nanos(book, "anthropic/claude-haiku-4-5", used) == (1.25 + 2) * USD


def test_a_tier_that_nobody_prices_is_not_the_standard_one(book: PriceBook) -> None:
    priced = book.price("openai", "gpt-4.1", Usage({"input": 1}, tier="scale"), NOW_US)
    assert priced == (None, "unknown_tier:scale", "openai/gpt-4.1 rule=exact tier=scale")


def test_gemini_flex_is_half_the_price(book: PriceBook) -> None:
    for tier in ("flex", "ON_DEMAND_FLEX"):
        assert _nanos(book, "google/gemini-3.8-flash", {"input": MILLION}, tier=tier) == 0.375 * USD
    assert (
        _nanos(book, "google/gemini-3.8-flash", {"input": MILLION}, tier="standard") == 0.75 * USD
    )
    assert (
        _nanos(book, "google/gemini-3.8-flash", {"output": MILLION}, tier="priority") == 6.75 * USD
    )
    after = _nanos(book, "google/gemini-3.8-flash", {"input": MILLION}, "2027-01-02", tier="flex")
    assert after == 0.75 * USD


def test_provisioned_throughput_has_no_price_by_the_token(book: PriceBook) -> None:
    used = {"input": MILLION}
    assert _nanos(book, "google/gemini-2.5-pro", used, tier="PROVISIONED_THROUGHPUT") is None


def test_batch_was_half_the_price_before_the_source_looked(book: PriceBook) -> None:
    for when in ("2025-03-01", "2026-10-13", "2026-10-14", "2026-11-12"):
        cost = _nanos(book, "openai/gpt-4.1", {"input": MILLION}, when, tier="batch")
        assert cost == 1 * USD, when
    # Where the ordinary price was another one then, batch was half of that.
    sol = "openai/gpt-5.6-sol"
    assert _nanos(book, sol, {"input": MILLION}, "2026-08-20", tier="batch") == 5 * USD  # long
    assert _nanos(book, sol, {"input": 100}, "2026-08-20", tier="batch") == 250_000
    assert _nanos(book, sol, {"input": 100}, "2026-08-21", tier="batch") == 200_000
    priority = _nanos(book, "openai/gpt-4.1", {"input": MILLION}, "2026-01-01", tier="priority")
    assert priority == 3.5 * USD


def test_audio_tokens_of_audio_models(book: PriceBook) -> None:
    used = {"input": 20, "input_audio": 44, "output": 9}
    assert _nanos(book, "openai/gpt-4o-audio-preview-2024-12-17", used) == 1_900_000  # $0.0019
    assert _nanos(book, "openai/gpt-4o-mini-audio-preview", {"output_audio": MILLION}) == 20 * USD
    assert _nanos(book, "openai/gpt-4o-transcribe", {"input_audio": MILLION}) == 2.5 * USD
    assert _nanos(book, "openai/gpt-4o-mini-transcribe", {"input_audio": MILLION}) == 1.25 * USD
    assert _nanos(book, "openai/gpt-4o-mini-tts", {"output_audio": MILLION}) == 12 * USD
    assert _nanos(book, "openai/gpt-4.1", {"input_audio": 1}) is None


def test_whisper_is_billed_by_the_second(book: PriceBook) -> None:
    assert _nanos(book, "openai/whisper-1", {"audio_ms": 7_000}) == 700_000  # $0.006 a minute


def test_search_fees_depend_on_the_tool(book: PriceBook) -> None:
    assert _nanos(book, "openai/gpt-4.1", {"web_searches": 3}) == 30_000_000
    assert _nanos(book, "openai/gpt-4.1", {"web_searches_preview": 3}) == 75_000_000
    assert _nanos(book, "openai/gpt-5", {"web_searches_preview": 3}) == 30_000_000
    assert _nanos(book, "azure/gpt-5.5", {"web_searches": 1}) == 14_000_000
    assert _nanos(book, "openai/gpt-4o-search-preview", {}) == 25_000_000
    assert _nanos(book, "openai/gpt-4o-mini-search-preview-2025-03-11", {}) == 25_000_000
    assert _nanos(book, "openai/gpt-3.5-turbo", {"web_searches": 1}) is None
    assert _nanos(book, "google/claude-sonnet-4-5", {"web_searches": 1}) == 10_000_000


def test_pictures_cost_their_own_rate(book: PriceBook) -> None:
    used = {"input": 43, "input_image": 388, "output": 308, "output_image": 1056}
    nanos = 43 * 5_000 + 388 * 8_000 + 308 * 10_000 + 1056 * 32_000
    assert _nanos(book, "openai/gpt-image-1.5", used) == nanos
    assert _nanos(book, "openai/gpt-image-1", {"output_image": MILLION}) == 40 * USD
    assert _nanos(book, "openai/gpt-image-1", {"output_image": MILLION}, tier="batch") == 20 * USD
    assert _nanos(book, "openai/dall-e-3", {"images": 1}) is None


def test_long_prompts_to_openai(book: PriceBook) -> None:
    assert _nanos(book, "openai/gpt-5.5", {"input": 272_000}) == 1.36 * USD
    assert _nanos(book, "openai/gpt-5.5", {"input": 272_001}) == 272_001 * 10_000
    mixed = {"input": 2_001, "cache_read": 270_000, "output": 10}
    assert _nanos(book, "openai/gpt-5.5", mixed) == 2_001 * 10_000 + 270_000 * 1_000 + 10 * 45_000


def test_cache_writes_of_models_before_gpt_5_6_cost_what_input_costs(book: PriceBook) -> None:
    assert _nanos(book, "openai/gpt-4.1", {"cache_write": MILLION}) == 2 * USD
    assert _nanos(book, "openai/gpt-6-sol", {"cache_write": MILLION}) == 5 * USD  # long, x 1.25
    assert _nanos(book, "openai/gpt-5-pro", {"cache_read": MILLION}) == 15 * USD


def test_gemini_kinds_share_the_one_rate_unless_they_have_their_own(book: PriceBook) -> None:
    assert _nanos(book, "google/gemini-2.5-flash", {"input_audio": MILLION}) == 1 * USD
    assert _nanos(book, "google/gemini-2.5-flash", {"cache_read_audio": MILLION}) == 0.1 * USD
    assert _nanos(book, "google/gemini-2.5-flash", {"cache_read_video": MILLION}) == 0.03 * USD
    assert _nanos(book, "google/gemini-3.5-flash", {"input_audio": MILLION}) == 1.5 * USD
    assert (
        _nanos(book, "google/gemini-2.5-flash-preview-tts", {"output_audio": MILLION}) == 10 * USD
    )
    assert _nanos(book, "google/gemini-2.5-flash", {"output_image": 1}) is None


def test_models_that_reply_under_another_name(book: PriceBook) -> None:
    old = {"input": MILLION}
    assert _nanos(book, "openai/davinci:2023-07-21-v2", old) == 2 * USD  # not davinci, at 20
    assert _nanos(book, "openai/babbage:2023-07-21-v2", old) == 0.4 * USD
    assert _nanos(book, "google/gemini-1.5-flash-8b", {"input": 1_000_000}) == 0.075 * USD  # long
    assert _nanos(book, "anthropic/claude-mythos-5-1", old) == 10 * USD


@pytest.mark.parametrize(
    ("model", "owner"),
    [
        ("gpt-4o", "openai"),
        ("o3", "openai"),
        ("text-embedding-3-small", "openai"),
        ("claude-sonnet-4-5-20250929", "anthropic"),
        ("claude-opus-9", "anthropic"),
        ("gemini-2.5-pro", "google"),
        ("gemini-9-ultra", "google"),
        ("mistral-large-latest", "mistral"),
        ("deepseek-chat", "deepseek"),
        ("grok-4", "x-ai"),
        ("kimi-k2-0905-preview", "moonshotai"),
        ("command-r-plus", "cohere"),
        ("llama-3.1-8b-instant", "groq"),
        ("sonar-pro", "perplexity"),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "together"),
        ("no-such-model", ""),
    ],
)
def test_who_owns_a_bare_name(book: PriceBook, model: str, owner: str) -> None:
    assert book.owner_of(model) == owner
