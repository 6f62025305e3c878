"""Live updates: who gets which calls, what a slow page costs, and how a stream ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from consoles import PEOPLE, RunningConsole, Session, SocketConnection, running_console, until
from ledger_entries import ledger_entry
from tollkeeper import clock
from tollkeeper.console.alert_marks import alerts_mark
from tollkeeper.console.live import (
    CONNECTIONS_MAX,
    PER_SESSION_MAX,
    ROWS_KEPT,
    Listener,
    LiveHub,
)
from tollkeeper.domain.access import Role, Scope
from tollkeeper.domain.deliveries import ChannelState
from tollkeeper.domain.errors import Overloaded
from tollkeeper.reports.live import call_rows
from tollkeeper.services import people

ALL = Scope("acme")
CORE = Scope("acme", teams=frozenset({"core"}))
ALICE = Scope("acme", user_id="u_1")


class Stream:
    """One open page's connection."""

    def __init__(
        self,
        console: RunningConsole,
        session: Session,
        last_event_id: str = "",
        alerts: str | None = None,
    ) -> None:
        self._connection = SocketConnection(console.socket)
        headers = {"x-forwarded-for": "203.0.113.9", **session.headers}
        if last_event_id:
            headers["last-event-id"] = last_event_id
        path = "/events" if alerts is None else f"/events?{urlencode({'alerts': alerts})}"
        self._connection.request("GET", path, headers=headers)
        self.reply = self._connection.getresponse()
        self.status = self.reply.status
        self.last_id = ""

    def event(self) -> tuple[str, Any]:
        """Wait for the next event; ("", None) at the end of the stream."""
        name = ""
        while raw := self.reply.readline():
            line = raw.decode().rstrip("\n")
            if line.startswith("id: "):
                self.last_id = line[4:]
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                return name, json.loads(line[6:])
        return "", None

    def next(self, wanted: str) -> Any:
        """Wait for an event of a name."""
        name, data = self.event()
        while name != wanted:
            assert name, f"the stream ended before {wanted}"
            name, data = self.event()
        return data

    def close(self) -> None:
        self.reply.close()
        self._connection.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningConsole]:
    with running_console(tmp_path) as made:
        yield made


def test_each_page_gets_the_calls_of_its_scope_alone(fresh: RunningConsole) -> None:
    streams = {who: Stream(fresh, fresh.session(who)) for who in PEOPLE}
    for stream in streams.values():
        stream.next("figures")
    fresh.load(fresh.entry_of("member", call_id="of alice", cost_nanos=10**9))
    fresh.load(fresh.entry_of("other member", call_id="of mallory", cost_nanos=2 * 10**9))
    fresh.load(ledger_entry(call_id="abroad", org="elsewhere"))
    fresh.load(*[fresh.entry_of(who, call_id=f"last {who}", cost_nanos=0) for who in PEOPLE])
    seen: dict[str, set[str]] = {}
    for who, stream in streams.items():
        found: set[str] = set()
        while f"last {who}" not in found:
            found |= {row["call_id"] for row in stream.next("call")["calls"]}
        seen[who] = {each for each in found if each.startswith("of") or each == "abroad"}
        stream.close()
    everything = {"of alice", "of mallory"}
    assert seen == {
        "member": {"of alice"},
        "lead": {"of alice"},
        "finance": everything,
        "auditor": everything,
        "admin": everything,
        "other member": {"of mallory"},
        "other lead": {"of mallory"},
    }


def test_live_calls_name_nobody_until_somebody_says_why(tmp_path: Path) -> None:
    """As the list of calls, to which they are added: who looks on sees pseudonyms."""
    with running_console(tmp_path, mask_people=True) as masked:
        auditor = masked.session("auditor")
        streams = {
            who: Stream(masked, masked.session(who))
            for who in ("member", "lead", "finance", "auditor", "admin")
        }
        for stream in streams.values():
            stream.next("figures")
        masked.load(masked.entry_of("member", call_id="first"))
        alice = masked.users["member"]
        for who, stream in streams.items():
            (row,) = stream.next("call")["calls"]
            (listed,) = masked.get("/api/v1/calls", masked.session(who)).json()["calls"]
            assert row["user_id"] == listed["user_id"]
            assert row["user_name"] == listed["user_name"]
            assert (row["user_name"] == alice.email) == (who == "member")
        masked.post("/unmask", {"reason": "a script spends at night"}, auditor)
        masked.load(masked.entry_of("member", call_id="second"))
        for who, stream in streams.items():
            (row,) = stream.next("call")["calls"]
            assert (row["user_name"] == alice.email) == (who in {"member", "auditor"})
        masked.post("/mask", {}, auditor)  # while the page stays open
        masked.load(masked.entry_of("member", call_id="third"))
        (row,) = streams["auditor"].next("call")["calls"]
        assert alice.email not in repr(row)
        assert alice.user_id not in repr(row)
        for stream in streams.values():
            stream.close()


