"""Compares glob patterns: does everything that one list matches match another list too?

Patterns are those of ``fnmatch``: ``*``, ``?``, ``[seq]`` and ``[!seq]``, case-sensitive.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache

ANY_TEXT = "*"
ANY_CHARACTER = "?"


def within(inner: Sequence[str], outer: Sequence[str]) -> bool:
    """Tell whether ``inner`` allows nothing that ``outer`` does not. An empty list is all.

    Each inner pattern must be covered by one outer pattern alone, so the answer may be no
    where only several patterns together would cover it; it is never wrongly yes.
    """
    if not outer:
        return True
    return bool(inner) and all(any(covers(wide, narrow) for wide in outer) for narrow in inner)


def covers(wide: str, narrow: str) -> bool:
    """Tell whether every text that ``narrow`` matches is matched by ``wide`` as well."""
    wide_parts, narrow_parts = _parts(wide), _parts(narrow)

    @cache
    def from_here(at_wide: int, at_narrow: int) -> bool:
        if at_wide == len(wide_parts):
            return at_narrow == len(narrow_parts)
        part = wide_parts[at_wide]
        if part == ANY_TEXT:
            # It takes nothing more, or one more part of the other, whatever that part is.
            return from_here(at_wide + 1, at_narrow) or (
                at_narrow < len(narrow_parts) and from_here(at_wide, at_narrow + 1)
            )
        if at_narrow == len(narrow_parts):
            return False
        return _covers_one(part, narrow_parts[at_narrow]) and from_here(at_wide + 1, at_narrow + 1)

    return from_here(0, 0)


def _covers_one(wide: str, narrow: str) -> bool:
    """Compare two parts, of which the first is not ``*``."""
    if wide == narrow:
        return True
    if narrow == ANY_TEXT:
        return False
    if wide == ANY_CHARACTER:
        return True
    is_literal = len(narrow) == 1 and narrow != ANY_CHARACTER
    return is_literal and fnmatchcase(narrow, wide)


def _parts(pattern: str) -> list[str]:
    """Cut a pattern into literals of one character, ``?``, ``*`` and whole brackets."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        end = _bracket_end(pattern, at) if pattern[at] == "[" else at + 1
        part = pattern[at:end]
        if part != ANY_TEXT or parts[-1:] != [ANY_TEXT]:
            parts.append(part)
        at = end
    return parts


def _bracket_end(pattern: str, at: int) -> int:
    """Give the end of the bracket that opens at ``at``; an unclosed one is a literal."""
    close = at + 1
    if pattern[close : close + 1] == "!":
        close += 1
    if pattern[close : close + 1] == "]":
        close += 1
    close = pattern.find("]", close)
    return at + 1 if close < 0 else close + 1
