"""Rate limits as each vendor's clients read them: header lines of a reply, a detail of a refusal.

The names and forms are those that the vendors document: OpenAI writes a reset as a duration
("1s", "6m0s"), Anthropic as the time (RFC 3339) at which all will be there again, Google tells
it in the error's details. Other clients get OpenAI's names with plain seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from tollkeeper.domain.rate_limits import RateLimited, Standing, WindowState
from tollkeeper.domain.routing import Dialect

_MINUTE_S: Final = 60
_SECOND_US: Final = 1_000_000
_PLAIN: Final = (
    "x-ratelimit-limit-{kind}: %d\r\n"
    "x-ratelimit-remaining-{kind}: %d\r\n"
    "x-ratelimit-reset-{kind}: %b\r\n"
)
_ANTHROPIC: Final = (
    "anthropic-ratelimit-{kind}-limit: %d\r\n"
    "anthropic-ratelimit-{kind}-remaining: %d\r\n"
    "anthropic-ratelimit-{kind}-reset: %b\r\n"
)
_KINDS: Final = ("requests", "tokens")
_PLAIN_LINES: Final = tuple(_PLAIN.format(kind=kind).encode() for kind in _KINDS)
_ANTHROPIC_LINES: Final = tuple(_ANTHROPIC.format(kind=kind).encode() for kind in _KINDS)
_OF_LIMITS: Final = b"imit-"  # in whatever case they write it; most replies have no such line
_THEIRS: Final = tuple(
    re.compile(
        rb"(?im)^(?:x-ratelimit-(?:limit|remaining|reset)-%b"
        rb"|anthropic-ratelimit-%b-(?:limit|remaining|reset)):[^\r\n]*\r\n"
        % (kind.encode(), kind.encode())
    )
    for kind in _KINDS
)


def with_standing(lines: bytes, standing: Standing, dialect: Dialect, now_us: int) -> bytes:
    """Put where the caller stands into the header lines of a reply.

    What the provider says of its own limits stays where no rule of ours counts the same.
    """
    for place, state in enumerate(standing):
        if state is not None:
            if _OF_LIMITS in lines:
                lines = _THEIRS[place].sub(b"", lines)
            lines += _lines(place, state, dialect, now_us)
    return lines


def retry_detail(error: RateLimited) -> dict[str, Any]:
    """Give the detail by which Google's clients know when to come back."""
    return {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": f"{error.retry_after_s}s",
    }


def _lines(place: int, state: WindowState, dialect: Dialect, now_us: int) -> bytes:
    limit, left, reset_s = state
    if dialect is Dialect.OPENAI:
        return _PLAIN_LINES[place] % (limit, left, _duration_text(reset_s))
    if dialect is Dialect.ANTHROPIC:
        at_s = -(-now_us // _SECOND_US) + reset_s
        return _ANTHROPIC_LINES[place] % (limit, left, _time_text(at_s))
    return _PLAIN_LINES[place] % (limit, left, b"%d" % reset_s)


@lru_cache(maxsize=128)
def _duration_text(duration_s: int) -> bytes:
    minutes, seconds = divmod(duration_s, _MINUTE_S)
    return b"%dm%ds" % (minutes, seconds) if minutes else b"%ds" % seconds


@lru_cache(maxsize=128)
def _time_text(at_s: int) -> bytes:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}".encode()
