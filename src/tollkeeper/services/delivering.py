"""The courier: brings messages to the channels, for days if need be, and says what became of it.

Any number of processes may have one. A message gets its deliveries in one transaction, and a
delivery is claimed before it is tried; whoever dies with one in hand loses nothing, because it
comes back when the claim runs out. So a message arrives at least once, always under one id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from random import SystemRandom
from types import MappingProxyType
from typing import Final, NamedTuple

from tollkeeper.domain.budget_windows import zone_of
from tollkeeper.domain.channels import Channel
from tollkeeper.domain.deliveries import (
    ChannelState,
    Delivery,
    DeliveryState,
    Message,
    Outcome,
    Severity,
    Told,
    after_try,
    channel_after,
)
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.ports import Notifier, Store
from tollkeeper.services.outbox import enqueue, message_of
from tollkeeper.services.times import moment_words
from tollkeeper.telemetry import logger

AT_ONCE: Final = 4
"""So many channels are tried at the same time: one that hangs holds up few others."""

MESSAGES_MAX: Final = 100
DIGEST_PARTS_MAX: Final = 1_000
DIGEST_LINES_MAX: Final = 40
CLOSED: Final = "channel.closed"
DIGEST: Final = "digest"
TEST: Final = "test"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MINUTES: Final = 1_440
_draw: Final = SystemRandom().random


Direct = Callable[[Told], Outcome]
"""Tries once to send a message that goes to no channel."""

NONE_DIRECT: Final[Mapping[str, Direct]] = MappingProxyType({})


class Mailing(NamedTuple):
    """What the configuration says of messages.

    ``address`` is where our pages are; digests are made at ``digest_minute`` of the day in
    ``zone``.
    """

    channels: Mapping[str, Channel]
    address: str
    zone: str
    digest_minute: int = 480

    def link(self, message: Message) -> str:
        """Give the address of a message's page."""
        return f"{self.address}{message.path}" if message.path else ""


class Courier:
    """Brings messages to channels. Used by one thread.

    ``direct`` says by their events how messages are sent that go to no channel.
    """

    def __init__(
        self,
        store: Store,
        notifier: Callable[[], Notifier],
        mailing: Callable[[], Mailing],
        now_us: Callable[[], int],
        failpoint: FailPoint = nowhere,
        direct: Mapping[str, Direct] = NONE_DIRECT,
    ) -> None:
        self._store = store
        self._direct = direct
        self._notifier = notifier
        self._mailing = mailing
        self._now_us = now_us
        self._pass = failpoint
        self._hands = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="courier")

    def work(self) -> int:
        """Do all that is due; say how many deliveries were tried. Raises OSError."""
        mailing = self._mailing()
        self._address_all(mailing)
        self._digest_all(mailing)
        tried = 0
        while claimed := self._store.claim(self._now_us(), AT_ONCE):
            self._pass("outbox.claim.after")
            states = {it.channel: it for it in self._store.channel_states()}
            outcomes = self._hands.map(partial(self._try, mailing, states), claimed)
            for told, outcome in zip(claimed, outcomes, strict=True):
                self._pass("outbox.send.after")
                self._settle(told, outcome)
                self._pass("outbox.settle.after")
            tried += len(claimed)
        return tried

    def close(self) -> None:
        """Begin nothing more. What is in hand comes back when its claim runs out."""
        self._hands.shutdown(wait=False, cancel_futures=True)

    # ------------------------------------------------------------------ addressing

    def _address_all(self, mailing: Mailing) -> None:
        messages = self._store.untold(MESSAGES_MAX)
        if not messages:
            return
        closed = {it.channel: it for it in self._store.channel_states() if it.closed_at_us}
        for message in messages:
            deliveries = [
                _delivery(message, channel, closed.get(channel.name), self._now_us())
                for channel in mailing.channels.values()
                if channel.wants(message.event, is_recovery=message.severity is Severity.GOOD)
            ]
            self._pass("outbox.address.before")
            self._store.address(message.message_id, deliveries)
            self._pass("outbox.address.after")

    # ------------------------------------------------------------------ digests

    def _digest_all(self, mailing: Mailing) -> None:
        for channel in mailing.channels.values():
            if channel.is_digest:
                self._digest(mailing, channel)

    def _digest(self, mailing: Mailing, channel: Channel) -> None:
        now_us = self._now_us()
        moment_us, day = last_digest(mailing, now_us)
        waiting = self._store.gathered(channel.name, DIGEST_PARTS_MAX)
        parts = [told.message for told in waiting if told.message.created_at_us < moment_us]
        if parts:
            message = digest_of(parts, channel.name, day, mailing.zone, now_us)
            ids = [part.message_id for part in parts]
            self._store.digest(message, channel.name, ids)

    # ------------------------------------------------------------------ sending

    def _try(self, mailing: Mailing, states: Mapping[str, ChannelState], told: Told) -> Outcome:
        direct = self._direct.get(told.message.event)
        if direct is not None:
            return tried_directly(direct, told)
        name = told.delivery.channel
        channel, state = mailing.channels.get(name), states.get(name)
        if channel is None:
            return Outcome("is in the configuration no more", is_final=True)
        if state is not None and state.closed_at_us is not None:
            return Outcome(f"is closed: {state.fault}", is_final=True)
        return tried(self._notifier(), channel, told.message, mailing, self._now_us())

    def _settle(self, told: Told, outcome: Outcome) -> None:
        now_us = self._now_us()
        delivery = after_try(told.delivery, outcome, now_us, _draw())
        before = _state_of(self._store.channel_states(), delivery.channel)
        after = channel_after(before, delivery, outcome, now_us)
        if told.message.event in self._direct:  # nobody could open it again
            after = after._replace(closed_at_us=None)
        if not self._store.settle(delivery, after):
            return
        if outcome.fault:
            logger.warning(
                "message not delivered",
                extra={
                    "channel": delivery.channel,
                    "attempt": delivery.attempts,
                    "reason": delivery.fault,
                    "given_up": delivery.state is DeliveryState.DEAD,
                },
            )
        if after.closed_at_us and not before.closed_at_us:
            enqueue(self._store, _closed_message(after, now_us))


