"""What was learned of each model from calls that were measured, for those that will not be.

Three things, each bounded and robust against single odd calls: how long its replies usually
are, how many bytes of a request make one token of its prompts, and how much it thinks without
showing it. They are kept over a restart in a small file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from tollkeeper.domain import usage as u

REPLY_TOKENS: Final = 256
_WEIGHT: Final = 0.1
_MODELS_MAX: Final = 1_000
_CALLS_REMEMBERED: Final = 31
_LOOKED_AT: Final = 8  # one of so many calls is looked at more closely
_PROMPT_BYTES_MIN: Final = 400  # of a shorter one most is what stands around the text
_BYTES_PER_TOKEN_MAX: Final = 12  # above it most of the bytes are pictures


class _Saved(msgspec.Struct):
    """One model, as the file has it."""

    average: float
    bytes_per_token: list[float] = []
    hidden: list[int] = []


class _Habit:
    __slots__ = ("average", "bytes_per_token", "hidden", "seen", "usual_bytes_per_token")

    def __init__(self, average: float) -> None:
        self.average = average
        self.seen = 0
        self.bytes_per_token: deque[float] = deque(maxlen=_CALLS_REMEMBERED)
        self.hidden: deque[int] = deque(maxlen=_CALLS_REMEMBERED)
        self.usual_bytes_per_token: float | None = None  # until it is asked for


class ModelHabits:
    """Learns from every measured call, by the model's name; asked only for an estimate."""

    def __init__(self) -> None:
        self._habits: dict[str, _Habit] = {}

    def expected(self, model: str, output_max: int | None) -> int:
        """Guess the output tokens of the next reply; at most what the request allows."""
        habit = self._habits.get(model)
        guess = REPLY_TOKENS if habit is None else int(habit.average)
        return max(1, guess if output_max is None else min(guess, output_max))

    def bytes_per_token(self, model: str) -> float:
        """Say how many bytes of a request make a token of its prompt; 0 if nobody knows."""
        habit = self._habits.get(model)
        if habit is None:
            return 0
        usual = habit.usual_bytes_per_token
        if usual is None:
            usual = median(habit.bytes_per_token) if habit.bytes_per_token else 0
            habit.usual_bytes_per_token = usual
        return usual

    def hidden_tokens(self, model: str) -> int:
        """Guess the tokens of reasoning in a reply of a model, which its text does not show."""
        habit = self._habits.get(model)
        return round(median(habit.hidden)) if habit and habit.hidden else 0

    def learn(
        self, model: str, tokens: int, prompt_bytes: int, quantities: Mapping[str, int]
    ) -> None:
        """Take in a measured call: its output tokens, its request's size, its quantities."""
        habit = self._habits.get(model)
        if habit is not None:
            habit.average += (tokens - habit.average) * _WEIGHT
        elif len(self._habits) < _MODELS_MAX:
            habit = self._habits[model] = _Habit(float(tokens))
        else:
            return
        if habit.seen % _LOOKED_AT == 0:
            _look(habit, prompt_bytes, quantities)
        habit.seen += 1

    def save(self, path: Path) -> None:
        """Write what was learned, for this user alone. Raises OSError."""
        saved = {
            model: _Saved(habit.average, list(habit.bytes_per_token), list(habit.hidden))
            for model, habit in self._habits.items()
        }
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(msgspec.json.encode(saved))
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> ModelHabits:
        """Read what was learned before; nothing where there is no such file, or it is damaged."""
        habits = cls()
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=dict[str, _Saved])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return habits
        for model, each in list(saved.items())[:_MODELS_MAX]:
            habit = habits._habits[model] = _Habit(max(0.0, each.average))
            habit.bytes_per_token.extend(value for value in each.bytes_per_token if value > 0)
            habit.hidden.extend(value for value in each.hidden if value >= 0)
        return habits


def _look(habit: _Habit, prompt_bytes: int, quantities: Mapping[str, int]) -> None:
    habit.hidden.append(quantities.get(u.REASONING, 0))
    if prompt_bytes >= _PROMPT_BYTES_MIN:
        prompt = sum(quantities.get(name, 0) for name in u.INPUT_TOKENS)
        ratio = prompt_bytes / prompt if prompt else 0
        if 0 < ratio <= _BYTES_PER_TOKEN_MAX:
            habit.bytes_per_token.append(ratio)
            habit.usual_bytes_per_token = None
