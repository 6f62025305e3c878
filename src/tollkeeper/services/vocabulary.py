"""Counts the tokens of a text by OpenAI's newer vocabulary (o200k_base), in pure Python.

It is what the token counts of all models are estimated from (see ``estimates``): exactly
OpenAI's own, near to everybody else's by a factor. Used only where a provider did not say what
a reply used, so it is loaded when it is first needed, in about 20 ms and 5 MB.

Source: OpenAI's tiktoken (MIT), whose pattern splits a text into pieces and whose ranks merge
the bytes of each piece.
"""

from __future__ import annotations

import gzip
import re
import sys
import unicodedata
from array import array
from bisect import bisect_left
from collections import Counter
from functools import cache, lru_cache
from itertools import groupby, pairwise
from pathlib import Path
from struct import calcsize, unpack_from
from typing import Final, NamedTuple

_FILE: Final = Path(__file__).parent.parent / "vocabulary" / "o200k_base.gz"
_HEAD: Final = "<BI"
_NUMBER_BYTES: Final = 8
_PIECES_REMEMBERED: Final = 20_000
_PIECE_BYTES_MAX: Final = 64
"""A longer piece is counted in parts: a run of letters without a blank is no language."""

_LAST_CHARACTER: Final = 0x10000  # beyond it are mostly pictures, which are no letters


class _Short:
    """All tokens of one length, up to eight bytes, as sorted numbers, with their ranks.

    Nearly all that is looked up is short, and numbers are found in a third of the time.
    """

    __slots__ = ("_ranks", "_tokens")

    def __init__(self, length: int, ranks: array[int], tokens: bytes) -> None:
        self._ranks = ranks
        numbers = bytearray(_NUMBER_BYTES * len(ranks))
        for at in range(length):
            numbers[_NUMBER_BYTES - length + at :: _NUMBER_BYTES] = tokens[at::length]
        self._tokens = array("Q", bytes(numbers))
        if sys.byteorder == "little":
            self._tokens.byteswap()

    def rank(self, piece: bytes) -> int | None:
        number = int.from_bytes(piece, "big")
        place = bisect_left(self._tokens, number)
        found = place < len(self._tokens) and self._tokens[place] == number
        return self._ranks[place] if found else None


class _Long:
    """All tokens of one length, above eight bytes, sorted, with their ranks."""

    __slots__ = ("_length", "_ranks", "_tokens")

    def __init__(self, length: int, ranks: array[int], tokens: bytes) -> None:
        self._length = length
        self._ranks = ranks
        self._tokens = tokens

    def rank(self, piece: bytes) -> int | None:
        length, tokens = self._length, self._tokens
        place = bisect_left(
            range(len(self._ranks)), piece, key=lambda at: tokens[at * length : (at + 1) * length]
        )
        at = place * length
        return self._ranks[place] if tokens[at : at + length] == piece else None


class Pieces(NamedTuple):
    """The tokens of a text by what they are, and what others make more tokens of.

    Other vocabularies differ from this one mostly by kind: some know no numbers but digits
    (``digits`` are in the ``numbers``), or no marks that take the end of their line with them
    (``line_ends`` are in the ``marks``).
    """

    words: float = 0
    numbers: float = 0
    digits: float = 0
    marks: float = 0
    blanks: float = 0
    line_ends: float = 0


def count(text: str) -> int:
    """Count the tokens of a text, without any special ones."""
    return sum(map(_of_piece, _split(text)))


def measure(text: str) -> Pieces:
    """Count the tokens of a text by kind; what has a letter in it is a word."""
    words = numbers = digits = marks = blanks = line_ends = 0
    for piece, times in Counter(_split(text)).items():
        tokens = _of_piece(piece) * times
        last = piece.rstrip()[-1:]
        if not last:
            blanks += tokens
        elif last.isalpha() or any(map(str.isalpha, piece)):
            words += tokens
        elif piece[:1].isdecimal():
            numbers += tokens
            digits += len(piece) * times
        else:
            marks += tokens
            line_ends += times * (piece[-1] in "\r\n")
    return Pieces(words, numbers, digits, marks, blanks, line_ends)


