"""What is learned of models: robust against odd calls, bounded, and kept over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper.domain import usage as u
from tollkeeper.services.model_habits import REPLY_TOKENS, ModelHabits


def _learned(*prompts: int, reasoning: int = 0, calls: int = 40) -> ModelHabits:
    habits = ModelHabits()
    for number in range(calls):
        prompt = prompts[number % len(prompts)]
        habits.learn("m", 100, 4_000, {u.INPUT: prompt, u.REASONING: reasoning})
    return habits


def test_nothing_is_known_of_a_model_that_was_never_called() -> None:
    habits = ModelHabits()
    assert habits.expected("m", None) == REPLY_TOKENS
    assert habits.expected("m", 9) == 9
    assert habits.bytes_per_token("m") == 0
    assert habits.hidden_tokens("m") == 0


def test_measured_calls_teach_three_things() -> None:
    habits = _learned(1_000, reasoning=64)
    assert habits.expected("m", None) == 100
    assert habits.bytes_per_token("m") == 4.0
    assert habits.hidden_tokens("m") == 64


def test_one_odd_call_changes_nothing() -> None:
    habits = ModelHabits()
    for prompt in (1_000, 1_000, 3_900, 1_000, 1_000):
        for _ in range(8):  # one of eight is looked at
            habits.learn("m", 100, 4_000, {u.INPUT: prompt})
    assert habits.bytes_per_token("m") == 4.0


def test_pictures_do_not_count_as_text() -> None:
    habits = ModelHabits()
    for _ in range(20):
        habits.learn("m", 100, 900_000, {u.INPUT: 800})
        habits.learn("m", 100, 90, {u.INPUT: 9})
    assert habits.bytes_per_token("m") == 0


def test_what_is_remembered_has_an_end(tmp_path: Path) -> None:
    habits = ModelHabits()
    for number in range(3_000):
        habits.learn(f"m{number % 1_500}", 5, 4_000, {u.INPUT: 1_000})
    habits.save(tmp_path / "habits.json")
    assert (tmp_path / "habits.json").stat().st_size < 200_000
    assert habits.expected("m999", None) == 5
    assert habits.expected("m1400", None) == REPLY_TOKENS


def test_it_is_kept_over_a_restart(tmp_path: Path) -> None:
    _learned(1_000, reasoning=64).save(tmp_path / "habits.json")
    habits = ModelHabits.load(tmp_path / "habits.json")
    assert habits.expected("m", None) == 100
    assert habits.bytes_per_token("m") == 4.0
    assert habits.hidden_tokens("m") == 64
    assert [path.name for path in tmp_path.iterdir()] == ["habits.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"m": 1}', b'{"m": {"average": "x"}}', b"\xff\xfe", b"[" * 5_000],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "habits.json").write_bytes(content)
    assert ModelHabits.load(tmp_path / "habits.json").expected("m", None) == REPLY_TOKENS
    assert ModelHabits.load(tmp_path / "none.json").expected("m", None) == REPLY_TOKENS


def test_senseless_values_in_the_file_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "habits.json").write_bytes(
        b'{"m": {"average": -5, "bytes_per_token": [-1, 0, 3.5], "hidden": [-7, 12]}}'
    )
    habits = ModelHabits.load(tmp_path / "habits.json")
    assert habits.expected("m", None) == 1
    assert habits.bytes_per_token("m") == 3.5
    assert habits.hidden_tokens("m") == 12
