"""Signed webhooks to real receivers: what arrives, what is refused, and what is told of it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from standardwebhooks import Webhook, WebhookVerificationError

from loopback import HOST
from receivers import Reply, WebhookReceiver, webhook_receiver
from tollkeeper import clock
from tollkeeper.domain.channels import webhook
from tollkeeper.notify import webhook as module
from tollkeeper.notify.webhook import WebhookSender
from tollkeeper.services.outbox import message_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY="
MESSAGE = message_of(
    "budget.threshold", "Core: 80 %", "Spent.", 1_790_000_000_123_456, data={"alert_id": "a1"}
)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as made:
        yield made


def send(sender: WebhookSender, url: str, named: set[str], *secrets: str) -> module.Outcome:
    channel = webhook("hook", url, secrets or (SECRET,), named)
    return sender.send(channel, MESSAGE, "https://tk.acme.com/alerts", clock.now_us())


def test_what_arrives_is_verified_by_the_specifications_own_library(
    receiver: WebhookReceiver,
) -> None:
    outcome = send(WebhookSender(), receiver.url(path="/in?x=1"), {HOST})
    assert (outcome.fault, outcome.status) == ("", 204)
    (got,) = receiver.received
    assert got.path == "/in?x=1"
    content = Webhook(SECRET).verify(got.body, dict(got.headers))
    assert content["type"] == "budget.threshold"
    assert content["timestamp"] == "2026-09-21T14:13:20.123Z"
    assert content["data"] == {
        "title": "Core: 80 %",
        "text": "Spent.",
        "severity": "info",
        "url": "https://tk.acme.com/alerts",
        "alert_id": "a1",
    }
    assert got.headers["webhook-id"] == MESSAGE.message_id
    assert got.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(got.body, dict(got.headers))


def test_while_a_secret_is_replaced_both_sign(receiver: WebhookReceiver) -> None:
    send(WebhookSender(), receiver.url(), {HOST}, OTHER, SECRET)
    (got,) = receiver.received
    for secret in (SECRET, OTHER):
        assert Webhook(secret).verify(got.body, dict(got.headers))


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "2002:7f00:1::"]
)
def test_a_name_that_points_inside_is_refused_at_every_try(
    receiver: WebhookReceiver, address: str
) -> None:
    sender = WebhookSender(resolve=lambda host, port: ["93.184.216.34", address])
    outcome = send(sender, receiver.url("hooks.acme.com", scheme="https"), set())
    assert "inside" in outcome.fault
    assert not outcome.is_final
    assert receiver.received == []


def test_the_name_is_looked_up_once_and_the_connection_goes_where_that_led(
    receiver: WebhookReceiver,
) -> None:
    asked = []

    def flipping(host: str, port: int) -> list[str]:
        asked.append(host)
        return [HOST] if len(asked) == 1 else ["169.254.169.254"]

    sender = WebhookSender(resolve=flipping)
    assert send(sender, receiver.url("hooks"), {"hooks"}).fault == ""
    assert asked == ["hooks"]
    assert receiver.received[0].headers["host"] == f"hooks:{receiver.port}"
    assert "inside" in send(sender, receiver.url("hooks"), {"hooks"}).fault


def test_no_redirect_is_followed(receiver: WebhookReceiver) -> None:
    with webhook_receiver() as elsewhere:
        receiver.answer = lambda got: Reply(307, headers={"location": elsewhere.url()})
        outcome = send(WebhookSender(), receiver.url(), {HOST})
        assert (outcome.status, outcome.is_final) == (307, False)
        assert "redirect" in outcome.fault
        assert elsewhere.received == []


def test_what_the_receiver_says_decides_what_follows(receiver: WebhookReceiver) -> None:
    receiver.answer = lambda got: Reply(503, b"x" * 5_000, {"retry-after": "120"})
    outcome = send(WebhookSender(), receiver.url(), {HOST})
    assert (outcome.status, outcome.retry_after_s, len(outcome.reply)) == (503, 120, 200)
    receiver.answer = lambda got: Reply(410)
    outcome = send(WebhookSender(), receiver.url(), {HOST})
    assert (outcome.is_final, outcome.closes) == (True, True)
    receiver.answer = lambda got: Reply(429, headers={"retry-after": "9" * 40})
    assert send(WebhookSender(), receiver.url(), {HOST}).retry_after_s is None
    receiver.answer = lambda got: None
    assert send(WebhookSender(), receiver.url(), {HOST}).fault.startswith("no answer")


def test_nobody_there_is_an_outcome_that_shows_no_address() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        outcome = send(WebhookSender(), f"http://{HOST}:{port}/s3cret", {HOST})
    assert outcome.fault == "no answer: Connection refused"


def test_an_answer_that_drips_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRY_S", 0.5)
    stop = threading.Event()
    with socket.create_server((HOST, 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not stop.wait(0.1):
                    try:
                        connection.sendall(b"x: y\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://{HOST}:{server.getsockname()[1]}/"
        outcome = send(WebhookSender(), url, {HOST})
        stop.set()
        thread.join()
    assert outcome.fault != ""


def test_tls_is_checked_for_the_name_and_the_authority(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.acme.com").configure_cert(tls)
    with webhook_receiver(tls) as receiver:
        url = receiver.url("hooks.acme.com", scheme="https")
        named = {"hooks.acme.com", "other.acme.com"}

        def here(host: str, port: int) -> list[str]:
            return [HOST]

        good = WebhookSender(str(tmp_path / "ca.pem"), here)
        assert send(good, url, named).fault == ""
        assert "certificate" in send(WebhookSender(resolve=here), url, named).fault
        other = receiver.url("other.acme.com", scheme="https")
        assert "certificate" in send(good, other, named).fault
        assert len(receiver.received) == 1
        assert json.loads(receiver.received[0].body)["type"] == "budget.threshold"
