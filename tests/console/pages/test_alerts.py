"""The page Alerts: what fired, who was told, how rules and channels stand, and its two buttons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alert_desks import channel
from consoles import RunningConsole, running_console
from tollkeeper.console.access import viewer_of_user
from tollkeeper.console.pages import alerts as page
from tollkeeper.console.pages.alerts import AlertsPage
from tollkeeper.domain.alerts import Alert, AlertKey, AlertState
from tollkeeper.domain.anomalies import AnomalyRule
from tollkeeper.domain.channels import webhook
from tollkeeper.domain.deliveries import ChannelState, Delivery, DeliveryState, Outcome
from tollkeeper.services.alerting import RuleState
from tollkeeper.services.alerts import acknowledge
from tollkeeper.services.delivering import Mailing
from tollkeeper.services.outbox import message_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("alerts")) as made:
        yield made


def show(running: RunningConsole, who: str = "admin", **query: str) -> AlertsPage:
    viewer = viewer_of_user("acme", running.users[who])
    return page.alerts(running.console, viewer, {"tz": "UTC", **query})


def fire(
    running: RunningConsole,
    alert_id: str = "a1",
    state: AlertState = AlertState.FIRED,
    title: str = "Core: 80% spent",
) -> None:
    """Fire an alert that one channel was told of and another was not."""
    store, now_us = running.store, running.now_us
    key = AlertKey("budget", alert_id, "", now_us, 8_000)
    store.add_alert(Alert(alert_id, key, state, now_us + 1, 80, 100, "Core", title, now_us, now_us))
    message = message_of("budget.threshold", title, "", now_us, message_id=f"msg_{alert_id}_fired")
    store.add_message(message._replace(alert_id=alert_id))
    store.address(
        message.message_id,
        [
            Delivery(message.message_id, "mail", DeliveryState.DEAD, 10, now_us, now_us, fault="x"),
            Delivery(message.message_id, "ops", DeliveryState.DELIVERED, 1, now_us, now_us, 200, 9),
        ],
    )


def test_an_empty_page_says_how_to_get_something(running: RunningConsole) -> None:
    running.mailing = Mailing({}, "", "UTC")
    text = running.get("/alerts", running.session("admin")).text
    assert "Nobody is told" in text
    assert "Nothing has fired" in text
    assert "notify" in text


def test_what_fired_and_who_was_told_and_who_was_not(running: RunningConsole) -> None:
    fire(running)
    shown = show(running)
    (line,) = shown.lines
    assert (line.title, line.rule, line.state.name) == (
        "Core: 80% spent",
        "Budget thresholds",
        "Fired",
    )
    assert [(it.channel, it.state.name) for it in line.told] == [
        ("mail", "Given up"),
        ("ops", "Delivered"),
    ]
    assert {(it.channel, it.status, it.took, it.fault) for it in shown.deliveries} == {
        ("ops", "200", "9 ms", ""),
        ("mail", "", "", "x"),
    }


def test_what_is_over_stands_apart(running: RunningConsole) -> None:
    fire(running)
    fire(running, "a2", AlertState.ENDED, "Old: 80% spent")
    shown = show(running)
    assert ([it.title for it in shown.lines], shown.over_count) == (["Core: 80% spent"], 1)
    assert len(show(running, show="all").lines) == 2


def test_it_is_seen_by_a_button_once(running: RunningConsole) -> None:
    fire(running)
    assert show(running, "finance").lines[0].may_acknowledge
    assert not show(running, "auditor").lines[0].may_acknowledge
    session = running.session("finance")
    reply = running.post("/alerts/a1/acknowledge", {}, session)
    assert (reply.status, reply.header("location")) == (303, "/alerts?done=a1#fired")
    text = running.get("/alerts?done=a1", session).text
    assert "Seen: Core: 80% spent." in text
    line = show(running, "finance").lines[0]
    assert (line.state.name, line.by, line.may_acknowledge) == ("Seen", "fred@acme.com", False)
    gone = running.post("/alerts/nothing/acknowledge", {}, session)
    assert gone.status == 404
    assert "There is no such alert." in gone.text


def test_a_form_without_its_token_or_from_elsewhere_changes_nothing(
    running: RunningConsole,
) -> None:
    fire(running)
    session = running.session("admin")
    headers = session.headers | {"content-type": "application/x-www-form-urlencoded"}
    for target in ("/alerts/a1/acknowledge", "/alerts/channels/ops/test"):
        assert running.ask("POST", target, headers=headers, body=b"").status == 403
        foreign = running.post(target, {}, session, origin="https://evil.example")
        assert foreign.status == 403
    assert show(running).lines[0].state.name == "Fired"
    assert running.notifier.sent == []


def test_a_channel_is_tested_by_a_button(running: RunningConsole) -> None:
    session = running.session("admin")
    reply = running.post("/alerts/channels/ops/test", {}, session)
    assert (reply.status, reply.header("location")) == (303, "/alerts?tested=ops#channels")
    assert "has reached ops" in running.get("/alerts?tested=ops", session).text
    assert running.notifier.told("ops") == ["Tollkeeper: this is a test"]
    running.notifier.answer = lambda it, message: Outcome("answered with status 500", 500)
    failed = running.post("/alerts/channels/ops/test", {}, session)
    assert "Ops: answered with status 500." in failed.text
    missing = running.post("/alerts/channels/nosuch/test", {}, session)
    assert missing.status == 404


def test_closed_channels_are_told_at_the_top(running: RunningConsole) -> None:
    running.store.set_channel(ChannelState("ops", 3, running.now_us, "answered with status 500"))
    text = running.get("/alerts", running.session("admin")).text
    assert "is closed: it answered with status 500" in text
    assert show(running).channels[0].state.name == "Closed"


def test_no_secret_is_on_the_page_in_any_form(running: RunningConsole) -> None:
    hook = webhook("hook", "https://hooks.acme.com/t0ken", [SECRET], ())
    running.mailing = Mailing(
        {"hook": hook, "ops": channel("ops", url="slack://s3cret", is_digest=True)}, "", "UTC"
    )
    session = running.session("admin")
    for target in ("/alerts", "/alerts?format=json", "/api/v1/alerts/channels"):
        text = running.get(target, session).text
        assert "hooks.acme.com" in text
        for secret in ("t0ken", "s3cret", SECRET):
            assert secret not in text
    assert "once a day" in running.get("/alerts", session).text


def test_rules_say_how_they_stand_also_when_they_cannot_tell(running: RunningConsole) -> None:
    running.rule_states = (
        RuleState(AnomalyRule.SPEND_HOUR, "unknown", "not enough history: 2 of 6 like hours"),
        RuleState(AnomalyRule.SPEND_DAY, "fired", "The organisation: $9.00 today is more"),
        RuleState(AnomalyRule.LATENCY, "off"),
        RuleState(AnomalyRule.ERROR_RATE, "quiet"),
    )
    found = {line.rule.name: (line.state.name, line.detail) for line in show(running).rules}
    assert found["Budget thresholds"] == ("Looking", "There is no budget yet.")
    assert found["Unusual hour"] == ("Cannot tell", "not enough history: 2 of 6 like hours")
    assert found["Unusual day"][0] == "Fired"
    assert found["Slow answers"] == ("Off", "")
    assert found["Failing requests"] == ("Quiet", "")


def test_names_that_people_chose_are_text_and_nothing_else(running: RunningConsole) -> None:
    fire(running, title='<img src=x onerror=alert(1)>{{7*7}}" hx-get="/x')
    text = running.get("/alerts", running.session("admin")).text
    assert "<img" not in text
    assert "{{7*7}}" in text


def test_the_api_lists_acknowledges_and_tests(running: RunningConsole) -> None:
    fire(running)
    fire(running, "a2", AlertState.ENDED, "Old: 80% spent")
    known = running.as_admin_key

    def ask(method: str, target: str) -> Any:
        reply = running.send(method, f"/api/v1/alerts{target}", headers=known)
        assert reply.status == 200, reply.text
        return reply.json()

    first = ask("GET", "?limit=1")
    second = ask("GET", f"?limit=1&cursor={first['next_cursor']}")
    rows = [*first["alerts"], *second["alerts"]]
    assert {row["id"] for row in rows} == {"a1", "a2"}
    row = next(row for row in rows if row["id"] == "a1")
    assert (row["state"], row["threshold_percent"]) == ("fired", "80")
    assert {"channel": "ops", "state": "delivered"} in row["told"]
    assert ask("POST", "/a1/acknowledge")["state"] == "acknowledged"
    assert ask("POST", "/a1/acknowledge")["state"] == "acknowledged"
    over = running.send("POST", "/api/v1/alerts/a2/acknowledge", headers=known)
    assert (over.status, over.json()["code"]) == (409, "alert_over")
    assert len(ask("GET", "/deliveries")["deliveries"]) == 4
    assert ask("GET", "/channels")["channels"][0]["id"] == "ops"
    assert ask("GET", "/rules")["rules"] == []
    tested = ask("POST", "/channels/ops/test")
    assert (tested["state"], tested["channel"]) == ("delivered", "ops")
    missing = running.send("POST", "/api/v1/alerts/channels/x/test", headers=known)
    assert (missing.status, missing.json()["code"]) == (404, "channel_not_found")


def test_the_mark_is_another_one_as_soon_as_anything_shown_has_changed(
    running: RunningConsole,
) -> None:
    marks = [show(running).mark]
    assert show(running).mark == marks[0]
    fire(running)
    marks.append(show(running).mark)
    acknowledge(running.store, "a1", "fred@acme.com", running.now_us)
    marks.append(show(running).mark)
    running.store.set_channel(ChannelState("ops", delivered_at_us=running.now_us))
    marks.append(show(running).mark)
    running.rule_states = (RuleState(AnomalyRule.SPEND_DAY, "off"),)
    marks.append(show(running).mark)
    running.mailing = Mailing({}, "", "UTC")
    marks.append(show(running).mark)
    assert len(set(marks)) == len(marks)
    assert f'data-alerts="{marks[-1]}"' in running.get("/alerts", running.session("admin")).text


def test_a_channel_that_fails_says_since_when_and_why(running: RunningConsole) -> None:
    store, now_us = running.store, running.now_us
    for number, fault in enumerate(("answered with status 503", "answered with status 500")):
        made = message_of("test", "t", "", now_us + number, message_id=f"m{number}")
        store.add_message(made)
        failed = Delivery(made.message_id, "ops", DeliveryState.WAITING, 2, now_us, now_us + number)
        store.address(made.message_id, [failed._replace(fault=fault)])
    (line,) = show(running).channels
    assert line.state.name == "Failing"
    assert line.fault.startswith("since ")
    assert line.fault.endswith(": answered with status 500")
    assert all(each.again for each in show(running).deliveries)
    store.set_channel(ChannelState("ops", delivered_at_us=now_us + 9))
    (line,) = show(running).channels
    assert (line.state.name, line.fault) == ("Open", "")
