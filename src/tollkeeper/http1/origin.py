"""Where an upstream lives: scheme, host and port, or a unix socket."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit


class Origin(NamedTuple):
    """One place to connect to. ``unix_path`` is set instead of host and port for a socket."""

    scheme: str
    host: str
    port: int
    unix_path: str = ""

    @property
    def host_header(self) -> bytes:
        """Give the value of the Host header for this origin."""
        default = 443 if self.scheme == "https" else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == default else f"{host}:{self.port}").encode("ascii")


class Place(NamedTuple):
    """A base URL taken apart: where to connect, and the path that everything is put behind."""

    origin: Origin
    prefix: str


def parse_base_url(url: str) -> Place:
    """Read a base URL: ``https://host[:port][/prefix]`` or ``unix:/path/of/socket``.

    Raises ValueError with a sentence that says what is wrong.
    """
    if url.startswith("unix:"):
        path = url.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError(f"a unix socket needs an absolute path: {url!r}")
        return Place(Origin("http", "localhost", 80, path), "")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"a base URL starts with https:// or http://: {url!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a base URL has no user, query or fragment")
    if not parts.hostname:
        raise ValueError(f"a base URL names a host: {url!r}")
    host = (
        parts.hostname.encode("idna").decode("ascii")
        if not parts.hostname.isascii()
        else (parts.hostname)
    )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Place(Origin(parts.scheme, host, port), parts.path.rstrip("/"))


class Proxies(NamedTuple):
    """The outgoing proxies of this machine. Empty texts where there is none.

    ``bypass`` lists host suffixes that are reached directly ("*" for all).
    """

    http: str = ""
    https: str = ""
    bypass: tuple[str, ...] = ()

    def for_origin(self, origin: Origin) -> str:
        """Give the proxy URL to use for an origin, "" to connect directly."""
        if origin.unix_path:
            return ""
        for suffix in self.bypass:
            bare = suffix.lstrip("*.")
            if suffix == "*" or origin.host == bare or (bare and origin.host.endswith("." + bare)):
                return ""
        return self.https if origin.scheme == "https" else self.http
