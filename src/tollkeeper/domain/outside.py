"""What lies outside: addresses that messages may go to, and where a URL leads.

A URL that somebody typed must not make us knock at our own machine's or network's doors. So
there is one strict reading of a URL, names are looked up once, every address that a name has
is looked at, and the connection goes to an address that was looked at.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

URL_CHARS_MAX: Final = 2_000
_PORT_MAX: Final = 65_535
_HOST_CHARS_MAX: Final = 253
_PORTS: Final = {"https": 443, "http": 80}
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?P<query>\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_IPV4: Final = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")

# Lists of our own and not the library's word for "global", which differs between versions and
# takes what is tunnelled to an inner address for an outer one.
_INSIDE_V4: Final = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # the host's own service in a well-known cloud
        ),
    )
)
_OUTSIDE_V6: Final = ip_network("2000::/3")
_INSIDE_V6: Final = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NEVER: Final = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            *("168.63.129.16/32", "100.100.100.200/32"),
            *("::/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128"),
        ),
    )
)
"""Not even for hosts that the operator names: metadata services, and what is no host at all."""


class Target(NamedTuple):
    """Where a URL leads. ``path`` has the query. ``is_named`` tells that the operator allows
    this host to be inside."""

    scheme: str
    host: str
    port: int
    path: str
    is_named: bool

    @property
    def host_header(self) -> str:
        """Give the value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """Give what may be shown of it: paths of webhooks are often secret."""
        return f"{self.scheme}://{self.host_header}/\N{HORIZONTAL ELLIPSIS}"


def target_of(url: str, named: Collection[str] = ()) -> Target:
    """Read a URL. ``named`` are hosts that may be inside, and be reached without TLS.

    Raises ValueError with a sentence that says what is wrong, and shows nothing of the URL.
    """
    if len(url) > URL_CHARS_MAX:
        raise ValueError(f"is longer than {URL_CHARS_MAX} characters")
    match = _URL.fullmatch(url)
    if match is None:
        if "@" in url.partition("?")[0]:
            raise ValueError("must not contain a user or password")
        raise ValueError("is no https URL: write https://host/path, without #, \\ or spaces")
    scheme, port_text = match["scheme"], match["port"]
    host = host_of(match["host"])
    port = int(port_text) if port_text else _PORTS[scheme]
    if not 1 <= port <= _PORT_MAX:
        raise ValueError(f"names no port from 1 to {_PORT_MAX}")
    is_named = host in named
    require_host(host, named)
    if scheme == "http" and not is_named:
        raise ValueError("must begin with https://, unless allow_private names its host")
    return Target(scheme, host, port, (match["path"] or "/") + (match["query"] or ""), is_named)


def host_of(text: str) -> str:
    """Give a host in the one way that we write it. Raises ValueError for what is none."""
    host = text.lower().removeprefix("[").removesuffix("]")
    if ":" in host or text.startswith("["):
        try:
            return str(IPv6Address(host))
        except ValueError:
            raise ValueError("names no host: this is no IPv6 address") from None
    if _IPV4.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise ValueError("names no host: this is no IPv4 address") from None
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        raise ValueError("names a host by a number: write an address as 192.0.2.1")
    if len(host) > _HOST_CHARS_MAX or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("names no host")
    return host


def require_host(host: str, named: Collection[str]) -> None:
    """Raise ValueError for a host that is inside by its name or address alone."""
    address = _address_of(host)
    if address is not None:
        if not may_connect(host, is_named=host in named):
            raise ValueError(
                "points inside: this address is not on the public internet, or of no host"
            )
    elif host not in named and ("." not in host or host.endswith(".localhost")):
        raise ValueError("points inside: such a name is known only there")


def may_connect(address: str, *, is_named: bool = False) -> bool:
    """Tell whether a message may go to an address; ``is_named`` for hosts that may be inside."""
    found = _address_of(address.partition("%")[0])
    if found is None or "%" in address:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if any(found in network for network in _NEVER if network.version == found.version):
        return False
    return is_named or _is_outside(found)


def _is_outside(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _INSIDE_V4)
    return address in _OUTSIDE_V6 and not any(address in network for network in _INSIDE_V6)


def _address_of(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
