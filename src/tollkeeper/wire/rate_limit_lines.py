"""Rate limits as each vendor's clients read them: header lines of a reply, a detail of a refusal.

The names and forms are those that the vendors document: OpenAI writes a reset as a duration
("1s", "6m0s"), Anthropic as the time (RFC 3339) at which all will be there again, Google tells
it in the error's details. Other clients get OpenAI's names with plain seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from tollkeeper.domain.rate_limits import RateLimited, Standing, WindowState
from tollkeeper.domain.routing import Dialect

_MINUTE_S: Final = 60
_SECOND_US: Final = 1_000_000
_PLAIN: Final = (
    b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %d\r\nx-ratelimit-reset-%b: %b\r\n"
)
_ANTHROPIC: Final = (
    b"anthropic-ratelimit-%b-limit: %d\r\n"
    b"anthropic-ratelimit-%b-remaining: %d\r\n"
    b"anthropic-ratelimit-%b-reset: %b\r\n"
)
_OF_LIMITS: Final = b"imit-"  # in whatever case they write it; most replies have no such line
_THEIRS: Final = {
    kind: re.compile(
        rb"(?im)^(?:x-ratelimit-(?:limit|remaining|reset)-%b"
        rb"|anthropic-ratelimit-%b-(?:limit|remaining|reset)):[^\r\n]*\r\n" % (kind, kind)
    )
    for kind in (b"requests", b"tokens")
}


def with_standing(lines: bytes, standing: Standing, dialect: Dialect, now_us: int) -> bytes:
    """Put where the caller stands into the header lines of a reply.

    What the provider says of its own limits stays where no rule of ours counts the same.
    """
    for kind, state in ((b"requests", standing.requests), (b"tokens", standing.tokens)):
        if state is not None:
            if _OF_LIMITS in lines:
                lines = _THEIRS[kind].sub(b"", lines)
            lines += _lines(kind, state, dialect, now_us)
    return lines


def retry_detail(error: RateLimited) -> dict[str, Any]:
    """Give the detail by which Google's clients know when to come back."""
    return {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": f"{error.retry_after_s}s",
    }


def _lines(kind: bytes, state: WindowState, dialect: Dialect, now_us: int) -> bytes:
    form, reset = _PLAIN, b"%d" % state.reset_s
    if dialect is Dialect.ANTHROPIC:
        form, reset = _ANTHROPIC, _time_text(now_us, state.reset_s)
    elif dialect is Dialect.OPENAI:
        reset = _duration_text(state.reset_s)
    return form % (kind, state.limit, kind, state.left, kind, reset)


def _duration_text(duration_s: int) -> bytes:
    minutes, seconds = divmod(duration_s, _MINUTE_S)
    return b"%dm%ds" % (minutes, seconds) if minutes else b"%ds" % seconds


def _time_text(now_us: int, after_s: int) -> bytes:
    """Write the time that is so many seconds away, rounded up to a second."""
    at_s = -(-now_us // _SECOND_US) + after_s
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}".encode()
