"""``tollkeeper alerts``: lists, acknowledgements and tests, with a real receiver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from command_line import CommandLine
from loopback import HOST
from receivers import Reply, WebhookReceiver, webhook_receiver
from stores import NOW
from tollkeeper.domain.alerts import Alert, AlertKey, AlertState

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as made:
        yield made


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: WebhookReceiver) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    folder = stores.open_folder(tmp_path / "data")
    folder.store.set_org_name("Acme")
    key = AlertKey("budget", "b1", "", NOW, 8_000)
    alert = Alert("a1", key, AlertState.FIRED, NOW + 1, 80, 100, "Core", "Core: 80 %", NOW, NOW)
    folder.store.add_alert(alert)
    folder.store.close()
    (tmp_path / "tollkeeper.yaml").write_text(
        f"""
alerts:
  allow_private: [{HOST}]
  webhooks: [{{url: "{receiver.url(path="/t0ken")}", secret: {SECRET}, name: ops}}]
"""
    )
    return CommandLine(tmp_path / "data")


def test_alerts_are_listed_and_seen(run: CommandLine) -> None:
    (row,) = run("alerts", "list", "--json").json()
    assert (row["id"], row["state"], row["told"]) == ("a1", "fired", [])
    assert "Core: 80 %" in run("alerts", "list").out
    assert run("alerts", "ack", "a1").out == "Seen: Core: 80 %\n"
    seen = run("alerts", "ack", "a1", "--json").json()
    assert (seen["state"], seen["acknowledged_by"]) == ("acknowledged", "command line")
    assert len(run("alerts", "list", "--open", "--json").json()) == 1
    missing = run("alerts", "ack", "nosuch")
    assert (missing.code, missing.out) == (1, "")
    assert "no such alert" in missing.err


def test_a_channel_is_tested_and_its_delivery_is_listed(
    run: CommandLine, receiver: WebhookReceiver
) -> None:
    done = run("alerts", "test", "ops")
    assert (done.code, done.out) == (0, "The test message has reached ops.\n")
    assert len(receiver.received) == 1
    (row,) = run("alerts", "deliveries", "--json").json()
    assert (row["state"], row["status"], row["title"]) == (
        "delivered",
        204,
        "Tollkeeper: this is a test",
    )
    (channel,) = run("alerts", "channels", "--json").json()
    assert channel["delivered_at"] is not None
    for command in ("channels", "deliveries"):
        shown = run("alerts", command).out
        assert "ops" in shown
        assert "t0ken" not in shown
        assert SECRET not in shown


def test_a_test_that_fails_says_why_and_ends_with_1(
    run: CommandLine, receiver: WebhookReceiver
) -> None:
    receiver.answer = lambda got: Reply(500)
    failed = run("alerts", "test", "ops")
    assert failed.code == 1
    assert "ops: answered with status 500" in failed.err
    unknown = run("alerts", "test", "nosuch")
    assert unknown.code == 1
    assert "known: ops" in unknown.err


def test_wrong_usage_ends_with_2(run: CommandLine) -> None:
    for wrong in (("list", "--limit", "0"), ("ack",), ("nonsense",)):
        assert run("alerts", *wrong).code == 2
