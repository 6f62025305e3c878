"""Networks from which a key may be used: read once, compared as whole numbers on each call.

An IPv4 address that arrives written as IPv6 (``::ffff:192.0.2.1``) is that IPv4 address.
Anything else of IPv6 is never taken for IPv4.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

_MAPPED: Final = 0xFFFF << 32
_MAPPED_PREFIX_BITS: Final = 96
_ADDRESSES_REMEMBERED: Final = 4_096


class Address(NamedTuple):
    """An address as a number, and the version of its protocol."""

    version: int
    number: int


class _Range(NamedTuple):
    version: int
    mask: int
    network: int


class Networks:
    """A set of networks. An empty one holds no address: say ``None`` for no restriction.

    ``texts`` are the networks as people write them, each in its one usual form.
    """

    __slots__ = ("_ranges", "texts")

    def __init__(self, texts: Sequence[str]) -> None:
        """Take networks that ``network_text`` gave. Raises ValueError for what is none."""
        self.texts = tuple(texts)
        self._ranges = tuple(_range_of(read_network(text)) for text in texts)

    def __contains__(self, address: Address | None) -> bool:
        if address is None:
            return False
        version, number = address
        return any(
            version == each.version and number & each.mask == each.network for each in self._ranges
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Networks) and self.texts == other.texts

    def __hash__(self) -> int:
        return hash(self.texts)

    def __repr__(self) -> str:
        return f"Networks({self.texts!r})"


def read_network(text: str) -> IPv4Network | IPv6Network:
    """Read a network or a single address: ``10.0.0.0/8``, ``2001:db8::/32``, ``192.0.2.7``.

    Raises ValueError for anything else, also where bits of the host are set (``10.0.0.1/8``):
    nobody knows then whether one address was meant or the whole network.
    """
    network = ip_network(text.strip())
    if isinstance(network, IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= _MAPPED_PREFIX_BITS:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX_BITS))
        if network.network_address.scope_id:
            raise ValueError("a network has no zone")
    return network


def network_text(text: str) -> str:
    """Give the one usual form of a network. Raises ValueError as ``read_network`` does."""
    return str(read_network(text))


@lru_cache(maxsize=_ADDRESSES_REMEMBERED)
def address_of(text: str) -> Address | None:
    """Read an address; None for what is none. The latest few thousand are remembered."""
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    number = int(address)
    if address.version == 6 and number >> 32 == 0xFFFF:
        return Address(4, number - _MAPPED)
    return Address(address.version, number)


def networks_within(inner: Sequence[str], outer: Sequence[str]) -> bool:
    """Tell whether ``inner`` allows no address that ``outer`` does not. An empty list is all.

    Each inner network must lie in one outer network, so the answer may be no where only
    several together would cover it; it is never wrongly yes.
    """
    if not outer:
        return True
    wide = [read_network(text) for text in outer]
    return bool(inner) and all(
        any(_lies_in(read_network(text), each) for each in wide) for text in inner
    )


def client_text(peer: str, forwarded: str, trusted: Networks) -> str:
    """Say where a request comes from: the peer, or whom trusted proxies name.

    ``forwarded`` is what X-Forwarded-For says, each proxy adding at the right. It is read from
    the right as long as those who wrote it are trusted; whatever a caller put in front of that
    counts for nothing. "" where a trusted proxy wrote what is no address.
    """
    client = peer
    for text in reversed(forwarded.split(",")) if forwarded else ():
        if address_of(client) not in trusted:
            break
        client = _without_port(text.strip())
    return client if client == peer or address_of(client) is not None else ""


def _without_port(text: str) -> str:
    """Leave out the port that some proxies write: ``192.0.2.1:50443``, ``[2001:db8::1]:443``."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, colon, port = text.partition(":")
    return host if colon and port.isdigit() else text


def _range_of(network: IPv4Network | IPv6Network) -> _Range:
    return _Range(network.version, int(network.netmask), int(network.network_address))


def _lies_in(narrow: IPv4Network | IPv6Network, wide: IPv4Network | IPv6Network) -> bool:
    if isinstance(narrow, IPv4Network) and isinstance(wide, IPv4Network):
        return narrow.subnet_of(wide)
    if isinstance(narrow, IPv6Network) and isinstance(wide, IPv6Network):
        return narrow.subnet_of(wide)
    return False
