"""The faults that a request can ask for, by name: an upstream at its worst, on demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tollkeeper.domain.errors import BadRequest

NUMBER_MAX: Final = 100_000
_STATUS_MIN: Final = 400
_STATUS_MAX: Final = 599
_WORD_CHARS_MAX: Final = 64


class FaultKind(NamedTuple):
    """One kind of fault. ``number`` is taken if none is given, None if it takes none."""

    says: str
    number: int | None = None
    takes_word: bool = False


FAULT_KINDS: Final[Mapping[str, FaultKind]] = {
    "reset": FaultKind("reset the connection instead of answering"),
    "reset-after": FaultKind("reset the connection after N pieces", 1),
    "eof-after": FaultKind("close the connection after N pieces", 1),
    "hang": FaultKind("take the request and stay silent"),
    "hang-after": FaultKind("stay silent after N pieces", 1),
    "no-done": FaultKind("end a stream without its end marker"),
    "error-event": FaultKind("send an error inside the reply after N pieces", 1),
    "truncated-json": FaultKind("cut the JSON in its middle, within correct HTTP"),
    "length-short": FaultKind("announce 10 bytes less than are sent"),
    "length-long": FaultKind("announce 10 bytes more than are sent, then close"),
    "two-lengths": FaultKind("announce two lengths that contradict each other"),
    "length-and-chunked": FaultKind("announce a length and chunks"),
    "garbage": FaultKind("answer with bytes that are not HTTP"),
    "two-replies": FaultKind("send a second reply that nobody asked for"),
    "interim": FaultKind("send N interim replies (103) first", 3),
    "many-headers": FaultKind("send N header fields more", 1_000),
    "redirect": FaultKind("redirect to /sandbox/redirected on the same host", 307),
    "http10": FaultKind("answer as HTTP/1.0: no length, the end is the close"),
    "slow-headers": FaultKind("send the head in N slices with gaps", 10),
    "early-413": FaultKind("refuse before the body is read"),
    "chunk-extensions": FaultKind("use chunk extensions and trailers"),
    "gzip": FaultKind("compress although that was not asked for"),
    "sse-crlf": FaultKind("end the lines of a stream with CR LF"),
    "sse-cr": FaultKind("end the lines of a stream with CR"),
    "sse-comments": FaultKind("put comments and a byte order mark into a stream"),
}
"""Name → what it does. Any status of an error (400 to 599) is a fault too."""


class Fault(NamedTuple):
    """One fault: its name, the number behind its colon, and the word of a status."""

    name: str
    number: int = 0
    word: str = ""

    @property
    def status(self) -> int:
        """Give the status that is asked for, 0 if the fault is another one."""
        return int(self.name) if self.name.isdigit() else 0


def read_fault(text: str) -> Fault | None:
    """Read ``name``, ``name:number`` or ``status:retry-after``; "none" gives None.

    Raises BadRequest, which lists the names, for anything else.
    """
    name, _, more = text.strip().partition(":")
    if name in {"", "none"}:
        return None
    if name.isdecimal() and name.isascii() and _STATUS_MIN <= int(name[:4]) <= _STATUS_MAX:
        return Fault(name, word=_word(more))
    kind = FAULT_KINDS.get(name)
    if kind is None:
        raise BadRequest(
            f"there is no fault {name[:_WORD_CHARS_MAX]!r}; known: {', '.join(fault_names())}",
            code="fault_unknown",
        )
    if not more:
        return Fault(name, kind.number or 0)
    if kind.number is None or not more.isdigit() or int(more[:9]) > NUMBER_MAX:
        expected = "takes no number" if kind.number is None else f"takes a number to {NUMBER_MAX}"
        raise BadRequest(f"the fault {name} {expected}", code="fault_invalid")
    return Fault(name, int(more))


def fault_names() -> list[str]:
    """List what can be asked for, as it is written."""
    named = [
        f"{name}[:N]" if kind.number is not None else name for name, kind in FAULT_KINDS.items()
    ]
    return ["400…599[:retry-after]", *named]


def _word(text: str) -> str:
    """Check the text of a Retry-After: anything printable, so that nonsense can be tested."""
    if len(text) > _WORD_CHARS_MAX or not text.isascii() or not text.isprintable():
        raise BadRequest("the text behind the status fits no header", code="fault_invalid")
    return text.strip()
