"""Weekly digests: who is to have one, and that each gets theirs once a week.

A digest is a message of the outbox with one delivery, under an id that is made of the week and
the recipient. Its key is unique, so any number of processes may look: the insert that wins sends.
What stands in it is put together when it is sent, for whoever is still to have it then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tollkeeper.domain.access import Role
from tollkeeper.domain.deliveries import (
    Delivery,
    DeliveryState,
    Message,
    Outcome,
    Told,
    one_line,
)
from tollkeeper.domain.digests import EVENT, DigestSettings, Week, latest_due
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.ports import Store, Team, User
from tollkeeper.services.first_run import ADMIN_EMAIL
from tollkeeper.services.outbox import enqueue, message_of
from tollkeeper.telemetry import logger

GONE: Final = "is to have no digest any more"
COMPANY: Final = "company"
_PATH: Final = "/"
_CHANNEL_CHARS_MAX: Final = 200
_OF_COMPANY: Final = frozenset({Role.ADMIN, Role.FINANCE})


class Audience(NamedTuple):
    """What a digest is about: a team with its parts, or the company where ``team`` is ""."""

    team: str = ""
    parts: tuple[str, ...] = ()
    team_id: str = ""

    @property
    def teams(self) -> frozenset[str] | None:
        """Name the teams; None for all."""
        return frozenset({self.team, *self.parts}) if self.team else None


class Recipient(NamedTuple):
    """Who gets one digest: ``to`` is a mail address, or the name of a chat.

    ``who`` is what stays the same of them: the id of their account, or else ``to``.
    """

    audience: Audience
    to: str
    who: str
    is_chat: bool = False

    @property
    def channel(self) -> str:
        """Name the way in the log of deliveries."""
        return one_line(self.to if self.is_chat else f"mail to {self.to}", _CHANNEL_CHARS_MAX)

    def message_id(self, week: Week) -> str:
        """Give the id of their digest of a week, the same whoever asks."""
        kind = "chat" if self.is_chat else "mail"
        digest = hashlib.blake2b(f"{kind}\0{self.who}".encode(), digest_size=8).hexdigest()
        return f"weekly_{week.name}_{self.audience.team_id or COMPANY}_{digest}"


Send = Callable[[Recipient, Week, str, int], Outcome]
"""Puts the digest of a recipient and a week together and sends it, under a message's id."""


def audience_of(teams: Iterable[Team], name: str) -> Audience | None:
    """Give the audience of a team in use, whatever the case of its name; None without one."""
    known = list(teams)
    found = next((it for it in known if it.active and it.name.casefold() == name.casefold()), None)
    if found is None:
        return None
    parts = tuple(sorted(it.name for it in known if it.parent == found.name))
    return Audience(found.name, parts, found.team_id)


def recipients(store: Store, settings: DigestSettings, *, mails: bool) -> list[Recipient]:
    """List who is to have a digest now. ``mails`` tells whether mails can be sent.

    Whoever has left is not among them, even where the configuration still names the address.
    """
    teams, users = store.teams(), store.users()
    by_address = {it.email: it for it in users}
    found: dict[tuple[str, str], Recipient] = {}

    def add(recipient: Recipient) -> None:
        found.setdefault((recipient.audience.team_id, recipient.who), recipient)

    if mails:
        for address in settings.company or _of_company(users):
            user = by_address.get(address)
            if user is None or user.active:
                who = address if user is None else user.user_id
                add(Recipient(Audience(), address, who))
        for user in users if settings.leads else ():
            audience = audience_of(teams, user.team) if _leads(user) else None
            if audience is not None:
                add(Recipient(audience, user.email, user.user_id))
    for chat in settings.chats:
        about = audience_of(teams, chat.team) if chat.team else Audience()
        if about is not None:
            add(Recipient(about, chat.channel.name, chat.channel.name, is_chat=True))
    return list(found.values())


def _of_company(users: Iterable[User]) -> list[str]:
    """Give who gets the company's where nobody is named: not the first start's own account."""
    return [
        it.email for it in users if it.active and it.role in _OF_COMPANY and it.email != ADMIN_EMAIL
    ]


def _leads(user: User) -> bool:
    return user.active and user.role is Role.LEAD and bool(user.team)


class Digests:
    """Sends what is due. One for each process; ``look`` is for one thread, ``send`` for any."""

    def __init__(
        self,
        store: Store,
        settings: Callable[[], DigestSettings],
        mails: Callable[[], bool],
        send: Send,
        now_us: Callable[[], int],
        failpoint: FailPoint = nowhere,
    ) -> None:
        self._store = store
        self._settings = settings
        self._mails = mails
        self._send = send
        self._now_us = now_us
        self._pass = failpoint
        self._written: set[str] = set()

    def look(self) -> int:
        """Write down what is due and was not yet; say how many digests. Raises OSError.

        What this process remembers only saves questions.
        """
        settings, now_us = self._settings(), self._now_us()
        due = latest_due(settings, now_us)
        if not settings.enabled or not due.is_open(now_us):
            self._written.clear()
            return 0
        written = 0
        for each in recipients(self._store, settings, mails=self._mails()):
            message_id = each.message_id(due.week)
            if message_id in self._written:
                continue
            self._pass("digest.write.before")
            written += self._write(each, due.week, message_id, now_us)
            self._pass("digest.write.after")
            self._written.add(message_id)
        return written

    def send(self, told: Told) -> Outcome:
        """Try to send one, as the courier asks."""
        settings = self._settings()
        for each in recipients(self._store, settings, mails=self._mails()):
            if told.message.data.get("recipient") == _recipient_words(each):
                break
        else:
            return Outcome(GONE, is_final=True)
        if not settings.enabled:
            return Outcome("is switched off", is_final=True)
        week = Week(*told.message.data["week"])
        return self._send(each, week, told.message.message_id, self._now_us())

    def _write(self, recipient: Recipient, week: Week, message_id: str, now_us: int) -> bool:
        message = digest_message(recipient, week, message_id, now_us)
        delivery = Delivery(message_id, recipient.channel, DeliveryState.WAITING, 0, now_us, now_us)
        with self._store.together():
            is_ours = enqueue(self._store, message)
            if is_ours:
                self._store.address(message_id, [delivery])
        if is_ours:
            logger.info("digest due", extra={"digest": message_id})
        return is_ours


def digest_message(recipient: Recipient, week: Week, message_id: str, now_us: int) -> Message:
    """Give the message that stands for a digest in the outbox."""
    about = f"team {recipient.audience.team}" if recipient.audience.team else "the company"
    return message_of(
        EVENT,
        f"Weekly digest of {about}, {week.name}",
        "",
        now_us,
        data={"week": list(week), "recipient": _recipient_words(recipient)},
        path=_PATH,
        message_id=message_id,
    )


def standing_of(
    store: Store, week: Week, listed: Sequence[Recipient]
) -> Mapping[Recipient, Delivery]:
    """Give how the digests of a week stand, of those that were written down."""
    by_id = {each.message_id(week): each for each in listed}
    found = store.deliveries(len(by_id), list(by_id)) if by_id else []
    return {by_id[told.message.message_id]: told.delivery for told in found}


def _recipient_words(recipient: Recipient) -> dict[str, Any]:
    return {
        "team_id": recipient.audience.team_id,
        "who": recipient.who,
        "chat": recipient.is_chat,
    }
