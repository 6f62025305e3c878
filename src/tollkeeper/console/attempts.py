"""Slows down guessing: who has to wait before they may try to sign in again.

Failures are counted in three ways. By address, so that one machine cannot try many people. By
person and address, so that it cannot try one person often, while that person comes in from
elsewhere. And by person alone, from so many failures on that many machines must be at work;
that delay is short, so that nobody is locked out, and a link works meanwhile.

Every try counts as a failure from its start until it has succeeded: however many come at once,
no more are let through than one after the other.
"""

from __future__ import annotations

import math
import unicodedata
from ipaddress import IPv6Address, ip_address
from typing import Final

from tollkeeper.console.throttle import Pace, Throttle
from tollkeeper.domain.errors import Refused

FAILURES_MAX: Final = 10
"""How often an address may fail before it has to wait."""

_QUARTER_S: Final = 900.0
ADDRESS: Final = Pace(FAILURES_MAX, 4.0, 60.0, _QUARTER_S)
PERSON_AT_ADDRESS: Final = Pace(5, 2.0, _QUARTER_S, 2 * _QUARTER_S)
PERSON: Final = Pace(20, 1.0, 30.0, _QUARTER_S)


class TooManyAttempts(Refused):
    """Somebody failed too often in a short time."""

    code = "too_many_attempts"
    status = 429


class Attempts:
    """Remembers failures. Used by one thread; times are seconds of one clock."""

    def __init__(self) -> None:
        self._links = Throttle(ADDRESS)
        self._addresses = Throttle(ADDRESS)
        self._pairs = Throttle(PERSON_AT_ADDRESS)
        self._people = Throttle(PERSON)

    def __len__(self) -> int:
        """Count what is remembered."""
        return len(self._links) + len(self._addresses) + len(self._pairs) + len(self._people)

    def require_few(self, address: str, now_s: float) -> None:
        """Raise TooManyAttempts for an address that has failed too often, without passwords."""
        _require_none(self._links.wait_s(_network(address), now_s))

    def failed(self, address: str, now_s: float) -> None:
        """Count a failure of an address, with a link or the like.

        Links are random enough by themselves, and are what is left when passwords have to wait.
        """
        self._links.failed(_network(address), now_s)

    def begin(self, person: str, address: str, now_s: float) -> None:
        """Count a try to be somebody, named as they typed it.

        Raises TooManyAttempts, and counts nothing, where one has to wait first.
        """
        network, named = _network(address), _person(person)
        tried = self._by(named, network)
        _require_none(max(throttle.wait_s(name, now_s) for throttle, name in tried))
        for throttle, name in tried:
            throttle.failed(name, now_s)

    def succeeded(self, person: str, address: str, now_s: float) -> None:
        """Say that a try was right. What the person failed before is forgotten.

        Not so what the address failed: whoever has an account could otherwise go on guessing.
        """
        network, named = _network(address), _person(person)
        self._addresses.take_back(network, now_s)
        self._pairs.forgive(f"{named}\n{network}")
        self._people.forgive(named)

    def not_tried(self, person: str, address: str, now_s: float) -> None:
        """Say that a try came to nothing for a reason of ours."""
        for throttle, name in self._by(_person(person), _network(address)):
            throttle.take_back(name, now_s)

    def _by(self, person: str, network: str) -> tuple[tuple[Throttle, str], ...]:
        return (
            (self._addresses, network),
            (self._pairs, f"{person}\n{network}"),
            (self._people, person),
        )


def _require_none(wait_s: float) -> None:
    if wait_s > 0:
        left_s = max(1, math.ceil(wait_s))
        unit = "second" if left_s == 1 else "seconds"
        raise TooManyAttempts(
            f"too many attempts; try again in {left_s} {unit}", retry_after_s=left_s
        )


def _person(named: str) -> str:
    """Give a person's address as all ways to write it have in common."""
    return unicodedata.normalize("NFC", named).strip().lower()


def _network(address: str) -> str:
    """Give what one subscriber holds: an IPv4 address, or 64 bits of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return f"{int(parsed) >> 64:x}::/64"
    return str(parsed)
