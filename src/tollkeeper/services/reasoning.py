"""How many tokens of reasoning a reply has beyond its text, where nobody said how many.

Much of it does not show, and what does is often a summary. But many replies carry it sealed,
to be sent back with the next request, and a seal is as long as what is in it. Others tell at
least that there was some, or that there was none. What is left is what is usual of the model.

The lengths were measured on recorded replies, half of which were kept apart:
`docs/accuracy.md` tells the errors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from tollkeeper.domain.texts import GeneratedText
from tollkeeper.services import vocabulary

_EMPTY_CHARACTERS: Final = 60
"""A shorter seal was blotted out, or never had anything in it."""


class Manner(NamedTuple):
    """How a model's replies tell of its reasoning.

    A seal has ``seal_characters`` without anything in it, and ``token_characters_x10`` tenths
    of a character for each token (0 where none is known). ``tells`` says that a reply without
    any sign of reasoning has none, ``tells_in_calls`` that one that calls tools has none then.
    ``only_asked`` says that the model does not reason unless it is asked to.
    """

    seal_characters: int = 0
    token_characters_x10: int = 0
    tells: bool = False
    tells_in_calls: bool = False
    only_asked: bool = False


_SILENT: Final = Manner()
_CLAUDE: Final = Manner(300, 40, tells=True)
_OPENAI: Final = Manner(800, 68)
_GEMINI: Final = Manner(100, 55, tells=True)
_GEMINI_2: Final = Manner(40, 57, tells_in_calls=True)
_GROK: Final = Manner(0, 61)
_MANNERS: Final = (
    # The first pattern that is found in a model's name decides.
    (r"claude", _CLAUDE),
    (r"gemini-2", _GEMINI_2),
    (r"gemini", _GEMINI),
    (r"grok", _GROK),
    (r"gpt-5\.[1-4](?!.*(?:codex|pro))", _OPENAI._replace(only_asked=True)),
    (r"gpt|codex|(?:^|/)o[1-9](?:-|$)", _OPENAI),
)
_PATTERNS: Final = tuple((re.compile(pattern), manner) for pattern, manner in _MANNERS)
_OWN_WIRES: Final = frozenset({"generateContent", "streamGenerateContent"})


@lru_cache(500)
def manner_of(model: str, endpoint: str) -> Manner:
    """Give how a model's replies tell of its reasoning; ``endpoint`` is the kind of call."""
    name = model.lower()
    manner = next((manner for pattern, manner in _PATTERNS if pattern.search(name)), _SILENT)
    if endpoint == "responses":
        return manner._replace(tells=True)  # each piece of reasoning is an item
    if manner in {_GEMINI, _GEMINI_2} and endpoint not in _OWN_WIRES:
        return _SILENT  # others pass on no seals
    return manner


def hidden_tokens(said: int, manner: Manner, usual: int, *, asked: bool | None) -> int:
    """Estimate the reasoning in a reply that is not in its text.

    ``usual`` is what is usual of the model, ``asked`` whether the request asks for reasoning,
    None where it does not say.
    """
    if not isinstance(said, GeneratedText):
        return usual if said else 0
    thoughts = said.thoughts
    if manner.token_characters_x10 and (
        thoughts.sealed_characters > thoughts.seals * _EMPTY_CHARACTERS
    ):
        inside = thoughts.sealed_characters - thoughts.seals * manner.seal_characters
        return max(0, round(10 * inside / manner.token_characters_x10 - _shown_tokens(said)))
    if thoughts.shown_bytes or not (said or thoughts.pieces):
        return 0
    if not thoughts.pieces:
        if manner.tells or (manner.tells_in_calls and said.calls):
            return 0
        if asked is False or (asked is None and manner.only_asked):
            return 0
    return usual


def sealed_tokens(seals: Sequence[int]) -> int:
    """Estimate the reasoning in a prompt's seals of so many characters, as Gemini reads it."""
    inside = sum(max(0, seal - _GEMINI.seal_characters) for seal in seals)
    return 10 * inside // _GEMINI.token_characters_x10


def _shown_tokens(said: GeneratedText) -> float:
    """Count the tokens of the reasoning that stands in the text, which is about like the rest."""
    shown = said.thoughts.shown_bytes
    if not shown:
        return 0
    sample_bytes = len(said.sample.encode("utf-8", "replace"))
    return vocabulary.count(said.sample) * shown / sample_bytes
