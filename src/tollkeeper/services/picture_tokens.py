"""How many tokens a picture is, by its pixels, as its maker's models see it.

Source: what OpenAI, Anthropic and Google publish; for gpt-5-mini and gpt-5-nano what their
users have measured, which is less than what is published.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import Final

from tollkeeper.domain.texts import Picture

UNKNOWN_TOKENS: Final = 300
"""What a picture or a file is put down for where nobody sees its size, or knows its model."""

Rule = Callable[[Picture], int]
_PATCH: Final = 32
_PATCHES_MAX: Final = 1_536
_TILE: Final = 512
_TILED_FROM: Final = (2_048, 768)  # the longest side, then the shortest, before it is cut in tiles


def picture_tokens(pictures: tuple[Picture, ...], model: str) -> int:
    """Count the tokens of pictures for a model."""
    rule = _rule_of(model)
    return sum(map(rule, pictures))


def _tiles(start: int, tile: int) -> Rule:
    """OpenAI's older way: so many tokens for each tile of a picture that was made smaller."""

    def tokens(picture: Picture) -> int:
        if picture.low_detail:
            return start
        longest, shortest = _TILED_FROM
        width, height = _within(picture.width, picture.height, longest)
        scale = min(1.0, shortest / min(width, height))
        return start + tile * ceil(width * scale / _TILE) * ceil(height * scale / _TILE)

    return tokens


def _patches(per_patch_percent: int) -> Rule:
    """OpenAI's newer way: by small patches, of which there is a largest number."""

    def tokens(picture: Picture) -> int:
        patches = ceil(picture.width / _PATCH) * ceil(picture.height / _PATCH)
        return ceil(min(patches, _PATCHES_MAX) * per_patch_percent / 100)

    return tokens


def _area(longest: int, tokens_max: int) -> Rule:
    """Anthropic's way: 750 pixels a token, up to a size."""

    def tokens(picture: Picture) -> int:
        width, height = _within(picture.width, picture.height, longest)
        return max(1, min(tokens_max, round(width * height / 750)))

    return tokens


def _google(picture: Picture) -> int:
    """Google's way, until Gemini 2.5: one tile for a small picture, else tiles of 768 pixels."""
    if max(picture.width, picture.height) <= 384:
        return 258
    tile = min(768.0, max(256.0, min(picture.width, picture.height) / 1.5))
    return 258 * ceil(picture.width / tile) * ceil(picture.height / tile)


def _within(width: float, height: float, longest: int) -> tuple[float, float]:
    scale = min(1.0, longest / max(width, height))
    return width * scale, height * scale


def _rule(tokens: int) -> Rule:
    return lambda picture: tokens


_RULES: Final = (
    # The first pattern that is found in a model's name decides.
    (r"gpt-4o-mini", _tiles(2_833, 5_667)),
    (r"gpt-4\.1-mini", _patches(162)),
    (r"gpt-4\.1-nano", _patches(246)),
    (r"gpt-5-mini", _patches(120)),
    (r"gpt-5-nano", _patches(150)),
    (r"o4-mini", _patches(172)),
    (r"gpt-5\.[4-9]", _patches(100)),
    (r"gpt-5", _tiles(70, 140)),
    (r"(?:^|/)o[13](?:-|$)", _tiles(75, 150)),
    (r"gpt-4", _tiles(85, 170)),
    (r"claude-(?:[a-z]+-)?(?:4[-.][7-9]|[5-9])(?![0-9])", _area(2_576, 4_784)),
    (r"claude", _area(1_568, 1_600)),
    (r"gemini-[12]", _google),
    (r"gemini", _rule(1_081)),
)
_PATTERNS: Final = tuple((re.compile(pattern), rule) for pattern, rule in _RULES)
_UNKNOWN: Final = _rule(UNKNOWN_TOKENS)


@lru_cache(500)
def _rule_of(model: str) -> Rule:
    name = model.lower()
    return next((rule for pattern, rule in _PATTERNS if pattern.search(name)), _UNKNOWN)
