"""Addresses of our own: what may stand in a redirect."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

HOME: Final = "/"
_CHARS_MAX: Final = 2_000


def own_path(text: str) -> str:
    """Give a path and query of ours back; anything that could lead elsewhere becomes ``/``.

    Browsers take ``\\`` for ``/``, drop tabs and line ends inside an address, and read
    ``//host`` as another host.
    """
    if len(text) > _CHARS_MAX or not text.startswith("/") or text.startswith("//"):
        return HOME
    if "\\" in text or not text.isascii() or any(ord(each) <= 0x20 for each in text):
        return HOME
    return text


def own_path_of(address: str) -> str:
    """Give path and query of a whole address, such as a Referer's."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return HOME
    return own_path(parts.path + (f"?{parts.query}" if parts.query else ""))
