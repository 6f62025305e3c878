"""Every recorded interaction of every provider: read, recounted, priced, never silently zero.

The tables of docs/accuracy.md are made of the same lines; `make accuracy` adds LiteLLM.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from accuracy_lines import Line, lines_of
from accuracy_round import replaced
from accuracy_tables import SECTIONS, by_provider, misses, references, side_by_side, summary
from litellm_side import Answer, question
from tollkeeper.domain import usage as u
from tollkeeper.providers.price_data import shipped_price_book
from whole_corpus import NO_USAGE

MISSES_SHARE_MAX = 0.005


@pytest.fixture(scope="module")
def lines(shared: Path) -> list[Line]:
    return list(lines_of(shared, shipped_price_book(), lambda: None))


def test_nearly_nothing_is_missed(lines: list[Line]) -> None:
    assert len(lines) > 6_400
    missed = {line.record.name: line.misses for line in lines if line.misses}
    assert len(missed) <= MISSES_SHARE_MAX * len(lines), missed


def test_what_is_not_read_is_no_reply_of_a_model(lines: list[Line]) -> None:
    unread = {
        (line.record.kind, line.record.api)
        for line in lines
        if line.carries_usage and not line.was_read
    }
    assert unread <= {
        *(("anthropic", "batch"), ("xai", "batch"), ("openai", "other"), ("google", "other")),
        *(("bedrock", "other"), ("other", "other"), ("xai", "other")),
    }


def test_no_cost_is_silently_zero(lines: list[Line]) -> None:
    assert [line.record.name for line in lines if line.silent_zero] == []


def test_every_unknown_cost_has_a_reason(lines: list[Line]) -> None:
    unknown = [line for line in lines if line.made.parts and line.made.nanos is None]
    assert len(unknown) > 200
    kinds = {reason.partition(":")[0] for line in unknown for reason in line.made.reasons}
    assert kinds <= {
        *("unknown_model", "unknown_dimension", "unknown_tier", "unknown_geo"),
        *("inconsistent_usage", "no_usage", "unknown_speed", "pending"),
    }


def test_quantities_are_recounted_and_costs_looked_up_nearly_everywhere(lines: list[Line]) -> None:
    recounts = Counter(line.equals_recount for line in lines)
    assert recounts[False] <= 2
    assert recounts[True] > 5_900
    costs = Counter(line.equals_reference for line in lines)
    assert costs[False] <= 5
    assert costs[True] > 5_300


def test_the_tables_say_what_the_lines_do(lines: list[Line]) -> None:
    assert f"| recorded interactions | {len(lines)} |" in summary(lines)
    table = by_provider(lines)
    places = {(line.record.row["provider"], line.record.api) for line in lines}
    assert table.count("\n") == len(places) + 3  # a head of two lines, and the sum
    assert misses([line for line in lines if not line.misses]) == "None.\n"
    assert references(lines).startswith("| reference |")


def test_litellm_is_only_held_to_what_it_could_take_in(lines: list[Line]) -> None:
    priced = next(line for line in lines if line.equals_reference and line.made.nanos)
    put = question(priced.record)
    assert put is not None
    assert put["objects"]
    usd = priced.made.nanos * 1e-9  # type: ignore[operator]
    answers = [
        Answer(usd, ""),
        Answer(usd * 2, ""),
        Answer(0.0, ""),
        Answer(None, "ModelNotMappedError: This model isn't mapped yet."),
        Answer(None, "KeyError: 'content'"),
    ]
    made = [Line(*_fields(priced), answer=answer) for answer in answers]
    text = side_by_side(made)
    assert "| **all** | 4 | 4 | 0 | 0 | 0 | 1 | 1 | 1 | 1 |" in text
    assert "1 records with a reference are left out" in text


def _fields(line: Line) -> tuple[object, ...]:
    return line.record, line.made, line.totals, line.reference, line.is_free


def test_records_without_usage_are_never_priced_as_measured_text(lines: list[Line]) -> None:
    silent = [line for line in lines if line.record.corpus == NO_USAGE and line.made.parts]
    for line in silent:
        named = {name for part in line.made.parts for name in part.quantities}
        # By the piece, or (embeddings on Bedrock) by the header.
        assert named <= {*u.UNITS, u.INPUT}, line.record.name


def test_the_page_has_a_place_for_every_section() -> None:
    page = (Path(__file__).parents[2] / "docs" / "accuracy.md").read_text("utf-8")
    for name in (*SECTIONS, "estimates", "stated", "replay"):
        assert replaced(page, name, "new\n").count("new\n") == 1


def test_a_section_is_put_between_its_marks() -> None:
    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n"
    assert replaced(page, "x", "new\n") == "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n"
    with pytest.raises(ValueError, match="no place for 'y'"):
        replaced(page, "y", "")
