"""Sizes the text that a reply generated: what its tokens are estimated by."""

from __future__ import annotations

from typing import Any, Final

from tollkeeper.domain.texts import SAMPLE_CHARACTERS_MAX, GeneratedText, Thoughts

NOTHING_SAID: Final = GeneratedText()
REASONED: Final = GeneratedText(thoughts=Thoughts(pieces=1))
"""What a reply says that tells of its reasoning, and shows none of it."""


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
    return GeneratedText(size, size.sample, thoughts=Thoughts(int(size), 1)) if size else size


def sealed_size(seal: Any) -> GeneratedText:
    """Size reasoning that came sealed: no text, but its length tells how much there was."""
    if not isinstance(seal, str) or not seal:
        return NOTHING_SAID
    return GeneratedText(0, thoughts=Thoughts(0, 1, 1, len(seal)))


def call_size(name: Any, arguments: Any) -> GeneratedText:
    """Size the call of a tool; a piece of one that has no name yet, or no more, counts none."""
    size = text_size(name) + text_size(arguments)
    return GeneratedText(size, size.sample, 1) if name else size
