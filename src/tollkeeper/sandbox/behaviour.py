"""How a reply is to be given: chosen by a request's headers, else by the process's defaults."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from tollkeeper.domain.errors import BadRequest
from tollkeeper.sandbox.faults import NUMBER_MAX, Fault, read_fault

HEADER_PREFIX: Final = b"x-sandbox-"
NONCE_CHARS_MAX: Final = 200


class UsageStyle(enum.StrEnum):
    """How a reply states its usage. What is billed is always the truth."""

    TRUE = "true"
    NONE = "none"
    NULL = "null"
    TWICE = "twice"  # streams only
    NEGATIVE = "negative"
    HUGE = "huge"  # 2^63 for every count
    WRONG_CHUNK = "wrong-chunk"  # streams only: in the first piece instead of the last
    CUMULATIVE = "cumulative"  # streams only: growing in every piece


class Behaviour(NamedTuple):
    """The choices. None leaves one to what is natural for the reply.

    ``ttft_ms`` passes before the first byte, ``gap_ms`` between pieces (0: all in one
    write). ``chunks`` is the number of pieces. ``output_tokens`` and ``reply_bytes`` set the
    length of the text and of the body. ``cached_tokens`` of the prompt count as read from a
    cache, ``reasoning_tokens`` are thought before the text.
    """

    ttft_ms: int = 0
    chunks: int | None = None
    gap_ms: int = 0
    output_tokens: int | None = None
    reply_bytes: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage: UsageStyle = UsageStyle.TRUE
    fault: Fault | None = None


ORDINARY: Final = Behaviour()

_LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "ttft-ms": (0, 600_000),
    "chunks": (1, NUMBER_MAX),
    "gap-ms": (0, 60_000),
    "output-tokens": (1, 1_000_000),
    "reply-bytes": (1, 64 << 20),
    "cached-tokens": (0, 10_000_000),
    "reasoning-tokens": (0, 1_000_000),
}
OPTIONS: Final = (*_LIMITS, "usage", "fault")
"""Names of the choices: headers ``x-sandbox-…``, options ``--…`` of the process."""


def with_options(behaviour: Behaviour, options: Mapping[str, str]) -> Behaviour:
    """Lay written choices over others. Raises BadRequest, which names the one at fault."""
    chosen: dict[str, Any] = {}
    for name, text in options.items():
        field = name.replace("-", "_")
        if name in _LIMITS:
            chosen[field] = _number(name, text)
        elif name == "usage":
            chosen[field] = _usage_style(text)
        elif name == "fault":
            chosen[field] = read_fault(text)
        else:
            known = ", ".join(f"x-sandbox-{option}" for option in ("nonce", *OPTIONS))
            raise BadRequest(f"there is no x-sandbox-{name}; known: {known}", code="option_unknown")
    return behaviour._replace(**chosen) if chosen else behaviour


def read_headers(
    headers: Iterable[tuple[bytes, bytes]], defaults: Behaviour
) -> tuple[Behaviour, str]:
    """Give the behaviour that a request's headers ask for, and its nonce ("" without one)."""
    options: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower.startswith(HEADER_PREFIX):
            options[lower[len(HEADER_PREFIX) :].decode("latin-1")] = value.decode("latin-1")
    if not options:
        return defaults, ""
    nonce = options.pop("nonce", "")[:NONCE_CHARS_MAX]
    return with_options(defaults, options), nonce


def _number(name: str, text: str) -> int:
    least, most = _LIMITS[name]
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or not least <= int(text[:12]) <= most:
        raise BadRequest(
            f"x-sandbox-{name} is a whole number from {least} to {most}", code="option_invalid"
        )
    return int(text)


def _usage_style(text: str) -> UsageStyle:
    try:
        return UsageStyle(text.strip())
    except ValueError:
        known = ", ".join(UsageStyle)
        raise BadRequest(f"x-sandbox-usage is one of {known}", code="option_invalid") from None
