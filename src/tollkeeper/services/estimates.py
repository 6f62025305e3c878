"""Estimates, where a provider did not say what a reply used: always marked as such, never zero.

Tokens are counted by OpenAI's newer vocabulary, which is OpenAI's own count, and taken times
what was measured for each family of models: what a message, a declared tool, a call of one and
the reply itself cost beside their text (``token_families``). What no text tells has its own
files (``reasoning``, ``picture_tokens``); where nothing tells it, files and the provider's own
tools are put down for a modest number, reasoning for what is usual of the model.
"""

from __future__ import annotations

import re
from typing import Final

from tollkeeper.domain.texts import ANY_TOOL, GeneratedText, RequestText
from tollkeeper.services import vocabulary
from tollkeeper.services.declared_tools import as_typescript, declared, texts_of
from tollkeeper.services.picture_tokens import UNKNOWN_TOKENS
from tollkeeper.services.reasoning import sealed_tokens
from tollkeeper.services.token_families import AS_TEXTS, AS_TYPESCRIPT, Family
from tollkeeper.services.vocabulary import Pieces

INPUT_BYTES_PER_TOKEN: Final = 4
OUTPUT_BYTES_PER_TOKEN: Final = 4
_SLICES: Final = 4
_SLICE_CHARACTERS: Final = 2 << 10
"""Of a longer text so many slices are looked at; the rest is taken to be like them."""

_ARGUMENT: Final = re.compile(r'[{,]\s*"[^"]*"\s*:')


def input_tokens(
    asked: RequestText | None, body_bytes: int, family: Family, bytes_per_token: float
) -> int:
    """Estimate a prompt's tokens: from its text where it is at hand, else from its size.

    ``bytes_per_token`` is what was learned of such prompts (0 where nothing was). Pictures
    whose size is known are not counted here (see ``picture_tokens``).
    """
    if asked is None:
        return max(1, round(body_bytes / (bytes_per_token or INPUT_BYTES_PER_TOKEN)))
    return max(1, _prompt_tokens(asked, family))


def output_tokens(said: int, family: Family, must_call: str = "") -> int:
    """Estimate the tokens of generated text that went by, from as much as is kept of it.

    Where a tool must be called (``must_call``, see ``RequestText``) the beginning of the call
    is given to the model, and not generated.
    """
    if not said:
        return 0
    if not isinstance(said, GeneratedText) or not said.sample:
        return -(-said // OUTPUT_BYTES_PER_TOKEN)
    sample_bytes = len(said.sample.encode("utf-8", "replace"))
    tokens = weighed(said.sample, family.reply) * int(said) / (1000 * sample_bytes)
    beside = family.reply_start
    if said.calls:
        beside += family.call * said.calls + family.several * (said.calls > 1)
        beside += family.argument * len(_ARGUMENT.findall(said.sample))
        if must_call == ANY_TOOL:
            beside -= family.any_call
        elif must_call and family.named_call and said.sample.startswith(must_call):
            beside -= family.named_call
            tokens -= weighed(must_call, family.reply) / 1000
    return max(1, round(tokens) + beside)


def _prompt_tokens(asked: RequestText, family: Family) -> int:
    thousandths = _weighed(asked.text, family.text)
    beside = family.start + asked.messages * family.message + asked.calls * family.past_call
    if asked.tools:
        thousandths += _tools(asked.tools, family)
        beside += family.tools_start + _choice(asked.must_call, family)
    if asked.schema:
        thousandths += _counted(asked.schema) * family.schema
        beside += family.schema_start
    if asked.thinks:
        beside += family.thinking
    if family.reads_seals:
        beside += sealed_tokens(asked.sealed)
    beside += asked.own_tools * family.own_tool
    unknown = asked.unseen - asked.own_tools - len(asked.pictures)
    return round(thousandths / 1000) + beside + unknown * UNKNOWN_TOKENS


def _choice(must_call: str, family: Family) -> int:
    if not must_call:
        return 0
    return family.any_choice if must_call == ANY_TOOL else family.named_choice


def _tools(tools: str, family: Family) -> float:
    """Count thousandths of tokens of the declared tools, written as the family reads them."""
    if family.tools_as == AS_TYPESCRIPT:
        return _counted(as_typescript(declared(tools))) * family.tools
    if family.tools_as != AS_TEXTS:
        return _counted(tools) * family.tools
    each = declared(tools)
    texts = texts_of(each)
    tokens = _weighed("\0".join(texts), family.text) * family.tools / 1000
    return tokens + len(texts) * family.tool_text + len(each) * family.tool * 1000


def _weighed(text: str, weights: Pieces) -> float:
    """Count thousandths of tokens of a text, by the kinds of its pieces."""
    sample = _sample(text)
    return weighed(sample, weights) * len(text) / len(sample) if sample else 0


def weighed(text: str, weights: Pieces) -> float:
    """Count thousandths of tokens of a text; ``weights`` are thousandths for each kind."""
    pieces = vocabulary.measure(text)
    return sum(count * weight for count, weight in zip(pieces, weights, strict=True))


def _counted(text: str) -> float:
    sample = _sample(text)
    return vocabulary.count(sample) * len(text) / len(sample) if sample else 0


def _sample(text: str) -> str:
    """Give a text, or of a long one slices from its beginning to its end."""
    if len(text) <= _SLICES * _SLICE_CHARACTERS:
        return text
    last = len(text) - _SLICE_CHARACTERS
    starts = [last * number // (_SLICES - 1) for number in range(_SLICES)]
    return "".join(text[at : at + _SLICE_CHARACTERS] for at in starts)