def _split(text: str) -> list[str]:
    pattern = _ascii_pattern() if text.isascii() else _pattern()
    return pattern.findall(text)


@lru_cache(_PIECES_REMEMBERED)
def _of_piece(piece: str) -> int:
    data = piece.encode("utf-8", "replace")
    if len(data) <= _PIECE_BYTES_MAX:
        return 1 if _rank(data) is not None else _merged(data)
    cuts = range(0, len(data), _PIECE_BYTES_MAX)
    return sum(_merged(data[at : at + _PIECE_BYTES_MAX]) for at in cuts)


def _merged(data: bytes) -> int:
    """Merge the bytes of a piece, the lowest rank first, and count what is left."""
    parts = [data[at : at + 1] for at in range(len(data))]
    ranks = [_rank(left + right) for left, right in pairwise(parts)]
    while ranks:
        known = [(rank, at) for at, rank in enumerate(ranks) if rank is not None]
        if not known:
            break
        at = min(known)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        del ranks[at]
        if at > 0:
            ranks[at - 1] = _rank(parts[at - 1] + parts[at])
        if at < len(ranks):
            ranks[at] = _rank(parts[at] + parts[at + 1])
    return len(parts)


def _rank(piece: bytes) -> int | None:
    found = _tables().get(len(piece))
    return found.rank(piece) if found is not None else None


@cache
def _tables() -> dict[int, _Short | _Long]:
    data = gzip.decompress(_FILE.read_bytes())
    tables: dict[int, _Short | _Long] = {}
    at = 0
    while at < len(data):
        length, number = unpack_from(_HEAD, data, at)
        at += calcsize(_HEAD)
        ranks = array("I", data[at : at + 4 * number])
        if sys.byteorder == "big":
            ranks.byteswap()
        at += 4 * number
        of_length = _Short if length <= _NUMBER_BYTES else _Long
        tables[length] = of_length(length, ranks, data[at : at + number * length])
        at += number * length
    return tables


# ------------------------------------------------------------------------- the pieces

_CONTRACTION: Final = "(?:'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD]))?"
_PATTERN: Final = (
    "[^\\r\\n{letter}{number}]?[{upper}]*[{lower}]+" + _CONTRACTION + "|"
    "[^\\r\\n{letter}{number}]?[{upper}]+[{lower}]*" + _CONTRACTION + "|"
    "[{number}]{{1,3}}|"
    " ?[^\\s{letter}{number}]+[\\r\\n/]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)


@cache
def _ascii_pattern() -> re.Pattern[str]:
    return re.compile(_PATTERN.format(letter="A-Za-z", number="0-9", upper="A-Z", lower="a-z"))


@cache
def _pattern() -> re.Pattern[str]:
    """Build the pattern with Unicode's own classes of characters, which ``re`` has no names for."""
    runs = _runs()
    either = _ranges(runs, "Lm", "Lo", "Mn", "Mc", "Me")
    return re.compile(
        _PATTERN.format(
            letter=_ranges(runs, "Lu", "Lt", "Ll", "Lm", "Lo"),
            number=_ranges(runs, "Nd", "Nl", "No"),
            upper=_ranges(runs, "Lu", "Lt") + either,
            lower=_ranges(runs, "Ll") + either,
        )
    )


def _runs() -> list[tuple[str, int, int]]:
    """Give the runs of characters of one category: the category, the first, the last."""
    runs = []
    start = 0
    for category, run in groupby(map(unicodedata.category, map(chr, range(_LAST_CHARACTER)))):
        end = start + sum(1 for _ in run)
        runs.append((category, start, end - 1))
        start = end
    return runs


def _ranges(runs: list[tuple[str, int, int]], *categories: str) -> str:
    """Write the characters of some categories as ranges of a character class."""
    return "".join(
        f"\\U{first:08x}-\\U{last:08x}" for category, first, last in runs if category in categories
    )
