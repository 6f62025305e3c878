"""Slows down guessing: how often an address may fail to sign in."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

from tollkeeper.domain.errors import Refused

FAILURES_MAX: Final = 10
WINDOW_S: Final = 60.0
ADDRESSES_MAX: Final = 10_000


class TooManyAttempts(Refused):
    """Somebody failed too often in a short time."""

    code = "too_many_attempts"
    status = 429


class Attempts:
    """Counts failures by address; the oldest addresses are forgotten first."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()  # → (since, how many)

    def require_few(self, address: str, now_s: float) -> None:
        """Raise TooManyAttempts for an address that has failed too often."""
        since_s, failures = self._failures.get(_network(address), (now_s, 0))
        left_s = since_s + WINDOW_S - now_s
        if failures >= FAILURES_MAX and left_s > 0:
            raise TooManyAttempts(
                "too many attempts from this address; wait a minute",
                retry_after_s=max(1, round(left_s)),
            )

    def failed(self, address: str, now_s: float) -> None:
        """Count a failure."""
        network = _network(address)
        since_s, failures = self._failures.pop(network, (now_s, 0))
        if now_s - since_s >= WINDOW_S:
            since_s, failures = now_s, 0
        self._failures[network] = (since_s, failures + 1)
        if len(self._failures) > ADDRESSES_MAX:
            self._failures.popitem(last=False)


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
    return address