def tried(
    notifier: Notifier, channel: Channel, message: Message, mailing: Mailing, now_us: int
) -> Outcome:
    """Try once; a fault of ours is an outcome as well, so that it never stops the others."""
    try:
        return notifier.send(channel, message, mailing.link(message), now_us)
    except Exception:  # noqa: BLE001 - whatever it is, the other channels must be told
        logger.exception("sending failed", extra={"channel": channel.name})
        return Outcome("could not be tried: a fault of ours, which has been logged")


def tried_directly(direct: Direct, told: Told) -> Outcome:
    """Try once to send what goes to no channel; a fault of ours is an outcome as well."""
    try:
        return direct(told)
    except (LedgerUnavailable, OSError) as error:
        return Outcome(f"cannot be put together now: {error}")
    except Exception:  # noqa: BLE001 - whatever it is, everybody else must be told
        logger.exception("sending failed", extra={"message": told.message.message_id})
        return Outcome("could not be tried: a fault of ours, which has been logged")


def try_channel(
    store: Store, notifier: Notifier, mailing: Mailing, channel: Channel, by: str, now_us: int
) -> Delivery:
    """Send a test message now, and keep what became of it.

    A channel that was closed is open again when it arrives.
    """
    message = message_of(
        TEST,
        "Tollkeeper: this is a test",
        f"{by} has sent this from Tollkeeper to see whether the channel {channel.name} works.",
        now_us,
        data={"channel": channel.name},
    )
    outcome = tried(notifier, channel, message, mailing, now_us)
    claimed = Delivery(message.message_id, channel.name, DeliveryState.WAITING, 1, now_us, now_us)
    delivery = after_try(claimed, outcome._replace(is_final=True), now_us, 0.0)
    with store.together():
        store.add_message(message)
        store.address(message.message_id, [delivery])
        if delivery.state is DeliveryState.DELIVERED:
            store.set_channel(ChannelState(channel.name, delivered_at_us=now_us))
    logger.info(
        "channel tested",
        extra={"channel": channel.name, "by": by, "delivered": not delivery.fault},
    )
    return delivery


def last_digest(mailing: Mailing, now_us: int) -> tuple[int, str]:
    """Give the latest moment at which digests were due, epoch microseconds, and its day."""
    zone = zone_of(mailing.zone)
    local = (_EPOCH + timedelta(microseconds=now_us)).astimezone(zone)
    minute = mailing.digest_minute % _DAY_MINUTES
    moment = local.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0)
    if moment > local:
        moment = (moment - timedelta(days=1)).replace(fold=0)
    return int((moment - _EPOCH) / timedelta(microseconds=1)), moment.date().isoformat()


def digest_of(parts: Sequence[Message], channel: str, day: str, zone: str, now_us: int) -> Message:
    """Sum messages up in one. A day and a channel have one digest."""
    lines = [
        f"- {moment_words(part.created_at_us, zone)}: {part.title}"
        for part in parts[:DIGEST_LINES_MAX]
    ]
    if len(parts) > len(lines):
        lines.append(f"and {len(parts) - len(lines)} more")
    severities = list(Severity)
    worst = max((part.severity for part in parts), key=severities.index)
    title = f"{len(parts)} {'message' if len(parts) == 1 else 'messages'} since the last digest"
    return message_of(
        DIGEST,
        title,
        "\n".join(lines),
        now_us,
        severity=worst,
        data={"messages": [part.message_id for part in parts[:DIGEST_LINES_MAX]]},
        message_id=f"digest_{channel.replace('.', '-')}_{day}",
    )


def _delivery(
    message: Message, channel: Channel, closed: ChannelState | None, now_us: int
) -> Delivery:
    """Give the delivery of a message to a channel as it begins."""
    state, fault = DeliveryState.WAITING, ""
    if closed is not None:
        state, fault = DeliveryState.DEAD, f"is closed: {closed.fault}"[:200]
    elif channel.is_digest:
        state = DeliveryState.GATHERED
    return Delivery(message.message_id, channel.name, state, 0, now_us, now_us, fault=fault)


def _closed_message(state: ChannelState, now_us: int) -> Message:
    return message_of(
        CLOSED,
        f"The channel {state.channel} is closed: nothing is sent there any more",
        f"It {state.fault}. Put it right, then test it on the page Alerts: that opens it again.",
        now_us,
        severity=Severity.WARNING,
        data={"channel": state.channel, "fault": state.fault},
        message_id=f"msg_closed_{state.channel.replace('.', '-')}_{state.closed_at_us}",
    )


def _state_of(states: Iterable[ChannelState], channel: str) -> ChannelState:
    return next((it for it in states if it.channel == channel), ChannelState(channel))
