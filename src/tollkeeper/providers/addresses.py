"""Base URLs: what an operator may give, and the addresses of a provider that follow from it."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.routing import Dialect
from tollkeeper.providers.kinds import Kind

_FOREIGN: Final = re.compile(r"[^!-~]|[\\\"<>^`{|}]|/\.{1,2}(?:/|$)|(?<!:)//|%2[ef]|%5c", re.I)
_VERSION_AT_END: Final = re.compile(r"/v\d[a-z0-9]*$")
_FROM_VERSION: Final = re.compile(r"/v\d[a-z0-9]*(?:/.*)?$")
_PLACE: Final = re.compile(r"[a-z0-9][a-z0-9:.-]{0,62}")
_PRIVATE_SUFFIXES: Final = (
    ".localhost",
    ".local",
    ".internal",
    ".lan",
    ".home.arpa",
    ".svc",
    ".svc.cluster.local",
)


def addresses(kind: Kind, base_url: str) -> tuple[str, dict[Dialect, str]]:
    """Give the root and the base URL of each dialect.

    A base URL is read as the clients of the kind's own dialect have it. For OpenAI it ends
    in the version, which a bare host gets by itself ("http://host/" stays as it is); for
    Anthropic the version may be left out; for Google a bare host leaves it to the caller.
    Further dialects are expected beside it where the layout is the vendor's own.
    """
    if not base_url:
        if not kind.root:
            raise ConfigError(
                "base_url is missing: every customer has an address of their own",
                hint="for example https://my-resource.openai.azure.com",
            )
        return kind.root, {dialect: kind.root + it.path for dialect, it in kind.dialects.items()}
    own, spoken = next(iter(kind.dialects.items()))
    base = _own_base(own, kind, base_url)
    if not base.endswith(spoken.path):
        return _FROM_VERSION.sub("", base), {own: base}
    root = base.removesuffix(spoken.path)
    if not spoken.path:
        root = _FROM_VERSION.sub("", base)
    beside = {dialect: root + it.path for dialect, it in kind.dialects.items() if dialect != own}
    return root, {own: base} | beside


def checked_base_url(url: str, *, allow_http: bool) -> str:
    """Give a base URL back, or raise ConfigError. "" stays "".

    Plain http is for hosts nearby: keys and prompts would be readable on the way to others.
    """
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError("base_url is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError("base_url must begin with https:// or http:// and name a host")
    if "@" in parts.netloc:
        raise ConfigError(
            "base_url must not contain a user or password", hint="use api_key or headers"
        )
    if "?" in url or "#" in url:
        raise ConfigError("base_url must not contain a query or fragment")
    if _FOREIGN.search(url):
        raise ConfigError("base_url contains characters that do not belong in one")
    if parts.scheme == "http" and not allow_http and not _is_near(parts):
        raise ConfigError(
            "base_url is plain http to a host that is not private",
            hint="use https, or set allow_http: true",
        )
    return url


def vertex_base_url(project: str, location: str) -> str:
    """Give the base URL of one project and location of Google's Vertex AI."""
    if not _PLACE.fullmatch(project) or not _PLACE.fullmatch(location):
        raise ConfigError("vertex needs both project and location, or neither")
    region = "" if location == "global" else f"{location}-"
    return (
        f"https://{region}aiplatform.googleapis.com/v1/projects/{project}"
        f"/locations/{location}/publishers/google"
    )


def _own_base(own: Dialect, kind: Kind, base_url: str) -> str:
    base = base_url.rstrip("/")
    if own is Dialect.ANTHROPIC:
        return base if _VERSION_AT_END.search(base) else f"{base}/v1"
    if own is Dialect.GEMINI:
        return base
    path = kind.dialects[own].path
    if not kind.root:
        # The vendor's pages show such an address in several lengths; all mean the same.
        return base + path.removeprefix(urlsplit(base).path)
    return base if urlsplit(base_url).path else base + path


def _is_near(parts: SplitResult) -> bool:
    """Tell whether a host is this machine or on a private network, by its name alone."""
    host = (parts.hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES)
    return address.is_loopback or (address.is_private and not address.is_link_local)
