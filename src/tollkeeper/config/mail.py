"""The ``mail`` section of tollkeeper.yaml: the server through which invitations are sent."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final

import msgspec

from tollkeeper.config import yaml_file
from tollkeeper.domain.errors import BadRequest
from tollkeeper.services.names import clean_email

TLS_PORT: Final = 465


class MailOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Without ``host`` no mail is sent, and links are shown to be copied."""

    host: str = ""
    port: Annotated[int, msgspec.Meta(gt=0, le=65_535)] = 587
    sender: str = msgspec.field(default="", name="from")
    user: str = ""
    password: str = ""
    starttls: bool = True


def check_mail(document: yaml_file.Document, options: MailOptions) -> None:
    """Raise ConfigError for a section that cannot work, or would show the password on the way."""
    if options == MailOptions():
        return
    if not options.host or not options.host.isprintable() or " " in options.host:
        raise document.error(("mail", "host"), "mail.host: say the mail server's name")
    try:
        clean_email(options.sender)
    except BadRequest:
        raise document.error(
            ("mail", "from"), "mail.from: say the address that mails come from"
        ) from None
    if bool(options.user) != bool(options.password):
        raise document.error(("mail", "user"), "mail: user and password go together")
    plain = not options.starttls and options.port != TLS_PORT
    if options.user and plain and not _is_this_machine(options.host):
        raise document.error(
            ("mail", "starttls"),
            "mail.starttls: without it the password would be readable on the way",
            f"leave it on, or use port {TLS_PORT}",
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
