"""Channels: who is told, and by which way."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from tollkeeper.domain.outside import Target, host_of, require_host, target_of

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
KEY_PREFIX: Final = "whsec_"
KEY_BYTES_MIN: Final = 24
KEY_BYTES_MAX: Final = 64
_URL_CHARS_MAX: Final = 2_000
_SCHEME: Final = re.compile(r"([a-z0-9]+)://(.+)", re.DOTALL)
_FOREIGN: Final = re.compile(r"[\x00-\x20\x7f\\]")
_NO_CHECK: Final = re.compile(r"[?&]verify=", re.IGNORECASE)

FIXED: Final = frozenset(
    {
        *("slack", "discord", "workflows", "workflow", "tgram", "gchat", "wxteams"),
        *("pagerduty", "opsgenie", "incidentio", "ilert", "victorops", "spike", "squadcast"),
        *("pover", "pbul", "pushy", "join", "ifttt", "zulip", "twist", "flock", "guilded"),
        *("sendgrid", "mailgun", "postmark", "resend", "brevo", "sparkpost", "ses", "sns"),
        *("twilio", "signl4", "clicksend", "line", "feishu", "lark", "dingtalk", "zoom"),
    }
)
"""Services of Apprise that have an address of their own."""

HOSTED: Final = MappingProxyType(
    {
        **dict.fromkeys(("mailto", "mailtos"), "a mail server"),
        **dict.fromkeys(("ntfy", "ntfys"), "an ntfy server, or a topic of the public one"),
        **dict.fromkeys(("mmost", "mmosts"), "a Mattermost server"),
        **dict.fromkeys(("rocket", "rockets"), "a Rocket.Chat server"),
        **dict.fromkeys(("matrix", "matrixs"), "a Matrix server"),
        **dict.fromkeys(("gotify", "gotifys"), "a Gotify server"),
        **dict.fromkeys(("nctalk", "nctalks"), "a Nextcloud server"),
    }
)
"""Services of Apprise that are where somebody has put them: their host is in the URL."""

_PLAIN: Final = frozenset({"ntfy", "mmost", "rocket", "matrix", "gotify", "nctalk"})
"""Those of them that do without TLS."""

_WORDS: Final = MappingProxyType(
    {
        "slack": "Slack",
        "discord": "Discord",
        "workflows": "Teams",
        "workflow": "Teams",
        "mailto": "Mail",
        "mailtos": "Mail",
        "tgram": "Telegram",
        "gchat": "Google Chat",
    }
)


@dataclass(frozen=True, slots=True)
class Channel:
    """One way of telling somebody. Its URL is secret and shown nowhere; ``shown`` may be.

    ``target`` and ``secrets`` are those of a webhook, None and () for a chat or mail. It gets
    the ``events`` that one of its patterns matches; with ``is_digest`` once a day, all together.
    ``recoveries`` says whether it is told when something is well again.
    """

    name: str
    kind: str
    shown: str
    url: str = field(repr=False)
    target: Target | None = field(default=None, repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    events: tuple[str, ...] = ("*",)
    is_digest: bool = False
    recoveries: bool = True

    def wants(self, event: str, *, is_recovery: bool = False) -> bool:
        """Tell whether the channel is to have an event."""
        if is_recovery and not self.recoveries:
            return False
        return any(fnmatchcase(event, pattern) for pattern in self.events)


def webhook(name: str, url: str, secrets: Collection[str], named: Collection[str]) -> Channel:
    """Make a webhook. Raises ValueError with what is wrong; it shows nothing secret."""
    target = target_of(url, named)
    if not secrets:
        raise ValueError("needs a secret: whoever receives a message must know that we sent it")
    keys = tuple(webhook_key(secret) for secret in secrets)
    return Channel(name, "Webhook", target.shown, url, target, keys)


def chat(name: str, url: str, named: Collection[str]) -> Channel:
    """Make a chat, a mail or the like. Raises ValueError with what is wrong."""
    match = _SCHEME.fullmatch(url)
    if match is None or len(url) > _URL_CHARS_MAX or _FOREIGN.search(url):
        raise ValueError("is no address of a service: write slack://\N{HORIZONTAL ELLIPSIS}")
    scheme, rest = match[1], match[2]
    if scheme in {"json", "jsons", "xml", "xmls", "form", "forms", "http", "https"}:
        raise ValueError("is a plain web address: put it under webhooks, where it is signed")
    if scheme not in FIXED and scheme not in HOSTED:
        known = ", ".join(sorted({*FIXED, *HOSTED}))
        raise ValueError(f"{scheme[:20]}:// is no service that may be used here; known: {known}")
    if _NO_CHECK.search(rest):
        raise ValueError("must not say whether certificates are checked: they are")
    shown = f"{scheme}://\N{HORIZONTAL ELLIPSIS}"
    if scheme in HOSTED and not _has_own_place(scheme, rest):
        host = _host_in(rest)
        require_host(host, named)
        if scheme in _PLAIN and host not in named:
            raise ValueError(f"goes in the clear: write {scheme}s://, or name its host")
        shown = f"{scheme}://{host}/\N{HORIZONTAL ELLIPSIS}"
    return Channel(name, _WORDS.get(scheme, scheme.capitalize()), shown, url)


def server_of(channel: Channel) -> str:
    """Give the host that a channel's address names, "" for a service with an address of its own."""
    if channel.target is not None:
        return channel.target.host
    scheme, _, rest = channel.url.partition("://")
    if scheme not in HOSTED or _has_own_place(scheme, rest):
        return ""
    return _host_in(rest)


def webhook_key(secret: str) -> bytes:
    """Read a secret as Standard Webhooks writes it: ``whsec_`` and 24 to 64 bytes of base64.

    Raises ValueError, which shows nothing of it.
    """
    if not secret.startswith(KEY_PREFIX):
        raise ValueError(f"the secret must begin with {KEY_PREFIX}")
    text = secret.removeprefix(KEY_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"the secret must be base64 behind {KEY_PREFIX}") from None
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(f"the secret must be {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes")
    return key


def _has_own_place(scheme: str, rest: str) -> bool:
    """Tell whether the URL means the public server of a service, as ``ntfy://topic`` does."""
    return scheme in {"ntfy", "ntfys"} and re.fullmatch(r"[A-Za-z0-9_-]+/?", rest) is not None


def _host_in(rest: str) -> str:
    """Give the host of ``user:password@host:port/path``."""
    place = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    host = place if place.endswith("]") else place.rpartition(":")[0] or place
    try:
        return host_of(host)
    except ValueError as error:
        raise ValueError(f"{error}, where its server should be") from None
