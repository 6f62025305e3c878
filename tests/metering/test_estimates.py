"""Estimates against recorded replies whose usage was taken out: the error that is published."""

from __future__ import annotations

from pathlib import Path

import pytest

from accuracy_lines import lines_of
from estimate_errors import Estimate, all_are_marked, estimates_of, table_of_errors, typical
from tollkeeper.providers.price_data import shipped_price_book

pytestmark = pytest.mark.slow
OUTPUT_ERROR_MAX = 0.04
INPUT_ERROR_MAX = 0.03
REASONING_ERROR_MAX = 0.2
"""What was reached, rounded up; 5 % is what had to be."""


@pytest.fixture(scope="module")
def estimates(shared: Path) -> list[Estimate]:
    book = shipped_price_book()
    lines = list(lines_of(shared, book, lambda: None))
    return estimates_of(lines, book, lambda: None)


def _streams(estimates: list[Estimate], *, held_out: bool = False) -> list[Estimate]:
    return [one for one in estimates if one.record.streamed and (one.held_out or not held_out)]


@pytest.mark.parametrize("held_out", [False, True])
def test_half_of_all_streams_are_within_5_percent(
    estimates: list[Estimate], held_out: bool
) -> None:
    streams = _streams(estimates, held_out=held_out)
    assert len(streams) > (500 if held_out else 1_000)
    assert typical(one.error_out for one in streams) <= OUTPUT_ERROR_MAX
    assert typical(one.error_in for one in streams) <= INPUT_ERROR_MAX


def test_so_they_are_for_a_gateway_that_has_learned_nothing(estimates: list[Estimate]) -> None:
    streams = _streams(estimates)
    assert typical(one.unlearned_error_out for one in streams) <= OUTPUT_ERROR_MAX
    assert typical(one.unlearned_error_in for one in streams) <= INPUT_ERROR_MAX


def test_what_is_told_of_reasoning_is_used(estimates: list[Estimate]) -> None:
    streams = _streams(estimates)
    assert typical(one.error_out for one in streams if one.thought) <= REASONING_ERROR_MAX
    assert typical(one.error_out for one in streams if not one.thought) <= INPUT_ERROR_MAX


def test_gemini_is_counted_as_its_vocabulary_does(estimates: list[Estimate]) -> None:
    own = [one for one in _streams(estimates) if one.record.reader == "gemini"]
    assert typical(one.error_in for one in own if not one.unseen) <= INPUT_ERROR_MAX
    assert typical(one.error_out for one in own if not one.thought) <= 0.08


def test_openai_is_counted_exactly_as_a_rule(estimates: list[Estimate]) -> None:
    own = [one for one in estimates if one.record.kind == "openai" and not one.thought]
    assert typical(one.error_out for one in own) == 0
    plain = [one for one in own if one.record.reader == "openai_chat" and not one.unseen]
    assert typical(one.error_in for one in plain) <= 0.02


def test_no_estimate_is_shown_as_measured(estimates: list[Estimate]) -> None:
    assert len(estimates) > 5_000
    assert all_are_marked(estimates)


def test_the_table_names_every_kind_of_call(estimates: list[Estimate]) -> None:
    table = table_of_errors(estimates)
    for reader in ("openai_chat", "openai_responses", "anthropic_messages", "gemini"):
        assert table.count(f"| {reader} |") == 2
