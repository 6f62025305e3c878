"""What a reply says, and what it is billed for, before any wire gives it its form."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import msgspec

from tollkeeper.sandbox.asked import Asked, Tool
from tollkeeper.sandbox.behaviour import Behaviour
from tollkeeper.sandbox.counts import Counts, bytes_of_tokens, tokens_of, tokens_of_bytes
from tollkeeper.sandbox.fitting_values import fitting_value
from tollkeeper.sandbox.prompt_cache import CacheUse

ECHO_CHARS_MAX: Final = 1_000
_PIECE_CHARS: Final = 16
_PIECES_MAX: Final = 64
_FILLER: Final = "The sandbox goes on for as long as it was asked to. "
_THOUGHT: Final = "Let me think about what was said and how to say it back. "


class ToolCall(NamedTuple):
    """A call of a function. ``arguments`` is JSON."""

    name: str
    arguments: str


class Draft(NamedTuple):
    """The content of one reply.

    ``pieces`` are the parts that a stream gives one by one: of the text, or of a tool's
    arguments. ``cut`` tells that the caller's limit ended the text. ``counts`` bill the
    whole; ``output_after`` how much output is billed after so many pieces.
    """

    text: str
    tool: ToolCall | None
    thinking: str
    cut: bool
    pieces: tuple[str, ...]
    counts: Counts
    output_after: tuple[int, ...]

    def counts_after(self, pieces: int) -> Counts:
        """Bill a stream of which so many pieces were produced."""
        return self.counts._replace(output=self.output_after[pieces])


def draft_of(
    asked: Asked, behaviour: Behaviour, cache: CacheUse, text_bytes: int | None = None
) -> Draft:
    """Decide what a reply says.

    ``text_bytes`` is the length of the text, where the behaviour does not set it in tokens.
    It does nothing to tool calls and to JSON, which have the length that they need.
    """
    reasoning = asked.reasoning_tokens
    if behaviour.reasoning_tokens is not None:
        reasoning = behaviour.reasoning_tokens
    room = asked.max_output_tokens
    if room is not None:
        reasoning = min(reasoning, room // 2)
        room -= reasoning
    tool = _call_of(asked.tool)
    if tool is not None and room is not None and tokens_of(tool.name + tool.arguments) > room:
        tool = None  # there is no room for the call, as with any text that is cut
    text = tool.arguments if tool else _text(asked, behaviour, text_bytes)
    kept = text if tool or room is None else _cut(text, bytes_of_tokens(room))
    pieces = _pieces(kept, behaviour.chunks)
    counts, output_after = _billed(asked, behaviour, cache, tool, pieces, reasoning)
    return Draft(
        text="" if tool else kept,
        tool=tool,
        thinking=_of_bytes(_THOUGHT, bytes_of_tokens(reasoning)) if asked.shows_thinking else "",
        cut=kept != text or (asked.tool is not None and tool is None),
        pieces=pieces,
        counts=counts,
        output_after=output_after,
    )


def _text(asked: Asked, behaviour: Behaviour, text_bytes: int | None) -> str:
    if asked.schema is not None:
        return msgspec.json.encode(fitting_value(asked.schema)).decode()
    said = asked.last_text
    if len(said) > ECHO_CHARS_MAX:
        said = said[:ECHO_CHARS_MAX] + "…"
    speaker = "The tool said" if asked.from_tool else "You said"
    sentence = f"{speaker}: {said}" if said else "You said nothing."
    if behaviour.output_tokens is not None:
        text_bytes = bytes_of_tokens(behaviour.output_tokens)
    if text_bytes is not None:
        return _of_bytes(sentence + " " + _FILLER, text_bytes)
    if behaviour.chunks is not None and behaviour.chunks > len(sentence):
        return _of_bytes(sentence + " " + _FILLER, bytes_of_tokens(behaviour.chunks))
    return sentence


def _call_of(tool: Tool | None) -> ToolCall | None:
    if tool is None:
        return None
    return ToolCall(tool.name, msgspec.json.encode(fitting_value(tool.schema)).decode())


def _billed(
    asked: Asked,
    behaviour: Behaviour,
    cache: CacheUse,
    tool: ToolCall | None,
    pieces: tuple[str, ...],
    reasoning: int,
) -> tuple[Counts, tuple[int, ...]]:
    weight = asked.weight
    read = max(cache.read, asked.cached_tokens)
    if behaviour.cached_tokens is not None:
        read = behaviour.cached_tokens
    read = min(read, weight.text)
    written_1h = min(cache.written_1h, weight.text - read)
    written = min(cache.written, weight.text - read - written_1h)
    sizes = [len(piece.encode("utf-8", "replace")) for piece in pieces]
    named = len(tool.name.encode("utf-8", "replace")) if tool else 0
    after = tuple(
        asked.choices * tokens_of_bytes(size) for size in accumulate(sizes, initial=named)
    )
    counts = Counts(
        input=weight.text - read - written - written_1h,
        cache_read=read,
        cache_write=written,
        cache_write_1h=written_1h,
        input_image=weight.image,
        input_audio=weight.audio,
        output=after[-1],
        reasoning=asked.choices * reasoning,
    )
    return counts, after


def _of_bytes(text: str, size_bytes: int) -> str:
    """Make a text exactly so long, by repeating its last sentence or by cutting it."""
    lacking = size_bytes - len(text.encode("utf-8", "replace"))
    if lacking > 0:
        tail = _THOUGHT if text == _THOUGHT else _FILLER
        text += tail * (lacking // len(tail) + 1)
    return _cut(text, size_bytes)


def _cut(text: str, size_bytes: int) -> str:
    """Cut a text to so many bytes; dots stand for a character that is cut through."""
    coded = text.encode("utf-8", "replace")
    if len(coded) <= size_bytes:
        return text
    kept = coded[:size_bytes].decode("utf-8", "ignore")
    return kept + "." * (size_bytes - len(kept.encode()))


def _pieces(text: str, wanted: int | None) -> tuple[str, ...]:
    """Cut a text into pieces of about equal length, none of them empty."""
    natural = min(-(-len(text) // _PIECE_CHARS), _PIECES_MAX)
    count = max(1, min(natural if wanted is None else wanted, len(text)))
    edges = [index * len(text) // count for index in range(count + 1)]
    return tuple(text[start:end] for start, end in pairwise(edges))