def test_figures_are_those_of_the_scope(fresh: RunningConsole) -> None:
    fresh.load(fresh.entry_of("member", cost_nanos=10**9))
    fresh.load(fresh.entry_of("other member", cost_nanos=2 * 10**9))
    for who, cost in (("member", "1"), ("lead", "1"), ("admin", "3"), ("other lead", "2")):
        with closing(Stream(fresh, fresh.session(who))) as stream:
            assert stream.next("figures")["today"]["cost_usd"] == f"{cost}.000000000"


def test_figures_follow_what_is_loaded(fresh: RunningConsole) -> None:
    with closing(Stream(fresh, fresh.session("admin"))) as stream:
        assert stream.next("figures")["today"]["requests"] == 0
        fresh.load(fresh.entry_of("member"))
        assert stream.next("figures")["today"]["requests"] == 1


def test_figures_follow_what_is_corrected(fresh: RunningConsole) -> None:
    """Priced again while a page is open: its figures tick, and no call comes in."""
    fresh.load(
        fresh.entry_of(
            "member",
            cost_nanos=None,
            list_cost_nanos=None,
            basis="unpriced",
            unpriced_reason="unknown_model",
            price_key="openai/gpt-4.1 rule=none",
        )
    )
    with closing(Stream(fresh, fresh.session("member"))) as stream:
        before = stream.next("figures")["today"]
        assert (before["cost_usd"], before["unpriced_calls"], before["unpriced_tokens"]) == (
            None,
            1,
            62,
        )
        body = {"period": "today", "dry_run": False}
        reply = fresh.send("POST", "/api/v1/prices/reprice", body, headers=fresh.as_admin_key)
        assert reply.json()["corrected"] == 1
        name, data = stream.event()
        assert name == "figures"
        after = data["today"]
        assert (after["cost_usd"], after["unpriced_calls"]) == ("0.000208000", 0)
        assert (after["requests"], after["tokens_in"]) == (before["requests"], before["tokens_in"])


def test_alerts_are_told_of_to_pages_that_show_them_alone(fresh: RunningConsole) -> None:
    """Whoever changes them: here a command on the same store does."""
    mark = alerts_mark(fresh.store, fresh.console.alerting)
    with (
        closing(Stream(fresh, fresh.session("finance"), alerts=mark)) as stream,
        closing(Stream(fresh, fresh.session("finance"))) as elsewhere,
    ):
        stream.next("figures")
        elsewhere.next("figures")
        fresh.store.set_channel(ChannelState("ops", delivered_at_us=fresh.now_us))
        assert stream.event() == (
            "alerts",
            {"mark": alerts_mark(fresh.store, fresh.console.alerting)},
        )
        fresh.load(fresh.entry_of("member"))
        assert stream.event()[0] == "call", "each change is told once"
        assert elsewhere.event()[0] == "call"


def test_a_page_of_alerts_that_is_behind_is_told_at_once(fresh: RunningConsole) -> None:
    with closing(Stream(fresh, fresh.session("admin"), alerts="of an hour ago")) as stream:
        assert stream.next("alerts")["mark"] == alerts_mark(fresh.store, fresh.console.alerting)


def test_who_may_not_see_alerts_is_not_told_of_them(fresh: RunningConsole) -> None:
    for who in ("member", "lead"):
        with closing(Stream(fresh, fresh.session(who), alerts="any")) as stream:
            assert stream.status == 403


