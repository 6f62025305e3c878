"""A digest as a mail: HTML as mail programs take it, its pictures, and the same in plain text."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tollkeeper import __version__
from tollkeeper.console.digests.content import Digest
from tollkeeper.console.digests.text import text_of
from tollkeeper.console.rendering import TEMPLATES
from tollkeeper.domain.mails import Mail, Picture

TEMPLATE: Final = "digest_mail.html"
SUBJECT_CHARS_MAX: Final = 150


def mail_of(digest: Digest, message_id: str = "") -> Mail:
    """Write the mail. Its HTML asks for pictures by their ``cid``, and for nothing else."""
    page = _environment().get_template(TEMPLATE).render(digest=digest, version=__version__)
    subject = "".join(it if it.isprintable() else " " for it in digest.subject)
    if len(subject) > SUBJECT_CHARS_MAX:
        subject = subject[: SUBJECT_CHARS_MAX - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return Mail(subject, text_of(digest), page, digest.pictures, message_id)


def data_address(picture: Picture) -> str:
    """Write a picture as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"


@lru_cache(1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
