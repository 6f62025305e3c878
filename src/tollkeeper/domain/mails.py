"""Mails with pictures, as they are before anybody sends them."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Picture(NamedTuple):
    """A picture within a mail. ``cid`` is what the HTML calls it, ``png`` its bytes.

    ``alt`` says what it shows, with its figures; the size is in pixels of a page.
    """

    cid: str
    alt: str
    png: bytes
    width: int
    height: int


class Mail(NamedTuple):
    """One mail. Whoever cannot show the HTML shows the text, which says the same.

    ``message_id`` is the same for every try of the same mail, so that a mail server can tell.
    """

    subject: str
    text: str
    html: str = ""
    pictures: tuple[Picture, ...] = ()
    message_id: str = ""


class MailSender(Protocol):
    """Sends mails with pictures."""

    def post(self, to: str, mail: Mail) -> None:
        """Send one mail. Raises OSError, in words that show nothing of the mail or a password,
        and ValueError for an address or a subject that would be another header."""