def test_a_page_that_comes_back_gets_what_it_missed(fresh: RunningConsole) -> None:
    session = fresh.session("lead")
    with closing(Stream(fresh, session)) as stream:
        stream.next("figures")
        fresh.load(fresh.entry_of("member", call_id="seen"))
        stream.next("call")
        last = stream.last_id
    until(lambda: fresh.hub.connections == 0)
    fresh.load(fresh.entry_of("other member", call_id="foreign"))
    fresh.load(fresh.entry_of("member", call_id="missed"))
    with closing(Stream(fresh, session, last)) as stream:
        assert [row["call_id"] for row in stream.next("call")["calls"]] == ["missed"]


@pytest.mark.parametrize("last", ["x", "other-1", "-1", "other-" + "9" * 50, "\u00e9-1"])
def test_a_page_of_another_start_is_told_to_load_again(fresh: RunningConsole, last: str) -> None:
    with closing(Stream(fresh, fresh.session("member"), last.encode().decode("latin-1"))) as stream:
        assert stream.event() == ("gap", {})


def test_signing_out_ends_the_pages_of_the_session(fresh: RunningConsole) -> None:
    session = fresh.sign_in("member")
    with (
        closing(Stream(fresh, session)) as one,
        closing(Stream(fresh, fresh.sign_in("member"))) as other,
    ):
        one.next("figures")
        other.next("figures")
        fresh.post("/logout", {}, session)
        assert one.next("end") == {"reason": "signed_out"}
        assert one.event() == ("", None)
        fresh.load(fresh.entry_of("member", call_id="after"))
        assert other.next("call")["calls"][0]["call_id"] == "after"


@pytest.mark.parametrize("change", ["switched off", "another role", "another team"])
def test_who_may_see_less_loses_the_stream_at_the_next_look(
    fresh: RunningConsole, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.console.events.HEARTBEAT_S", 0.1)
    who = "lead"
    with closing(Stream(fresh, fresh.session(who))) as stream:
        stream.next("figures")
        user = fresh.users[who]
        if change == "switched off":
            people.deactivate_user(fresh.store, user.email, fresh.now_us)
        elif change == "another role":
            fresh.store.set_user_role(user.user_id, Role.MEMBER)
        else:
            other = fresh.store.team_named("other")
            assert other is not None
            fresh.store.set_user_team(user.user_id, other.team_id, fresh.now_us)
        assert stream.next("end") == {"reason": "signed_out"}


def test_stopping_ends_every_page(tmp_path: Path) -> None:
    with running_console(tmp_path) as console:
        stream = Stream(console, console.session("member"))
        stream.next("figures")
    assert stream.next("end") == {"reason": "stopping"}
    stream.close()


def test_a_page_that_leaves_is_forgotten(fresh: RunningConsole) -> None:
    streams = [Stream(fresh, fresh.session("member")) for _ in range(3)]
    for stream in streams:
        stream.next("figures")
    assert fresh.hub.connections == 3
    for stream in streams:
        stream.close()
    until(lambda: fresh.hub.connections == 0)


def test_one_session_has_a_limited_number_of_pages(fresh: RunningConsole) -> None:
    session = fresh.session("member")
    streams = [Stream(fresh, session) for _ in range(PER_SESSION_MAX)]
    for stream in streams:
        stream.next("figures")
    refused = fresh.get("/events", session)
    assert (refused.status, refused.json()["code"]) == (503, "live_limit")
    assert int(refused.header("retry-after")) > 0
    for stream in streams:
        stream.close()


def test_a_page_that_does_not_read_costs_a_bounded_amount(fresh: RunningConsole) -> None:
    """Nobody reads this stream: rows give way, and the others go on."""
    session = fresh.session("admin")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stuck,
        closing(Stream(fresh, session)) as reader,
    ):
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stuck.connect(str(fresh.socket))
        stuck.sendall(
            f"GET /events HTTP/1.1\r\nhost: a\r\ncookie: {session.cookie}\r\n\r\n".encode()
        )
        reader.next("figures")
        until(lambda: fresh.hub.connections == 2)
        for batch in range(40):
            fresh.load(*[fresh.entry_of("member", model_served="m" * 200) for _ in range(100)])
            if batch % 10 == 0:
                reader.next("call")
        listeners = list(fresh.hub._listeners)
        assert max(len(each._waiting) for each in listeners) <= 50
        reader.next("call")


# ------------------------------------------------------------------ the hub by itself


def rows(*ids: str, **changes: Any) -> list[Any]:
    return call_rows([ledger_entry(call_id=each, **changes) for each in ids])


