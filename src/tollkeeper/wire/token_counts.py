"""From counts that contain each other to exclusive quantities, OpenAI's way of counting.

A prompt count contains what was read from or written to the cache and what was not text; a
completion count contains reasoning and audio. The parts are taken out of the whole, and the
provider's own total says whether that was right.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.domain import usage as u

CONTRADICTS_TOTAL: Final = "contradicts_total"
PARTS_EXCEED_WHOLE: Final = "parts_exceed_whole"
MISSING_COUNT: Final = "missing_count"


class Parts(NamedTuple):
    """The rarer parts of a prompt's and an output's tokens; each is contained in its whole."""

    cache_write: int = 0
    input_audio: int = 0
    input_image: int = 0
    input_video: int = 0
    output_audio: int = 0
    output_image: int = 0


NO_PARTS: Final = Parts()


def exclusive(
    prompt: int | None,
    output: int | None,
    total: int | None,
    cache_read: int,
    reasoning: int,
    parts: Parts = NO_PARTS,
    *,
    hides_reasoning: bool = False,
) -> tuple[dict[str, int], str]:
    """Give the quantities that are not zero, and a fault ("" if the counts agree).

    ``cache_read`` is contained in the prompt, ``reasoning`` in the output. xAI reports
    reasoning beside the output, which its total shows; cached tokens beside the prompt are
    believed only where the total shows them too. ``hides_reasoning`` tells of a provider
    whose total holds reasoning that no other field names (Gemini's OpenAI-compatible
    endpoint). An output may only be missing where the total says that there was none.
    """
    fault = ""
    if prompt is None or (output is None and total is None):
        fault = MISSING_COUNT
    prompt, output = prompt or 0, output or 0
    hidden = 0 if total is None or fault else total - prompt - output
    if not hidden and parts is NO_PARTS and cache_read <= prompt and reasoning <= output:
        quantities = {}  # the usual reply
        if prompt != cache_read:
            quantities[u.INPUT] = prompt - cache_read
        if cache_read:
            quantities[u.CACHE_READ] = cache_read
        if output != reasoning:
            quantities[u.OUTPUT] = output - reasoning
        if reasoning:
            quantities[u.REASONING] = reasoning
        return quantities, fault
    counts = _Counts(prompt, output, hidden, cache_read, reasoning)
    return _unusual(counts, parts, fault, hides_reasoning=hides_reasoning)


class _Counts(NamedTuple):
    """``hidden`` is what the total has beyond the prompt and the output."""

    prompt: int
    output: int
    hidden: int
    cache_read: int
    reasoning: int


def _unusual(
    counts: _Counts, parts: Parts, fault: str, *, hides_reasoning: bool
) -> tuple[dict[str, int], str]:
    """Count where there are rare parts, or where the total holds more than it should."""
    prompt, output, hidden, cache_read, reasoning = counts
    text = output - reasoning - parts.output_audio - parts.output_image
    if cache_read > prompt and hidden and hidden in {cache_read, cache_read + reasoning}:
        prompt += cache_read  # counted beside the prompt, as the total proves
        hidden -= cache_read
    if hidden and hidden == reasoning:
        text += reasoning
    elif hides_reasoning and hidden > 0:
        reasoning += hidden
    elif hidden:
        fault = CONTRADICTS_TOTAL
    uncached = prompt - cache_read - parts.cache_write - parts.input_audio
    quantities = {}
    if parts.input_image or parts.input_video:
        # Pictures may be among the cached tokens. Which ones is not said, and costs the same.
        quantities[u.INPUT_IMAGE] = max(0, min(parts.input_image, uncached))
        uncached -= quantities[u.INPUT_IMAGE]
        quantities[u.INPUT_VIDEO] = max(0, min(parts.input_video, uncached))
        uncached -= quantities[u.INPUT_VIDEO]
    if uncached < 0 or text < 0:
        return {}, fault or PARTS_EXCEED_WHOLE
    quantities |= {
        u.INPUT: uncached,
        u.CACHE_READ: cache_read,
        u.CACHE_WRITE: parts.cache_write,
        u.INPUT_AUDIO: parts.input_audio,
        u.OUTPUT: text,
        u.REASONING: reasoning,
        u.OUTPUT_AUDIO: parts.output_audio,
        u.OUTPUT_IMAGE: parts.output_image,
    }
    return {name: count for name, count in quantities.items() if count}, fault
