"""Chats and mail through Apprise's own process, to real receivers."""

from __future__ import annotations

import json
import ssl
from email import message_from_bytes
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from loopback import HOST
from outgoing_proxy import OutgoingProxy
from receivers import Reply, mail_receiver, webhook_receiver
from tollkeeper.domain.channels import chat
from tollkeeper.domain.deliveries import Severity
from tollkeeper.http1.origin import Proxies
from tollkeeper.notify.chat import ChatSender
from tollkeeper.notify.chat_process import Guard, without_secrets
from tollkeeper.services.outbox import message_of

MESSAGE = message_of(
    "budget.threshold",
    "Core\r\nBcc: evil@example.com: 80 %",
    "Spent $4 <!channel> @everyone by <b>x</b>",
    1_790_000_000_000_000,
    severity=Severity.WARNING,
)
LINK = "https://tk.acme.com/alerts"
TOKEN = "3ccdd113474722377935511fc85d3dd4"
CHAT = "chat.acme.invalid"
"""A host that only a proxy knows: no such name is ever looked up with success."""


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
    for part in parsed.walk():
        if part.get_content_type() == "text/html":
            assert b"<b>" not in part.get_payload(decode=True)


def test_a_chat_gets_no_call_to_everybody() -> None:
    with webhook_receiver() as server:
        server.answer = lambda got: Reply(200, b"ok")
        url = f"mmost://{HOST}:{server.port}/{TOKEN}"
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
        url = f"mmost://{HOST}:{server.port}/{TOKEN}"
        outcome = ChatSender({HOST}).send(chat("chat", url, {HOST}), MESSAGE, LINK, 0)
        assert outcome.fault != ""
        assert inside.received == []


class Authority(NamedTuple):
    """An authority that nobody trusts by itself, and what a server with its certificate needs."""

    file: str
    tls: ssl.SSLContext


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, CHAT).configure_cert(tls)
    file: Path = tmp_path_factory.mktemp("authority") / "private.pem"
    authority.cert_pem.write_to_path(file)
    return Authority(str(file), tls)


def test_an_authority_of_the_configuration_is_trusted_and_no_other(private: Authority) -> None:
    with webhook_receiver(private.tls) as server:
        server.answer = lambda got: Reply(200, b"ok")
        found = chat("chat", f"mmosts://{HOST}:{server.port}/{TOKEN}", {HOST})
        assert ChatSender({HOST}, private.file).send(found, MESSAGE, LINK, 0).fault == ""
        assert len(server.received) == 1
        assert ChatSender({HOST}).send(found, MESSAGE, LINK, 0).fault != ""
        assert len(server.received) == 1


def test_an_authority_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    found = chat("chat", f"mmosts://{HOST}:9/{TOKEN}", {HOST})
    outcome = ChatSender({HOST}, str(tmp_path / "gone.pem")).send(found, MESSAGE, LINK, 0)
    assert outcome.fault == "could not be tried: No such file or directory"


def test_a_chat_is_reached_through_the_proxy(private: Authority) -> None:
    with OutgoingProxy() as proxy, webhook_receiver(private.tls) as server:
        server.answer = lambda got: Reply(200, b"ok")
        found = chat("chat", f"mmosts://{CHAT}:{server.port}/{TOKEN}", ())
        sender = ChatSender((), private.file, Proxies(https=proxy.url("bot:hunter2@")))
        assert sender.send(found, MESSAGE, LINK, 0).fault == ""
        (head,) = proxy.heads
        assert head.startswith(f"CONNECT {CHAT}:{server.port} ".encode())
        assert b"Proxy-Authorization: Basic" in head
        assert len(server.received) == 1


def test_hosts_that_are_named_and_those_the_proxy_is_not_for_are_reached_directly(
    private: Authority,
) -> None:
    with OutgoingProxy() as proxy, webhook_receiver(private.tls) as server:
        server.answer = lambda got: Reply(200, b"ok")
        found = chat("chat", f"mmosts://{HOST}:{server.port}/{TOKEN}", {HOST})
        for proxies in (Proxies(https=proxy.url()), Proxies(https=proxy.url(), bypass=("*",))):
            assert (
                ChatSender({HOST}, private.file, proxies).send(found, MESSAGE, LINK, 0).fault == ""
            )
        assert (len(server.received), proxy.heads) == (2, [])


def test_a_redirect_inside_is_stopped_in_front_of_the_proxy(private: Authority) -> None:
    with OutgoingProxy() as proxy, webhook_receiver(private.tls) as server:
        for target in ("https://127.0.0.2/x", "https://localhost/x", "http://127.0.0.2/x"):
            server.answer = lambda got, target=target: Reply(307, headers={"location": target})
            found = chat("chat", f"mmosts://{CHAT}:{server.port}/{TOKEN}", ())
            sender = ChatSender((), private.file, Proxies(https=proxy.url()))
            outcome = sender.send(found, MESSAGE, LINK, 0)
            assert "inside" in outcome.fault
        assert {head.split()[1] for head in proxy.heads} == {f"{CHAT}:{server.port}".encode()}


def test_a_proxy_that_may_be_inside_opens_no_other_door_there() -> None:
    guard = Guard((), f"http://{HOST}:3128")
    guard.watch("socket.connect", (None, (HOST, 3128)))
    for address in ((HOST, 3129), ("127.0.0.2", 3128), "/run/docker.sock"):
        with pytest.raises(PermissionError):
            guard.watch("socket.connect", (None, address))


def test_what_the_service_says_is_told_without_the_address() -> None:
    with webhook_receiver() as server:
        server.answer = lambda got: Reply(403)
        url = f"mmost://{HOST}:{server.port}/{TOKEN}"
        outcome = ChatSender({HOST}).send(chat("chat", url, {HOST}), MESSAGE, LINK, 0)
    assert outcome.fault != ""
    assert TOKEN not in outcome.fault


def test_secrets_are_taken_out_of_what_apprise_logs() -> None:
    said = "Failed to post https://hooks.slack.com/T1JJ3T3L2/TIiajkdn: 404\nmore"
    assert "TIiajkdn" not in without_secrets(said, "slack://T1JJ3T3L2/TIiajkdn/#ops")