async def _hub() -> LiveHub:
    return LiveHub("acme", "start")


def run(work: Any) -> Any:
    return asyncio.run(work())


def test_the_newest_rows_are_kept_and_the_rest_is_counted() -> None:
    async def work() -> None:
        hub = await _hub()
        listener = hub.listen(ALL, "UTC", b"s")
        hub.publish(rows(*[f"c{number}" for number in range(170)]))
        fresh = listener.take()
        assert [row.call_id for row in fresh.rows] == [f"c{number}" for number in range(120, 170)]
        assert fresh.omitted == 120
        assert listener.take().rows == []

    run(work)


def test_what_is_omitted_before_is_told_to_who_sees_everything_alone() -> None:
    async def work() -> None:
        hub = await _hub()
        whole, part = hub.listen(ALL, "UTC", b"a"), hub.listen(ALICE, "UTC", b"b")
        hub.publish(rows("one"), omitted=7)
        assert whole.take().omitted == 7
        assert part.take().omitted == 0

    run(work)


def test_resuming_gives_no_more_than_the_scope() -> None:
    async def work() -> None:
        hub = await _hub()
        hub.publish(rows("core"))
        hub.publish(rows("other", team="other", user_id="u_2"))
        listener = Listener(CORE, "UTC", b"s")
        assert hub.resume(listener, "start-0")
        assert [row.call_id for row in listener.take().rows] == ["core"]
        assert hub.resume(listener, "start-2")
        assert not hub.resume(listener, "start-")
        assert not hub.resume(listener, "before-0")
        hub.publish(rows(*[f"c{number}" for number in range(ROWS_KEPT)]))
        assert not hub.resume(listener, "start-1"), "rows were forgotten meanwhile"

    run(work)


def test_the_number_of_pages_is_limited() -> None:
    async def work() -> None:
        hub = await _hub()
        for number in range(CONNECTIONS_MAX):
            hub.listen(ALL, "UTC", number.to_bytes(4, "big"))
        with pytest.raises(Overloaded):
            hub.listen(ALL, "UTC", b"one more")

    run(work)


def test_calls_do_not_wait_for_figures(tmp_path: Path) -> None:
    """Sums of a large ledger take long, and are made the more rarely."""
    with running_console(tmp_path) as console:
        stream = Stream(console, console.session("admin"))
        stream.next("figures")
        for shared in console.hub._shared.values():
            shared.not_before_s += 3_600
        for call_id in ("first", "second"):
            console.load(console.entry_of("member", call_id=call_id))
            name, data = stream.event()
            assert (name, data["calls"][0]["call_id"]) == ("call", call_id)
        stream.close()


def test_figures_are_summed_up_once_for_all_pages_that_show_them() -> None:
    async def work() -> None:
        hub = await _hub()
        listeners = [hub.listen(ALL, "UTC", bytes([number])) for number in range(10)]
        asked = 0

        async def ask() -> Any:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.01)
            return _Figures()

        await asyncio.gather(*(hub.figures(each, ask, 0) for each in listeners))
        assert asked == 1
        hub.publish(rows("one"))
        early = await asyncio.gather(*(hub.figures(each, ask, 0) for each in listeners))
        assert (asked, set(early)) == (1, {None}), "it was summed up a moment ago"
        due_s = hub.figures_due_s(listeners[0])
        assert due_s > 0
        await asyncio.sleep(due_s)
        found = await asyncio.gather(*(hub.figures(each, ask, 0) for each in listeners))
        assert (asked, len(set(found))) == (2, 1)
        for listener in listeners:
            hub.leave(listener)
        assert await hub.figures(listeners[0], ask, 0) is None
        assert hub.connections == 0

    run(work)


def test_figures_that_take_long_are_not_late_for_long() -> None:
    async def work() -> None:
        hub = await _hub()
        listener = hub.listen(ALL, "UTC", b"s")

        async def ask() -> Any:
            await asyncio.sleep(0.2)
            return _Figures()

        began_s = clock.monotonic_s()
        await hub.figures(listener, ask, 0)
        took_s = clock.monotonic_s() - began_s
        assert 0.5 < hub.figures_due_s(listener) <= 1 + took_s

    run(work)


class _Period:
    end_us = 10


class _Figures:
    today_period = _Period()
