"""Mails through a real mail server: what arrives, and what cannot be smuggled in."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.invitations import Invitation
from tollkeeper.notify.mail import MailServer, SmtpMailer, message_of
from tollkeeper.services import invitation_mails
from tollkeeper.services.invitations import Made
from tollkeeper.services.names import clean_email

LINK = "/join?token=" + "t" * 43


class Post:
    """Keeps what arrives; refuses an address at ``refused.example``."""

    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.endswith("@refused.example"):
            return "550 no such address"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@pytest.fixture
def post() -> Iterator[tuple[Post, MailServer]]:
    handler = Post()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=port,
        authenticator=check,
        auth_require_tls=False,
    )
    controller.start()
    yield handler, MailServer("127.0.0.1", port, "bot@acme.com", starttls=False)
    controller.stop()


def made(email: str = "new@example.com", team: str = "core", by: str = "root@acme.com") -> Made:
    return Made(Invitation("id", email, Role.MEMBER, team, by, "", 0, 604_800_000_000), LINK)


def test_an_invitation_arrives_with_its_link(post: tuple[Post, MailServer]) -> None:
    handler, server = post
    sent = invitation_mails.send(SmtpMailer(server), made(), "Acme", "https://t.acme.com")
    assert sent == ""
    (mail,) = handler.mails
    assert mail["To"] == "new@example.com"
    assert mail["From"] == "Tollkeeper <bot@acme.com>"
    assert mail["Subject"] == "You are invited to Acme on Tollkeeper"
    text = mail.get_content()  # type: ignore[attr-defined]
    assert "https://t.acme.com" + LINK in text
    assert "root@acme.com invites you" in text


def test_user_and_password_are_given_where_they_are_needed(post: tuple[Post, MailServer]) -> None:
    handler, server = post
    SmtpMailer(server._replace(user="bot", password="right")).send("a@b.example", "s", "t")
    assert len(handler.mails) == 1
    wrong = SmtpMailer(server._replace(user="bot", password="hunter2-secret"))
    with pytest.raises(OSError, match="user and password") as raised:
        wrong.send("a@b.example", "s", "t")
    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in repr(server._replace(password="hunter2"))


def test_what_the_server_does_not_take_is_said_in_words(post: tuple[Post, MailServer]) -> None:
    handler, server = post
    with pytest.raises(OSError, match="this address"):
        SmtpMailer(server).send("x@refused.example", "s", "t")
    with pytest.raises(OSError, match="does not take the mail"):
        SmtpMailer(server._replace(starttls=True)).send("a@b.example", "s", "t")
    with pytest.raises(OSError, match="no mail server answers"):
        SmtpMailer(server._replace(port=1)).send("a@b.example", "s", "t")
    assert handler.mails == []
    assert "no mail server" in invitation_mails.send(None, made(), "Acme", "http://x")


@settings(deadline=None, max_examples=20)
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_text_becomes_another_header(org: str, team: str, by: str) -> None:
    invitation = made(team=team, by=by).invitation
    try:
        text = invitation_mails.text_of(invitation, org, "http://x" + LINK)
        mail = message_of("bot@acme.com", "a@b.example", invitation_mails.subject_of(org), text)
        sent = message_from_bytes(mail.as_bytes(), policy=default)
    except ValueError:  # such as half of a surrogate pair
        return
    assert set(sent.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
    }
    assert sent["To"] == "a@b.example"


@pytest.mark.parametrize("evil", ["a@b.example\r\nBcc: c@d.example", "a@b.example\nX: y", "a\0@b"])
def test_an_address_with_a_line_end_is_refused(evil: str) -> None:
    for to, subject in ((evil, "s"), ("a@b.example", evil)):
        with pytest.raises(ValueError, match="control character"):
            message_of("bot@acme.com", to, subject, "t")


_ODD = st.text(st.sampled_from("ab.:[]{}!#%\u00e9=?_-+*/`|~^$&"), min_size=1, max_size=8)


@settings(deadline=None, max_examples=200)
@given(_ODD, _ODD)
@example("a", "[x")
@example("a", ":b")
@example(":[", "b")
@example("&", "[*")
def test_an_odd_address_is_mailed_or_refused_and_the_link_is_shown(local: str, host: str) -> None:
    """An account may have an address that no mail goes to: its link must not be lost by that."""
    try:
        to = clean_email(f"{local}@{host}")
    except BadRequest:
        return
    try:
        mail = message_of("bot@acme.com", to, "s", "t")
        assert mail.as_bytes().partition(b"\r\n\r\n")[0].count(b"\r\nTo: ") == 1
    except ValueError:
        unsent = SmtpMailer(MailServer("127.0.0.1", 1, "bot@acme.com"))
        invited = made()
        invited = invited._replace(invitation=invited.invitation._replace(email=to))
        assert invitation_mails.send(unsent, invited, "Acme", "http://x")
