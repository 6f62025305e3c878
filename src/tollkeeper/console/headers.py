"""The headers that every answer carries, whatever made it."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Final

from starlette.datastructures import MutableHeaders

from tollkeeper.console.static_files import style_sheet

_OUR_STYLE: Final = b64encode(sha256(style_sheet().encode()).digest()).decode()

POLICY: Final = (
    "default-src 'none'; script-src 'self'; "
    f"style-src 'self' 'sha256-{_OUR_STYLE}'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types swap"
)
"""No inline script, no inline style but our own sheet word for word, nothing from elsewhere, no
framing; one way to make HTML."""

_ALWAYS: Final = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # Not "no-referrer": with it browsers send "Origin: null" with our own forms.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
)
_A_YEAR_S: Final = 31_536_000
_VARY: Final = "X-Swap, Cookie, Authorization"
NO_STORE: Final = "private, no-store"
"""Figures of a company are kept by no cache, the browser's own included."""

IMMUTABLE: Final = f"public, max-age={_A_YEAR_S}, immutable"


def guard(headers: MutableHeaders, *, secure: bool) -> None:
    """Put the headers on an answer. How long it may be kept is its own to say."""
    for name, value in _ALWAYS:
        headers[name] = value
    if secure:
        headers["Strict-Transport-Security"] = f"max-age={_A_YEAR_S}"
    if "cache-control" not in headers:
        headers["Cache-Control"] = NO_STORE
    if not headers["cache-control"].startswith("public"):
        headers.add_vary_header(_VARY)
