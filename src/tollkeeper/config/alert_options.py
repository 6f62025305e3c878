"""The ``alerts`` section of tollkeeper.yaml: who is told, of what, and how."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from tollkeeper.config import yaml_file
from tollkeeper.domain.channels import NAME, Channel, chat, webhook
from tollkeeper.domain.outside import host_of

CHANNELS_MAX: Final = 50
EVENTS_MAX: Final = 20
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_EVENT: Final = re.compile(r"[a-z0-9_.*?]{1,60}")


class NotifyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One chat, mail or the like of ``alerts.notify``; a text alone is its ``url``."""

    url: str
    name: str = ""
    events: list[str] = []
    digest: Literal["", "daily"] = ""
    recoveries: bool = True


class WebhookOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of ``alerts.webhooks``. Of several secrets each signs, while one replaces another."""

    url: str
    secret: str | list[str] = ""
    name: str = ""
    events: list[str] = []
    digest: Literal["", "daily"] = ""
    recoveries: bool = True


class AlertOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``off`` names rules that are not looked at. ``min_usd`` and ``deviations`` are those of
    the rules that compare spending with what is usual."""

    notify: list[str | NotifyOptions] = []
    webhooks: list[WebhookOptions] = []
    allow_private: list[str] = []
    digest_at: str = "08:00"
    off: list[str] = []
    min_usd: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1
    deviations: Annotated[int, msgspec.Meta(ge=1, le=100)] = 6


class AlertSettings(NamedTuple):
    """The section, read and found good. ``named`` are hosts that may be inside."""

    channels: tuple[Channel, ...] = ()
    named: frozenset[str] = frozenset()
    digest_minute: int = 480
    off: frozenset[str] = frozenset()
    min_usd: int = 1
    deviations: int = 6


def alert_settings(
    document: yaml_file.Document, options: AlertOptions, rules: Collection[str]
) -> AlertSettings:
    """Read the section. Raises ConfigError, which names the line and shows no address."""
    named = frozenset(_hosts(document, options.allow_private))
    channels: list[Channel] = []
    for number, each in enumerate(options.notify):
        path: yaml_file.Path = ("alerts", "notify", number)
        entry = NotifyOptions(each) if isinstance(each, str) else each
        at = path if isinstance(each, str) else (*path, "url")
        scheme = entry.url.partition("://")[0][:20].lower()
        name = _name(document, path, entry.name, f"{scheme}-{number + 1}", channels)
        try:
            made = chat(name, entry.url, named)
        except ValueError as error:
            raise document.error(at, f"the address {error}") from None
        channels.append(_narrowed(document, path, made, entry))
    for number, hook in enumerate(options.webhooks):
        path = ("alerts", "webhooks", number)
        name = _name(document, path, hook.name, f"webhook-{number + 1}", channels)
        secrets = [hook.secret] if isinstance(hook.secret, str) else hook.secret
        try:
            made = webhook(name, hook.url, [it for it in secrets if it], named)
        except ValueError as error:
            is_secret = "secret" in str(error)
            at = (*path, "secret" if is_secret else "url")
            subject = "" if is_secret else "the address "
            hint = "make one with: openssl rand -base64 32, behind whsec_" if is_secret else ""
            raise document.error(at, f"{subject}{error}", hint) from None
        channels.append(_narrowed(document, path, made, hook))
    if len(channels) > CHANNELS_MAX:
        raise document.error(("alerts",), f"at most {CHANNELS_MAX} channels")
    for number, rule in enumerate(options.off):
        if rule not in rules:
            known = f"known: {', '.join(rules)}"
            raise document.error(("alerts", "off", number), "no such rule", known)
    return AlertSettings(
        tuple(channels),
        named,
        _minute(document, options.digest_at),
        frozenset(options.off),
        options.min_usd,
        options.deviations,
    )


def _hosts(document: yaml_file.Document, listed: Iterable[str]) -> Iterable[str]:
    for number, text in enumerate(listed):
        try:
            yield host_of(text)
        except ValueError:
            raise document.error(
                ("alerts", "allow_private", number), "is no host", "write hooks.internal"
            ) from None


def _name(
    document: yaml_file.Document,
    path: yaml_file.Path,
    given: str,
    usual: str,
    others: Iterable[Channel],
) -> str:
    name = given or usual
    if not NAME.fullmatch(name):
        if given:
            reason = "a channel's name is 1 to 40 small letters, digits, -, _ and ."
            raise document.error((*path, "name"), reason)
        name = f"channel-{int(path[-1]) + 1}"
    if any(other.name == name for other in others):
        raise document.error(path, f"there are two channels {name!r}", "give each a name")
    return name


def _narrowed(
    document: yaml_file.Document, path: yaml_file.Path, made: Channel, options: Any
) -> Channel:
    """Add what a channel is told of, and when."""
    events = options.events
    if len(events) > EVENTS_MAX or not all(map(_EVENT.fullmatch, events)):
        raise document.error((*path, "events"), "are patterns of events", "events: [budget.*]")
    return Channel(
        made.name,
        made.kind,
        made.shown,
        made.url,
        made.target,
        made.secrets,
        tuple(events) or ("*",),
        options.digest == "daily",
        options.recoveries,
    )


def _minute(document: yaml_file.Document, text: str) -> int:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise document.error(("alerts", "digest_at"), "is a time of the day", 'digest_at: "08:00"')
    return int(found[1]) * 60 + int(found[2])
