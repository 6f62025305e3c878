"""Gets one file from the outside over TLS, the way this machine is allowed to."""

from __future__ import annotations

import ssl
from contextlib import closing
from http.client import HTTPSConnection
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tollkeeper.http1.origin import Origin, Proxies
from tollkeeper.http1.tunnel import authorization_line
from tollkeeper.providers.genai_source import FILE_BYTES_MAX, UnusableSource

FETCH_S: Final = 60.0
_HTTPS_PORT: Final = 443
_HTTP_PORT: Final = 80


class Outside(NamedTuple):
    """How the outside is reached: by which proxies, and trusting which further authority.

    ``ca_file`` is "" where there is none beside those of this machine.
    """

    proxies: Proxies = Proxies()
    ca_file: str = ""


DIRECTLY: Final = Outside()


def download(url: str, outside: Outside) -> bytes:
    """Get a file, as long as it has a sensible size. Raises UnusableSource, OSError."""
    where = urlsplit(url)
    trusted = ssl.create_default_context()
    if outside.ca_file:
        trusted.load_verify_locations(outside.ca_file)
    host, port = where.hostname or "", where.port or _HTTPS_PORT
    with closing(_connection(Origin("https", host, port), outside, trusted)) as connection:
        connection.request("GET", where.path, headers={"user-agent": "tollkeeper"})
        reply = connection.getresponse()
        if reply.status != 200:
            raise UnusableSource(f"{host} answers {reply.status} {reply.reason}")
        data = reply.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise UnusableSource(f"larger than {FILE_BYTES_MAX >> 20} MB")
    return data


def _connection(origin: Origin, outside: Outside, trusted: ssl.SSLContext) -> HTTPSConnection:
    proxy = outside.proxies.for_origin(origin)
    if not proxy:
        return HTTPSConnection(origin.host, origin.port, timeout=FETCH_S, context=trusted)
    parts = urlsplit(proxy)
    connection = HTTPSConnection(
        parts.hostname or "", parts.port or _HTTP_PORT, timeout=FETCH_S, context=trusted
    )
    name, _, login = authorization_line(proxy).decode().strip().partition(": ")
    connection.set_tunnel(origin.host, origin.port, {name: login} if login else {})
    return connection
