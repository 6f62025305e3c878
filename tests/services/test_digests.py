"""Who gets a weekly digest, and that each gets theirs once, whoever looks and however often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alert_desks import NotingNotifier, channel
from stores import open_folder
from tollkeeper.domain.access import Role
from tollkeeper.domain.deliveries import ChannelState, DeliveryState, Outcome
from tollkeeper.domain.digests import EVENT, LATE_US, DigestChat, DigestSettings, Week
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.services import people
from tollkeeper.services.delivering import Courier, Mailing
from tollkeeper.services.digests import GONE, Digests, Recipient, recipients, standing_of
from tollkeeper.services.first_run import ADMIN_EMAIL

HOUR = 3_600_000_000
DAY = 24 * HOUR
DUE = 1_792_396_800_000_000  # Monday, 19 October 2026, 08:00 UTC
WEEK = Week(2026, 42)
CHAT = DigestChat(channel("team-chat"), "Core")


class Sending:
    """One process that looks and sends; several may share a store. ``now_us`` may be set."""

    def __init__(self, folder: Path) -> None:
        self.now_us = DUE
        self.store = open_folder(folder).store
        self.settings = DigestSettings(enabled=True)
        self.sent: list[tuple[str, str, str]] = []
        self.answer: Callable[[Recipient], Outcome] = lambda recipient: Outcome()
        self.digests = Digests(
            *(self.store, lambda: self.settings, lambda: True, self._send, lambda: self.now_us)
        )
        self.courier = Courier(
            *(self.store, NotingNotifier, lambda: Mailing({}, "", "UTC"), lambda: self.now_us),
            direct={EVENT: self.digests.send},
        )

    def work(self) -> int:
        """Look, and bring; say how many were written down."""
        written = self.digests.look()
        self.courier.work()
        return written

    def to(self) -> list[tuple[str, str]]:
        return sorted((to, about) for to, about, _ in self.sent)

    def close(self) -> None:
        self.courier.close()
        self.store.close()

    def _send(self, recipient: Recipient, week: Week, message_id: str, now_us: int) -> Outcome:
        assert week == WEEK
        self.sent.append((recipient.to, recipient.audience.team, message_id))
        return self.answer(recipient)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Sending]:
    made = Sending(tmp_path)
    for team, parent in (("Core", ""), ("Search", "Core"), ("Other", "")):
        people.add_team(made.store, team, 0, parent=parent)
    for email, role, team in (
        ("root@acme.com", Role.ADMIN, ""),
        ("fred@acme.com", Role.FINANCE, ""),
        ("lena@acme.com", Role.LEAD, "Core"),
        ("sid@acme.com", Role.LEAD, "Search"),
        ("alice@acme.com", Role.MEMBER, "Core"),
        ("audrey@acme.com", Role.AUDITOR, ""),
    ):
        people.add_user(made.store, email, 0, role=role, team=team)
    yield made
    made.close()


def test_leads_get_their_teams_and_admins_and_finance_the_company(desk: Sending) -> None:
    found = recipients(desk.store, desk.settings, mails=True)
    assert {(it.to, it.audience.team, it.audience.parts) for it in found} == {
        ("root@acme.com", "", ()),
        ("fred@acme.com", "", ()),
        ("lena@acme.com", "Core", ("Search",)),
        ("sid@acme.com", "Search", ()),
    }
    assert {it.audience.teams for it in found if it.audience.team == "Core"} == {
        frozenset({"Core", "Search"})
    }


def test_the_account_of_the_first_start_has_no_mailbox(desk: Sending) -> None:
    people.add_user(desk.store, ADMIN_EMAIL, 0, role=Role.ADMIN)
    found = recipients(desk.store, desk.settings, mails=True)
    assert ADMIN_EMAIL not in {it.to for it in found}


def test_addresses_chats_and_leads_are_as_configured(desk: Sending) -> None:
    chats = (CHAT, DigestChat(channel("all")), DigestChat(channel("x"), "no such team"))
    chosen = DigestSettings(True, company=("cfo@acme.com",), leads=False, chats=chats)
    assert [(it.to, it.audience.team) for it in recipients(desk.store, chosen, mails=True)] == [
        ("cfo@acme.com", ""),
        ("team-chat", "Core"),
        ("all", ""),
    ]
    only_chats = recipients(desk.store, chosen, mails=False)
    assert [it.to for it in only_chats] == ["team-chat", "all"]


def test_whoever_has_left_gets_nothing_even_where_the_file_names_them(desk: Sending) -> None:
    for email in ("fred@acme.com", "lena@acme.com"):
        people.deactivate_user(desk.store, email, DUE)
    chosen = desk.settings._replace(company=("fred@acme.com", "root@acme.com"))
    found = recipients(desk.store, chosen, mails=True)
    assert [it.to for it in found] == ["root@acme.com", "sid@acme.com"]


def test_a_team_that_is_switched_off_has_no_digest(desk: Sending) -> None:
    people.set_team_active(desk.store, "Search", False)
    found = recipients(desk.store, desk.settings, mails=True)
    assert "sid@acme.com" not in {it.to for it in found}


def test_each_gets_theirs_once_whatever_is_started_again(desk: Sending, tmp_path: Path) -> None:
    desk.now_us = DUE - 1
    assert desk.work() == 0
    desk.now_us = DUE
    assert desk.work() == 4
    assert desk.work() == 0
    other = Sending(tmp_path)  # another process, and one that remembers nothing
    other.now_us = DUE + HOUR
    assert other.work() == 0
    other.close()
    assert len(desk.to()) == 4
    assert other.sent == []
    assert len({message_id for _, _, message_id in desk.sent}) == 4


def test_two_that_look_at_the_same_moment_write_each_once(desk: Sending, tmp_path: Path) -> None:
    other = Sending(tmp_path)
    assert desk.digests.look() + other.digests.look() == 4
    desk.courier.work()
    other.courier.work()
    assert sorted(desk.to() + other.to()) == [
        ("fred@acme.com", ""),
        ("lena@acme.com", "Core"),
        ("root@acme.com", ""),
        ("sid@acme.com", "Search"),
    ]
    other.close()


def test_a_week_that_was_missed_is_sent_for_three_days_and_then_never(desk: Sending) -> None:
    desk.now_us = DUE + LATE_US
    assert desk.work() == 0
    desk.now_us -= 1
    assert desk.work() == 4


def test_switched_off_nothing_is_written_and_nothing_sent(desk: Sending) -> None:
    desk.settings = DigestSettings(enabled=False)
    assert desk.work() == 0
    desk.settings = DigestSettings(enabled=True)
    desk.digests.look()
    desk.settings = DigestSettings(enabled=False)
    desk.courier.work()
    assert desk.sent == []


def test_what_fails_is_tried_for_days_and_only_for_whoever_is_still_to_have_it(
    desk: Sending,
) -> None:
    desk.answer = lambda it: Outcome("no mail server answers") if it.audience.team else Outcome()
    desk.work()
    desk.now_us += HOUR
    desk.courier.work()
    tries = [to for to, about, _ in desk.sent if about]
    assert sorted(tries) == sorted(["lena@acme.com", "sid@acme.com"] * 2)
    people.deactivate_user(desk.store, "lena@acme.com", desk.now_us)
    people.move_user(desk.store, "sid@acme.com", "Other", desk.now_us)
    desk.now_us += DAY
    desk.courier.work()
    stands = {told.delivery.channel: told.delivery for told in desk.store.deliveries(10)}
    assert stands["mail to lena@acme.com"].fault == GONE
    assert stands["mail to sid@acme.com"].fault == GONE
    assert [to for to, about, _ in desk.sent if about] == tries
    assert stands["mail to root@acme.com"].state is DeliveryState.DELIVERED


def test_a_way_that_fails_again_and_again_is_not_closed(desk: Sending) -> None:
    """Nobody could open it again: it is tried anew each week."""
    desk.settings = DigestSettings(True, leads=False, company=("cfo@acme.com",))
    desk.store.set_channel(ChannelState("mail to cfo@acme.com", failures=5))
    desk.answer = lambda it: Outcome("has no mailbox", is_final=True)
    desk.work()
    (state,) = desk.store.channel_states()
    assert (state.failures, state.closed_at_us) == (6, None)
    assert len(desk.store.deliveries(10)) == 1


def test_a_ledger_that_is_away_is_a_fault_that_goes_by(desk: Sending) -> None:
    def away(recipient: Recipient) -> Outcome:
        raise LedgerUnavailable("the ledger is locked")

    desk.settings = DigestSettings(True, leads=False, company=("cfo@acme.com",))
    desk.answer = away
    desk.work()
    (told,) = desk.store.deliveries(10)
    assert told.delivery.state is DeliveryState.WAITING
    assert "the ledger is locked" in told.delivery.fault
    desk.answer = lambda it: Outcome()
    desk.now_us += HOUR
    desk.courier.work()
    (told,) = desk.store.deliveries(10)
    assert told.delivery.state is DeliveryState.DELIVERED


def test_how_the_weekly_ones_stand_can_be_asked(desk: Sending) -> None:
    listed = recipients(desk.store, desk.settings, mails=True)
    assert standing_of(desk.store, WEEK, listed) == {}
    desk.work()
    found = standing_of(desk.store, WEEK, listed)
    assert {it.state for it in found.values()} == {DeliveryState.DELIVERED}
    assert set(found) == set(listed)
