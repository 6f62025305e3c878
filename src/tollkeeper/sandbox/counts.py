"""What the sandbox bills: exclusive quantities of one reply, and how long texts become tokens."""

from __future__ import annotations

from typing import Final, NamedTuple

_BYTES_PER_TOKEN: Final = 4


class Counts(NamedTuple):
    """Quantities of one reply, each under its name in the ledger. None contains another."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    input_image: int = 0
    input_audio: int = 0
    output: int = 0
    reasoning: int = 0
    output_image: int = 0
    output_audio: int = 0
    images: int = 0
    audio_ms: int = 0
    input_characters: int = 0

    @property
    def prompt(self) -> int:
        """Count all input tokens."""
        return (
            self.input
            + self.cache_read
            + self.cache_write
            + self.cache_write_1h
            + self.input_image
            + self.input_audio
        )

    def quantities(self) -> dict[str, int]:
        """Give what is not zero, by name."""
        return {name: count for name, count in zip(self._fields, self, strict=True) if count}


NOTHING: Final = Counts()


def tokens_of(text: str) -> int:
    """Count the tokens of a text: a quarter of its UTF-8 bytes, rounded up."""
    return tokens_of_bytes(len(text.encode("utf-8", "replace")))


def tokens_of_bytes(size_bytes: int) -> int:
    """Count the tokens of so many bytes of text."""
    return -(-size_bytes // _BYTES_PER_TOKEN)


def bytes_of_tokens(tokens: int) -> int:
    """Give how many bytes of text so many tokens are at most."""
    return tokens * _BYTES_PER_TOKEN
