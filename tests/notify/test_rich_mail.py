"""Mails with pictures through a real mail server, and no way to smuggle a header in."""

from __future__ import annotations

import json
import ssl
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from outgoing_proxy import OutgoingProxy
from receivers import Reply, mail_receiver, webhook_receiver
from tollkeeper.domain.channels import chat
from tollkeeper.domain.mails import Mail, Picture
from tollkeeper.http1.origin import Proxies
from tollkeeper.notify.chat import ChatSender
from tollkeeper.notify.mail import MailServer, SmtpMailer, full_message
from tollkeeper.services.outbox import message_of

PICTURE = Picture("days.2026-w43.model@digest", "Spent by day: Mon $1", b"\x89PNG", 560, 150)
MAIL = Mail("Größe: $1", "text", f'<p>x<img src="cid:{PICTURE.cid}">', (PICTURE,), "weekly_1")
SLACK = "hooks.slack.com"
TOKENS = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


def test_a_mail_with_a_picture_arrives_whole() -> None:
    with mail_receiver() as server:
        mailer = SmtpMailer(MailServer("127.0.0.1", server.port, "bot@acme.com", starttls=False))
        mailer.post("cfo@acme.com", MAIL)
        (got,) = server.received
    assert got.rcpt_tos == ["cfo@acme.com"]
    mail = message_from_bytes(bytes(got.content or b""), policy=default)
    assert (mail["Subject"], mail["Message-ID"]) == ("Größe: $1", "<weekly_1@acme.com>")
    text, html, picture = (part for part in mail.walk() if not part.is_multipart())
    assert text.get_content().strip() == "text"
    assert f"cid:{PICTURE.cid}" in html.get_content()
    assert picture["Content-ID"] == f"<{PICTURE.cid}>"
    assert picture.get_filename() == "days.2026-w43.model.png"
    assert picture.get_payload(decode=True) == PICTURE.png


def test_the_same_digest_has_the_same_message_id_at_every_try() -> None:
    first, second = (full_message("bot@acme.com", "a@b.example", MAIL) for _ in range(2))
    assert first["Message-ID"] == second["Message-ID"]
    others = {full_message("bot@acme.com", "a@b.example", Mail("s", "t"))["Message-ID"]
              for _ in range(2)}  # fmt: skip
    assert len(others) == 2


@settings(deadline=None, max_examples=15)
@given(st.text(max_size=60), st.text(max_size=30))
def test_no_subject_and_no_text_becomes_another_header(subject: str, text: str) -> None:
    mail = MAIL._replace(subject=subject, text=text, html=text or "x")
    try:
        sent = full_message("bot@acme.com", "a@b.example", mail).as_bytes()
    except ValueError:  # a control character, or half of a surrogate pair
        return
    assert set(message_from_bytes(sent, policy=default).keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("Content-Type", "MIME-Version"),
    }


def test_slack_takes_names_as_text(tmp_path: Path) -> None:
    """Names that are markup in Slack arrive as words, through the proxy of the way out."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(SLACK).configure_cert(tls)
    file = tmp_path / "private.pem"
    authority.cert_pem.write_to_path(file)
    evil = "<!channel> <https://evil.example|core> @here *b* & <@U1>"
    with OutgoingProxy() as proxy, webhook_receiver(tls) as server:
        server.answer = lambda got: Reply(200, b"ok")
        proxy.ports[443] = server.port
        sender = ChatSender((), str(file), Proxies(https=proxy.url()))
        message = message_of("digest.weekly", f"{evil}: $1 in week 43", f"• {evil}: spent $1", 0)
        outcome = sender.send(chat("slack", f"slack://{TOKENS}/#costs", ()), message, "", 0)
        assert outcome.fault == ""
        (got,) = server.received
    said = json.loads(got.body)["attachments"][0]
    for text in (said["title"], said["text"]):
        assert "$1" in text
        for markup in ("<!", "<h", "<@", "@here"):
            assert markup not in text


@pytest.mark.parametrize("evil", ["s\r\nBcc: x@y.example", "s\nX: y", "s\0"])
def test_a_subject_with_a_line_end_is_refused(evil: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        full_message("bot@acme.com", "a@b.example", MAIL._replace(subject=evil))
