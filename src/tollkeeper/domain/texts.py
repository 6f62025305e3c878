"""What went into a model and came out of it, as far as tokens can be estimated from it."""

from __future__ import annotations

from typing import Final, NamedTuple

SAMPLE_CHARACTERS_MAX: Final = 8 << 10
"""As much of a reply is looked at; of a longer one the rest is taken to be like its beginning."""


class GeneratedText(int):
    """A number of UTF-8 bytes of generated text. Sums keep the beginning of what they sum.

    Readers add up sizes while a reply goes by. Only where a reply never says what it used does
    anybody look at the text, so no more than its beginning is kept, in memory, until then.
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


class RequestText(NamedTuple):
    """What a model is given to read.

    ``text`` is that of the conversation and the instructions, ``messages`` how many pieces
    those are in, ``calls`` how many calls of tools, and results of them, it tells. ``tools`` is
    the JSON of the declared tools, "" for none, ``schema`` that of a prescribed answer.
    ``unseen`` counts what has tokens that no text tells: media, and tools of the provider's
    own, whose description nobody sees.
    """

    text: str
    messages: int = 0
    tools: str = ""
    schema: str = ""
    unseen: int = 0
    calls: int = 0
