"""Passwords: which ones are good enough, and where their hashes are kept.

The rules are those of NIST SP 800-63B: length counts, kinds of characters do not, and what
somebody would guess first is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

CHARS_MIN: Final = 12
CHARS_MAX: Final = 128
UNGUESSED_MIN: Final = 8
"""How many characters there are at least beside words and rows that everybody tries first."""

_DISTINCT_MIN: Final = 5
_PIECE_CHARS_MIN: Final = 3
_COMMON: Final = """
abc access admin administrator adobe amazon america angel apple baseball basketball batman
buster changeit changeme charlie chelsea chocolate computer cookie daniel default demo dragon
eminem enter facebook family football forever freedom friend friends gaming george ginger google
guest hannah harley hello hockey hunter iloveyou instagram internet jennifer jessica jordan joshua
killer letmein liverpool local localhost login london loveme lovely master matrix matthew michael
michelle microsoft minecraft monkey mustang mypassword naruto nicole ninja nothing nopassword
office online orange password passphrase passwort passwd pepper pokemon princess private purple
ranger root samsung secret secure security server shadow soccer spring starwars sunshine superman
summer autumn winter sysadmin taylor temporary test testing thomas thunder tigger tollkeeper
trustno trustnoone user username welcome whatever william windows yankees
"""
_ROWS: Final = (
    *("0123456789", "1234567890", "abcdefghijklmnopqrstuvwxyz"),
    *("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm"),
    *("1q2w3e4r5t6y7u8i9o0p", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "!@#$%^&*()", '!"§$%&/()='),
)
_RUNS: Final = tuple(run for row in _ROWS for run in (row, row[::-1]))
_LOOK_ALIKES: Final = tuple(
    str.maketrans("013457@$!", letters) for letters in ("oieastasi", "oleastasl")
)
_YEAR: Final = re.compile(r"(?:19|20)\d\d")


class StoredPassword(NamedTuple):
    """What is kept of a person's password. ``set_at_us`` is epoch microseconds, UTC."""

    encoded: str
    set_at_us: int

    def __repr__(self) -> str:
        return f"StoredPassword(…, {self.set_at_us})"


class Passwords(Protocol):
    """Where the hashes of passwords are kept, one for a person at most."""

    def password(self, user_id: str) -> StoredPassword | None: ...
    def set_password(self, user_id: str, encoded: str, now_us: int) -> None:
        """Keep a hash in the place of the one before. Raises LookupError for no such person."""

    def replace_password(self, user_id: str, before: str, encoded: str) -> bool:
        """Keep another hash of the same password; False where ``before`` is not kept any more."""

    def remove_password(self, user_id: str) -> bool:
        """Forget a person's hash; False where there was none."""

    def users_with_password(self) -> frozenset[str]:
        """Give the ids of those who have one."""


def normal(password: str) -> str:
    """Give a password as it is hashed: the same however a keyboard composes its characters."""
    return unicodedata.normalize("NFKC", password)


def fault_of(password: str, about: Iterable[str]) -> tuple[str, str] | None:
    """Say what is wrong with a new password, as a code and a sentence; None if it will do.

    ``about`` are texts that somebody would try first: address, name, company.
    """
    text = normal(password)
    if len(text) < CHARS_MIN:
        return "password_short", f"a password has {CHARS_MIN} characters or more"
    if len(text) > CHARS_MAX:
        return "password_long", f"a password has {CHARS_MAX} characters at most"
    if _unguessed(text.casefold(), _words_of(about)) < UNGUESSED_MIN or _repeats(text):
        return (
            "password_common",
            "this password is among the first to be guessed: it is little more than common words, "
            "rows of keys, or your name, address or company; four words of your own choice are "
            "better",
        )
    return None


def _words_of(about: Iterable[str]) -> frozenset[str]:
    """Give the words in which somebody's own texts are found in a password."""
    words = set(_COMMON.split())
    for each in about:
        text = normal(each).casefold()
        words |= {text, *re.split(r"[\W_]+", text)}
    return frozenset(word for word in words if len(word) >= _PIECE_CHARS_MIN)


def _unguessed(text: str, words: frozenset[str]) -> int:
    """Count the characters that belong to no common word, row of keys, repetition or year."""
    # Of the same length as the text: one letter stands for one.
    readings = (text, *(text.translate(each) for each in _LOOK_ALIKES))
    longest = max(map(len, words), default=0)
    left = [0] * (len(text) + 1)  # of what begins here
    for at in range(len(text) - 1, -1, -1):
        best = left[at + 1] + 1
        for chars in range(_PIECE_CHARS_MIN, min(longest, len(text) - at) + 1):
            if any(reading[at : at + chars] in words for reading in readings):
                best = min(best, left[at + chars])
        run = _run_chars(text, at)
        if run >= _PIECE_CHARS_MIN:
            best = min(best, left[at + run])
        if _YEAR.match(text, at):
            best = min(best, left[at + 4])
        left[at] = best
    return left[0]


def _run_chars(text: str, at: int) -> int:
    """Count the characters from here on that are one of a row, or all the same."""
    same = at + 1
    while same < len(text) and text[same] == text[at]:
        same += 1
    most = same - at
    for run in _RUNS:
        begins = run.find(text[at])
        if begins < 0:
            continue
        chars = 0
        while run[begins + chars : begins + chars + 1] == text[at + chars : at + chars + 1] != "":
            chars += 1
        most = max(most, chars)
    return most


def _repeats(text: str) -> bool:
    """Tell whether a password is a short piece over and over, or of very few characters."""
    if len(set(text.casefold())) < _DISTINCT_MIN:
        return True
    piece = next(
        (
            chars
            for chars in range(1, UNGUESSED_MIN)
            if all(text[at] == text[at - chars] for at in range(chars, len(text)))
        ),
        0,
    )
    return piece > 0
