"""Weekly digests and kill -9: each recipient gets theirs, twice only if killed after sending.

Sending and writing down that it was sent cannot be one step: whoever dies between the two sends
again. That is at least once, and the mail has the same Message-ID both times.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

import tollkeeper
from receivers import MailReceiver, mail_receiver
from stores import open_folder
from tollkeeper.domain.access import Role
from tollkeeper.domain.deliveries import CLAIM_US, DeliveryState
from tollkeeper.failpoints import DIGEST_POINTS
from tollkeeper.services import people

WATCH = Path(__file__).parent.parent / "digest_watch.py"
DUE = 1_792_396_800_000_000
PEOPLE = ("root@acme.com", "fred@acme.com", "lena@acme.com")
KILLED = -signal.SIGKILL


class Post:
    """A store with people, a mail server, and processes that send digests."""

    def __init__(self, folder: Path, mail: MailReceiver) -> None:
        self.folder, self.mail = folder, mail
        opened = open_folder(folder)
        self.store = opened.store
        people.add_team(self.store, "core", 0)
        for email, role in zip(PEOPLE, (Role.ADMIN, Role.FINANCE, Role.LEAD), strict=True):
            team = "core" if role is Role.LEAD else ""
            people.add_user(self.store, email, 0, role=role, team=team)
        self._path = str(opened.data.store)

    def start(self, now_us: int = DUE, failpoint: str = "") -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(WATCH), self._path, str(now_us), str(self.mail.port), failpoint],
            env={**os.environ, "PYTHONPATH": str(Path(tollkeeper.__file__).parent.parent)},  # noqa: TID251
        )

    def arrived(self) -> Counter[tuple[str, str]]:
        """Count the mails by whom they came to and their Message-ID."""
        return Counter(
            (got.rcpt_tos[0], str(message_from_bytes(bytes(got.content or b""))["Message-ID"]))
            for got in self.mail.received
        )

    def states(self) -> set[DeliveryState]:
        return {told.delivery.state for told in self.store.deliveries(10)}


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with mail_receiver() as mail:
        made = Post(tmp_path, mail)
        yield made
        made.store.close()


def test_two_processes_at_once_send_each_digest_once(post: Post) -> None:
    both = [post.start(), post.start()]
    assert [each.wait(60) for each in both] == [0, 0]
    assert sorted(to for to, _ in post.arrived()) == sorted(PEOPLE)
    assert set(post.arrived().values()) == {1}
    assert post.states() == {DeliveryState.DELIVERED}


@pytest.mark.long
@pytest.mark.parametrize("place", [*DIGEST_POINTS, "outbox.claim.after"])
def test_whoever_dies_before_sending_is_followed_by_one_that_sends_once(
    post: Post, place: str
) -> None:
    assert post.start(failpoint=place).wait(60) == KILLED
    assert post.start(DUE + CLAIM_US + 1).wait(60) == 0
    assert sorted(to for to, _ in post.arrived()) == sorted(PEOPLE)
    assert set(post.arrived().values()) == {1}


def test_whoever_dies_between_sending_and_noting_sends_again_under_the_same_id(post: Post) -> None:
    assert post.start(failpoint="outbox.send.after").wait(60) == KILLED
    assert post.start().wait(60) == 0  # what was in hand is nobody's until its claim runs out
    assert set(post.arrived().values()) == {1}
    assert post.start(DUE + CLAIM_US + 1).wait(60) == 0
    assert len(post.arrived()) == len(PEOPLE)
    assert set(post.arrived().values()) <= {1, 2}
    assert post.states() == {DeliveryState.DELIVERED}
