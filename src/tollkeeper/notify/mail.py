"""E-mail through one mail server: plain text or HTML with pictures, to one address at a time."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Final, NamedTuple

from tollkeeper.clock import now_us
from tollkeeper.domain.mails import Mail
from tollkeeper.outgoing import trusting

TRY_S: Final = 15.0
TLS_PORT: Final = 465
"""The port on which TLS is spoken from the first byte."""


class MailServer(NamedTuple):
    """Where mail goes out. ``sender`` is the address that it comes from."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    starttls: bool = True

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port})"


class SmtpMailer:
    """Sends mails, each over a connection of its own. ``ca_file`` names further authorities."""

    def __init__(self, server: MailServer, ca_file: str = "") -> None:
        self._server = server
        self._tls: Callable[[], ssl.SSLContext] = lambda: trusting(ca_file)

    def send(self, to: str, subject: str, text: str) -> None:
        """Send one mail. Raises OSError, in words, and with nothing of the mail or the password."""
        self._send(message_of(self._server.sender, to, subject, text))

    def post(self, to: str, mail: Mail) -> None:
        """Send a mail with pictures. Raises what ``send`` does, and ValueError."""
        self._send(full_message(self._server.sender, to, mail))

    def _send(self, message: EmailMessage) -> None:
        server = self._server
        try:
            with self._connected() as smtp:
                if server.user:
                    smtp.login(server.user, server.password)
                smtp.send_message(message)
        except smtplib.SMTPAuthenticationError as error:
            raise OSError("the mail server does not take the user and password") from error
        except smtplib.SMTPRecipientsRefused as error:
            raise OSError("the mail server does not take this address") from error
        except smtplib.SMTPException as error:
            raise OSError(f"the mail server does not take the mail: {_kind(error)}") from error
        except ssl.SSLCertVerificationError as error:
            raise OSError(f"its certificate is not good: {error.verify_message}") from error
        except OSError as error:
            raise OSError(f"no mail server answers at {server.host}:{server.port}") from error

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.port == TLS_PORT:
            return smtplib.SMTP_SSL(server.host, server.port, timeout=TRY_S, context=self._tls())
        smtp = smtplib.SMTP(server.host, server.port, timeout=TRY_S)
        try:
            if server.starttls:
                smtp.starttls(context=self._tls())
        except BaseException:
            smtp.close()
            raise
        return smtp


def message_of(sender: str, to: str, subject: str, text: str, message_id: str = "") -> EmailMessage:
    """Make a mail. Raises ValueError for an address or a subject that would be another header."""
    if any(not each.isprintable() for each in (sender, to, subject)):
        raise ValueError("an address or a subject holds a control character")
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(sender, "Tollkeeper")
    message["To"] = _address(to)
    message["Subject"] = subject
    message["Date"] = formatdate(now_us() / 1_000_000)
    message["Message-ID"] = message_id or make_msgid(domain=_domain(sender))
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def full_message(sender: str, to: str, mail: Mail) -> EmailMessage:
    """Make a mail of text, HTML and the pictures in it. Raises ValueError as ``message_of``.

    A mail with an id of its own has the same Message-ID whenever it is made.
    """
    identity = f"<{mail.message_id}@{_domain(sender)}>" if mail.message_id else ""
    message = message_of(sender, to, mail.subject, mail.text, identity)
    if not mail.html:
        return message
    message.add_alternative(mail.html, subtype="html")
    html = message.get_body(("html",))
    if html is None:
        raise ValueError("the mail has no part for its HTML")
    for picture in mail.pictures:
        html.add_related(
            picture.png,
            *("image", "png"),
            cid=f"<{picture.cid}>",
            disposition="inline",
            filename=f"{picture.cid.partition('@')[0]}.png",
        )
    return message


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2]


def _address(text: str, name: str = "") -> Address:
    try:
        return Address(name, addr_spec=text)
    except (MessageError, ValueError, AttributeError, IndexError):
        # The library's parser fails in all these ways on what is no address.
        raise ValueError("mail cannot be sent to such an address") from None


def _kind(error: smtplib.SMTPException) -> str:
    code = getattr(error, "smtp_code", None)
    return f"it answers {code}" if code else type(error).__name__
