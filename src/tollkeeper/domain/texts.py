"""What went into a model and came out of it, as far as tokens can be estimated from it."""

from __future__ import annotations

from typing import Final, NamedTuple

SAMPLE_CHARACTERS_MAX: Final = 8 << 10
"""As much of a reply is looked at; of a longer one the rest is taken to be like its beginning."""

ANY_TOOL: Final = "*"


class Thoughts(NamedTuple):
    """What a reply tells of its reasoning.

    ``shown_bytes`` of it are among the reply's text. ``pieces`` counts where the reply says
    that it reasoned, shown or not. Some of that may come sealed, for the provider alone to
    read: ``seals`` pieces of it, of ``sealed_characters`` together.
    """

    shown_bytes: int = 0
    pieces: int = 0
    seals: int = 0
    sealed_characters: int = 0


NO_THOUGHTS: Final = Thoughts()


class GeneratedText(int):
    """A number of UTF-8 bytes of generated text. Sums keep the beginning of what they sum.

    Readers add up sizes while a reply goes by. Only where a reply never says what it used does
    anybody look at the text, so no more than its beginning is kept, in memory, until then.
    ``sample`` is that beginning, ``calls`` counts the tools that the text calls, and
    ``thoughts`` is what the reply tells of its reasoning.
    """

    sample: str
    calls: int
    thoughts: Thoughts

    def __new__(
        cls,
        size_bytes: int = 0,
        sample: str = "",
        calls: int = 0,
        *,
        thoughts: Thoughts = NO_THOUGHTS,
    ) -> GeneratedText:
        made = super().__new__(cls, size_bytes)
        made.sample = sample
        made.calls = calls
        made.thoughts = thoughts
        return made

    def __add__(self, other: int) -> GeneratedText:
        size = int(self) + int(other)
        if not isinstance(other, GeneratedText):
            return self._of_size(size)
        sample = self.sample
        room = SAMPLE_CHARACTERS_MAX - len(sample)
        if room > 0 and other.sample:
            sample += other.sample[:room]
        thoughts = together(self.thoughts, other.thoughts)
        return GeneratedText(size, sample, self.calls + other.calls, thoughts=thoughts)

    def __radd__(self, other: int) -> GeneratedText:
        return self._of_size(int(other) + int(self))

    def _of_size(self, size_bytes: int) -> GeneratedText:
        return GeneratedText(size_bytes, self.sample, self.calls, thoughts=self.thoughts)


def together(some: Thoughts, more: Thoughts) -> Thoughts:
    """Add up what two parts of a reply tell of its reasoning; mostly that is nothing."""
    if more is NO_THOUGHTS:
        return some
    if some is NO_THOUGHTS:
        return more
    return Thoughts(*(left + right for left, right in zip(some, more, strict=True)))


class Picture(NamedTuple):
    """A picture's size in pixels, and whether no more than a small copy of it is to be seen."""

    width: int
    height: int
    low_detail: bool = False


class RequestText(NamedTuple):
    """What a model is given to read.

    ``text`` is that of the conversation and the instructions, ``messages`` how many pieces
    those are in, ``calls`` how many calls of tools, and results of them, it tells. ``tools`` is
    the JSON of the declared tools, "" for none, ``schema`` that of a prescribed answer.
    ``unseen`` counts what has tokens that no text tells: media, and tools of the provider's
    own, whose description nobody sees. ``must_call`` is the name of the tool that the reply
    has to call, ``ANY_TOOL`` where it has to call one, "" where it need not. ``thinks`` tells
    whether reasoning is asked for, None where the request leaves that to the model. ``sealed``
    are the lengths, in characters, of what of earlier reasoning comes back sealed. Of what is
    ``unseen``, ``own_tools`` are the provider's, and ``pictures`` those whose size is known.
    """

    text: str
    messages: int = 0
    tools: str = ""
    schema: str = ""
    unseen: int = 0
    calls: int = 0
    must_call: str = ""
    thinks: bool | None = None
    sealed: tuple[int, ...] = ()
    own_tools: int = 0
    pictures: tuple[Picture, ...] = ()
