"""A digest as the document of the JSON API: its figures, and the mail that would be sent."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from tollkeeper.console.digests.content import Digest, Section
from tollkeeper.console.digests.mail import mail_of
from tollkeeper.console.digests.text import chat_of
from tollkeeper.domain.mails import Mail, Picture
from tollkeeper.reports.answers import comparison_document


def digest_document(digest: Digest) -> dict[str, Any]:
    """Give the document of ``GET /api/v1/digest``."""
    mail = mail_of(digest)
    title, text = chat_of(digest)
    return {
        "week": digest.week.name,
        "team": digest.audience.team or None,
        "parts": list(digest.audience.parts),
        "spend": comparison_document(digest.spend.by_model.stretch),
        "sections": [_section(each) for each in digest.sections],
        "mail": {
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "pictures": [
                {
                    "cid": each.cid,
                    "alt": each.alt,
                    "width": each.width,
                    "height": each.height,
                    "png": base64.b64encode(each.png).decode(),
                }
                for each in mail.pictures
            ],
        },
        "chat": {"title": title, "text": text},
    }


def mail_in(document: Mapping[str, Any]) -> Mail:
    """Give the mail that a document holds."""
    found = document["mail"]
    pictures = tuple(
        Picture(
            each["cid"],
            each["alt"],
            base64.b64decode(each["png"]),
            each["width"],
            each["height"],
        )
        for each in found["pictures"]
    )
    return Mail(found["subject"], found["text"], found["html"], pictures)


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "columns": list(section.head),
        "rows": [[cell.text for cell in row.cells] for row in section.rows],
        "note": section.note or (section.nothing if not section.rows else ""),
    }
