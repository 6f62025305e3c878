"""Guesses, where a provider says nothing: always marked as such, never zero.

A token of English text is about four bytes of UTF-8, one of dense JSON or code about
three. Until something is learned about a model, these ratios and a modest reply serve.
"""

from __future__ import annotations

from typing import Final

INPUT_BYTES_PER_TOKEN: Final = 4
OUTPUT_BYTES_PER_TOKEN: Final = 4
REPLY_TOKENS: Final = 256
_WEIGHT: Final = 0.1
_MODELS_MAX: Final = 1_000


def input_tokens(body_bytes: int) -> int:
    """Guess the prompt's tokens from the size of the request body."""
    return max(1, -(-body_bytes // INPUT_BYTES_PER_TOKEN))


def output_tokens(text_bytes: int) -> int:
    """Guess the tokens of generated text that went by."""
    return -(-text_bytes // OUTPUT_BYTES_PER_TOKEN)


class ReplyLengths:
    """Remembers how long the replies of each model usually are, as a moving average.

    It is what a call is booked with if the gateway dies before the reply says anything.
    """

    def __init__(self) -> None:
        self._average: dict[str, float] = {}

    def expected(self, model: str, output_max: int | None) -> int:
        """Guess the output tokens of the next reply; at most what the request allows."""
        guess = int(self._average.get(model, REPLY_TOKENS))
        return max(1, guess if output_max is None else min(guess, output_max))

    def learn(self, model: str, tokens: int) -> None:
        """Take in the output tokens of a finished reply."""
        average = self._average
        before = average.get(model)
        if before is not None:
            average[model] = before + (tokens - before) * _WEIGHT
        elif len(average) < _MODELS_MAX:
            average[model] = float(tokens)
