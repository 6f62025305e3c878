"""Where a request comes from: its connection's other end, or whom a trusted proxy names."""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.access import VirtualKey
from tollkeeper.domain.networks import Networks, address_of, client_text
from tollkeeper.http1.messages import Request

_FORWARDED: Final = b"x-forwarded-for"


def came_from(request: Request, peer: str, trusted: Networks | None) -> str:
    """Give the address of whoever sent a request, as text; "" where it is not known.

    X-Forwarded-For counts only where the peer is one of the configured proxies.
    """
    if trusted is None:
        return peer
    said = [value for name, value in request.headers if name.lower() == _FORWARDED]
    return client_text(peer, b",".join(said).decode("latin-1"), trusted)


def may_come(key: VirtualKey, request: Request, peer: str, trusted: Networks | None) -> bool:
    """Tell whether a key that is bound to networks may be used from where a request comes."""
    return key.networks is None or address_of(came_from(request, peer, trusted)) in key.networks
