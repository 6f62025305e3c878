"""How much text a reply generated, with the beginning of it: what its tokens are estimated by.

Readers add up sizes while a reply goes by. Only where a reply never says what it used does
anybody look at the text, so no more than its beginning is kept, in memory, until then.
"""

from __future__ import annotations

from typing import Any, Final

SAMPLE_CHARACTERS_MAX: Final = 8 << 10
"""As much is looked at; of a longer text the rest is taken to be like its beginning."""


class GeneratedText(int):
    """A number of UTF-8 bytes of generated text. Sums keep the beginning of what they sum.

    ``sample`` is that beginning, ``calls`` counts the tools that the text calls.
    """

    sample: str
    calls: int

    def __new__(cls, size_bytes: int = 0, sample: str = "", calls: int = 0) -> GeneratedText:
        made = super().__new__(cls, size_bytes)
        made.sample = sample
        made.calls = calls
        return made

    def __add__(self, other: int) -> GeneratedText:
        size = int(self) + int(other)
        if not isinstance(other, GeneratedText):
            return GeneratedText(size, self.sample, self.calls)
        sample = self.sample
        room = SAMPLE_CHARACTERS_MAX - len(sample)
        if room > 0 and other.sample:
            sample += other.sample[:room]
        return GeneratedText(size, sample, self.calls + other.calls)

    def __radd__(self, other: int) -> GeneratedText:
        return GeneratedText(int(other) + int(self), self.sample, self.calls)


NOTHING_SAID: Final = GeneratedText()


def text_size(text: Any) -> GeneratedText:
    """Size a text, or the texts in a list of content parts."""
    if isinstance(text, str):
        size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        return GeneratedText(size, text[:SAMPLE_CHARACTERS_MAX])
    if isinstance(text, list):
        parts = [text_size(part.get("text")) for part in text if isinstance(part, dict)]
        return sum(parts, NOTHING_SAID)
    return NOTHING_SAID


def call_size(name: Any, arguments: Any) -> GeneratedText:
    """Size the call of a tool; a piece of one that has no name yet, or no more, counts none."""
    size = text_size(name) + text_size(arguments)
    return GeneratedText(size, size.sample, 1) if name else size
