"""The ``digest`` section of tollkeeper.yaml: who gets a weekly digest, and when."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec

from tollkeeper.config import yaml_file
from tollkeeper.config.mail import MailOptions
from tollkeeper.domain.channels import NAME, chat
from tollkeeper.domain.digests import WEEKDAYS, DigestChat, DigestSettings
from tollkeeper.domain.errors import BadRequest
from tollkeeper.services.names import clean_email

COMPANY_MAX: Final = 50
CHATS_MAX: Final = 50
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


class DigestChatOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One chat of ``digest.chats``; a text alone is its ``url``."""

    url: str
    team: str = ""
    name: str = ""


class DigestOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Off until it is switched on. Without ``company`` admins and finance get the company's."""

    enabled: bool = False
    day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = (
        "monday"
    )
    at: str = "08:00"
    timezone: str = ""
    company: list[str] = []
    leads: bool = True
    chats: list[str | DigestChatOptions] = []


class Others(Protocol):
    """What other sections say that a digest needs to know."""

    @property
    def timezone(self) -> str: ...
    @property
    def mail(self) -> MailOptions: ...


def digest_settings(
    document: yaml_file.Document,
    options: DigestOptions,
    others: Others,
    named: Collection[str],
) -> DigestSettings:
    """Read the section. ``named`` are hosts of chats that may be inside. Raises ConfigError."""
    clock = _CLOCK.fullmatch(options.at)
    if clock is None:
        raise document.error(("digest", "at"), "is a time of the day", 'at: "08:00"')
    if len(options.company) > COMPANY_MAX or len(options.chats) > CHATS_MAX:
        raise document.error(("digest",), f"at most {COMPANY_MAX} addresses and {CHATS_MAX} chats")
    found = DigestSettings(
        options.enabled,
        WEEKDAYS.index(options.day),
        int(clock[1]) * 60 + int(clock[2]),
        _zone(document, options.timezone) if options.timezone else others.timezone,
        tuple(_address(document, number, each) for number, each in enumerate(options.company)),
        options.leads,
        _chats(document, options, named),
    )
    if found.enabled and not others.mail.host and not found.chats:
        raise document.error(
            ("digest", "enabled"),
            "nobody could be sent one",
            "name a mail server under mail, or a chat under digest.chats",
        )
    return found


def _zone(document: yaml_file.Document, name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise document.error(
            ("digest", "timezone"), f"{name[:64]!r} is no time zone", "write Europe/Berlin"
        ) from None
    return name


def _address(document: yaml_file.Document, number: int, text: str) -> str:
    try:
        return clean_email(text)
    except BadRequest:
        raise document.error(
            ("digest", "company", number), "is no e-mail address", "write cfo@acme.com"
        ) from None


def _chats(
    document: yaml_file.Document, options: DigestOptions, named: Collection[str]
) -> tuple[DigestChat, ...]:
    """Read the chats; their hosts may be inside where ``alerts.allow_private`` names them."""
    found: list[DigestChat] = []
    for number, each in enumerate(options.chats):
        path: yaml_file.Path = ("digest", "chats", number)
        entry = DigestChatOptions(each) if isinstance(each, str) else each
        name = entry.name or f"digest-{number + 1}"
        if not NAME.fullmatch(name):
            reason = "a chat's name is 1 to 40 small letters, digits, -, _ and ."
            raise document.error((*path, "name"), reason)
        if any(name == other.channel.name for other in found):
            raise document.error(path, f"there are two chats {name!r}", "give each a name")
        try:
            made = chat(name, entry.url, named)
        except ValueError as error:
            raise document.error(path, f"the address {error}") from None
        found.append(DigestChat(made, entry.team.strip()))
    return tuple(found)
