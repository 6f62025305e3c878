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

    ``sample`` is that beginning, ``calls`` counts the tools that the text calls, and
    ``shows_thoughts`` tells that reasoning is among it.
    """

    sample: str
    calls: int
    shows_thoughts: bool

    def __new__(
        cls,
        size_bytes: int = 0,
        sample: str = "",
        calls: int = 0,
        *,
        shows_thoughts: bool = False,
    ) -> GeneratedText:
        made = super().__new__(cls, size_bytes)
        made.sample = sample
        made.calls = calls
        made.shows_thoughts = shows_thoughts
        return made

    def __add__(self, other: int) -> GeneratedText:
        size = int(self) + int(other)
        if not isinstance(other, GeneratedText):
            return self._of_size(size)
        sample = self.sample
        room = SAMPLE_CHARACTERS_MAX - len(sample)
        if room > 0 and other.sample:
            sample += other.sample[:room]
        shows = self.shows_thoughts or other.shows_thoughts
        return GeneratedText(size, sample, self.calls + other.calls, shows_thoughts=shows)

    def __radd__(self, other: int) -> GeneratedText:
        return self._of_size(int(other) + int(self))

    def _of_size(self, size_bytes: int) -> GeneratedText:
        return GeneratedText(
            size_bytes, self.sample, self.calls, shows_thoughts=self.shows_thoughts
        )


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


def thought_size(text: Any) -> GeneratedText:
    """Size reasoning that is shown; nothing if there is none."""
    size = text_size(text)
    return GeneratedText(size, size.sample, shows_thoughts=True) if size else size


def call_size(name: Any, arguments: Any) -> GeneratedText:
    """Size the call of a tool; a piece of one that has no name yet, or no more, counts none."""
    size = text_size(name) + text_size(arguments)
    return GeneratedText(size, size.sample, 1) if name else size
