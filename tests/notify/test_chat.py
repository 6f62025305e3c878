"""Chats and mail through Apprise's own process, to real receivers."""

from __future__ import annotations

import json
from email import message_from_bytes

import pytest

from loopback import HOST
from receivers import Reply, mail_receiver, webhook_receiver
from tollkeeper.domain.channels import chat
from tollkeeper.domain.deliveries import Severity
from tollkeeper.notify.chat import ChatSender
from tollkeeper.notify.chat_process import without_secrets
from tollkeeper.services.outbox import message_of

MESSAGE = message_of(
    "budget.threshold",
    "Core\r\nBcc: evil@example.com: 80 %",
    "Spent $4 <!channel> @everyone by <b>x</b>",
    1_790_000_000_000_000,
    severity=Severity.WARNING,
)
LINK = "https://tk.acme.com/alerts"


def test_a_mail_arrives_with_title_text_and_link_and_no_header_of_its_own() -> None:
    with mail_receiver() as mail:
        url = f"mailto://{HOST}:{mail.port}?from=bot@acme.com&to=ops@acme.com"
        sender = ChatSender({HOST})
        outcome = sender.send(chat("mail", url, {HOST}), MESSAGE, LINK, 0)
        assert outcome.fault == ""
        (got,) = mail.received
    assert got.rcpt_tos == ["ops@acme.com"]
    parsed = message_from_bytes(got.content or b"")
    assert parsed["bcc"] is None
    assert "80 %" in str(parsed["subject"])
    text = "".join(
        part.get_payload(decode=True).decode()
        for part in parsed.walk()
        if part.get_content_maintype() == "text"
    )
    assert LINK in text


def test_a_chat_gets_no_call_to_everybody() -> None:
    with webhook_receiver() as server:
        server.answer = lambda got: Reply(200, b"ok")
        url = f"mmost://{HOST}:{server.port}/3ccdd113474722377935511fc85d3dd4"
        outcome = ChatSender({HOST}).send(chat("chat", url, {HOST}), MESSAGE, LINK, 0)
        assert outcome.fault == ""
        (got,) = server.received
    text = json.dumps(json.loads(got.body), ensure_ascii=False)
    assert "<!channel>" not in text
    assert "@everyone" not in text
    assert "Spent $4" in text


@pytest.mark.parametrize(
    "url",
    [
        "mailtos://bot:hunter2@mail.acme.com:{port}?smtp=127.0.0.1&to=ops@acme.com",
        "mailto://bot:hunter2@mail.acme.com:{port}?smtp=localhost&to=ops@acme.com",
    ],
)
def test_a_service_that_connects_inside_all_the_same_is_stopped(url: str) -> None:
    with mail_receiver() as mail:
        channel = chat("mail", url.format(port=mail.port), ())
        outcome = ChatSender().send(channel, MESSAGE, LINK, 0)
        assert "inside" in outcome.fault
        assert mail.received == []


def test_a_redirect_inside_is_stopped() -> None:
    with webhook_receiver() as server, webhook_receiver() as inside:
        target = f"http://127.0.0.2:{inside.port}/x"
        server.answer = lambda got: Reply(307, headers={"location": target})
        url = f"mmost://{HOST}:{server.port}/3ccdd113474722377935511fc85d3dd4"
        outcome = ChatSender({HOST}).send(chat("chat", url, {HOST}), MESSAGE, LINK, 0)
        assert outcome.fault != ""
        assert inside.received == []


def test_what_the_service_says_is_told_without_the_address() -> None:
    with webhook_receiver() as server:
        server.answer = lambda got: Reply(403)
        token = "3ccdd113474722377935511fc85d3dd4"
        url = f"mmost://{HOST}:{server.port}/{token}"
        outcome = ChatSender({HOST}).send(chat("chat", url, {HOST}), MESSAGE, LINK, 0)
    assert outcome.fault != ""
    assert token not in outcome.fault


def test_secrets_are_taken_out_of_what_apprise_logs() -> None:
    said = "Failed to post https://hooks.slack.com/T1JJ3T3L2/TIiajkdn: 404\nmore"
    assert "TIiajkdn" not in without_secrets(said, "slack://T1JJ3T3L2/TIiajkdn/#ops")
