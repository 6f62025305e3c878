"""Messages, and how they get to the channels that are to have them.

A message is written in the same transaction as whatever it tells of. Later it gets a delivery
for each channel, which is tried again for three days until it arrives; its id is the same each
time, so a receiver can tell that it has it already.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

TITLE_CHARS_MAX: Final = 200
TEXT_CHARS_MAX: Final = 4_000
EVENT_CHARS_MAX: Final = 60
REPLY_CHARS_MAX: Final = 200
"""So much of what a channel answered is kept, to see what was wrong."""

SECOND_US: Final = 1_000_000
CLAIM_US: Final = 180 * SECOND_US
"""Whoever takes a delivery has so long to try it; then it counts as not tried."""

DELAYS_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""How long after each failed try the next one follows: in all more than three days."""

JITTER: Final = 0.2
"""A delay is up to this part longer, so that not all channels are tried at once."""

RETRY_AFTER_MAX_S: Final = 86_400
DEAD_AFTER_FAILURES: Final = 3
"""So many deliveries in a row given up close the channel."""

_UNSEEN: Final = re.compile("[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_CALLS_ALL: Final = re.compile(r"@(?=everyone|channel|here|all\b)|<(?=[!@#/a-zA-Z])", re.IGNORECASE)
_ZERO_WIDTH: Final = "\N{ZERO WIDTH SPACE}"


class Severity(enum.StrEnum):
    """How much it matters."""

    GOOD = "good"  # something is well again
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    __hash__ = str.__hash__


class Message(NamedTuple):
    """Something to be told.

    ``message_id`` is what a receiver tells doubles by. ``event`` is a word of the webhook's
    contract (``budget.threshold``). ``data`` is plain JSON data. ``path`` is one of our pages.
    """

    message_id: str
    event: str
    created_at_us: int
    title: str
    text: str
    severity: Severity = Severity.INFO
    data: Mapping[str, Any] = {}
    path: str = ""
    alert_id: str = ""


class DeliveryState(enum.StrEnum):
    """How a message stands with one channel."""

    WAITING = "waiting"  # to be tried at its time
    GATHERED = "gathered"  # waits for the channel's next digest
    DIGESTED = "digested"  # was part of a digest
    DELIVERED = "delivered"
    DEAD = "dead"  # given up; it says why

    __hash__ = str.__hash__


class Delivery(NamedTuple):
    """One message on its way to one channel.

    ``status`` is the HTTP status of the last try, None without one. ``fault`` says what was
    wrong with it, ``reply`` the beginning of what came back.
    """

    message_id: str
    channel: str
    state: DeliveryState
    attempts: int
    next_at_us: int
    changed_at_us: int
    status: int | None = None
    latency_ms: int | None = None
    fault: str = ""
    reply: str = ""


class Told(NamedTuple):
    """A delivery with the message that it carries, as lists show it."""

    delivery: Delivery
    message: Message


class ChannelState(NamedTuple):
    """How a channel has done lately. A closed one gets nothing until it is tested well."""

    channel: str
    failures: int = 0
    closed_at_us: int | None = None
    fault: str = ""
    delivered_at_us: int | None = None


class Failed(NamedTuple):
    """A delivery whose last try failed, at ``changed_at_us``.

    Its message was made at ``created_at_us``.
    """

    channel: str
    changed_at_us: int
    created_at_us: int
    fault: str


class Trouble(NamedTuple):
    """So many messages have failed at a channel, and none has arrived since the first of them.

    ``fault`` is what was wrong last.
    """

    messages: int
    since_us: int
    fault: str


class Outcome(NamedTuple):
    """What became of one try. ``fault`` is "" where it arrived.

    ``is_final`` tells that trying again cannot help; ``closes`` that the channel wants nothing
    more. ``retry_after_s`` is what the receiver asked for.
    """

    fault: str = ""
    status: int | None = None
    latency_ms: int = 0
    reply: str = ""
    is_final: bool = False
    closes: bool = False
    retry_after_s: int | None = None


def after_try(delivery: Delivery, outcome: Outcome, now_us: int, jitter: float) -> Delivery:
    """Give the delivery as it stands after a try. ``jitter`` is 0 to 1, drawn by the caller.

    ``delivery.attempts`` counts the try already.
    """
    tried = delivery._replace(
        changed_at_us=now_us,
        status=outcome.status,
        latency_ms=outcome.latency_ms,
        fault=one_line(outcome.fault, REPLY_CHARS_MAX),
        reply=one_line(outcome.reply, REPLY_CHARS_MAX),
    )
    if not outcome.fault:
        return tried._replace(state=DeliveryState.DELIVERED)
    if outcome.is_final or delivery.attempts > len(DELAYS_S):
        return tried._replace(state=DeliveryState.DEAD)
    delay_s = DELAYS_S[delivery.attempts - 1] * (1 + JITTER * jitter)
    delay_s = max(delay_s, min(outcome.retry_after_s or 0, RETRY_AFTER_MAX_S))
    return tried._replace(next_at_us=now_us + int(delay_s * SECOND_US))


def channel_after(
    known: ChannelState, delivery: Delivery, outcome: Outcome, now_us: int
) -> ChannelState:
    """Give the channel as it stands after a try."""
    if delivery.state is DeliveryState.DELIVERED:
        return ChannelState(known.channel, delivered_at_us=now_us)
    if delivery.state is not DeliveryState.DEAD:
        return known
    failures = known.failures + 1
    closes = outcome.closes or failures >= DEAD_AFTER_FAILURES
    closed_at_us = known.closed_at_us or (now_us if closes else None)
    return known._replace(failures=failures, closed_at_us=closed_at_us, fault=delivery.fault)


def troubles(failed: Iterable[Failed], states: Mapping[str, ChannelState]) -> Mapping[str, Trouble]:
    """Give the channels that fail, by what failed there since something last arrived."""
    found: dict[str, Trouble] = {}
    for each in sorted(failed, key=lambda it: it.changed_at_us):
        state = states.get(each.channel)
        if state is not None and each.changed_at_us <= (state.delivered_at_us or 0):
            continue
        before = found.get(each.channel, Trouble(0, each.created_at_us, ""))
        since_us = min(before.since_us, each.created_at_us)
        found[each.channel] = Trouble(before.messages + 1, since_us, each.fault)
    return found


def one_line(text: str, most: int) -> str:
    """Give a text as one line of printable characters, cut where it is too long."""
    clean = _UNSEEN.sub(" ", text).strip()
    return clean if len(clean) <= most else clean[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def calling_nobody(text: str) -> str:
    """Take from a text what would call a whole channel together, or be read as markup."""
    return _CALLS_ALL.sub(lambda found: found[0] + _ZERO_WIDTH, text)


class Outbox(Protocol):
    """Where messages wait, and what became of them. Nothing is lost, whoever dies when."""

    def add_message(self, message: Message) -> bool:
        """Keep a message that is to be told; False where its id is there already."""

    def untold(self, most: int) -> list[Message]:
        """List messages that have no deliveries yet, oldest first."""

    def address(self, message_id: str, deliveries: Sequence[Delivery]) -> bool:
        """Give a message its deliveries, once; False where it has been done already."""

    def claim(self, now_us: int, most: int) -> list[Told]:
        """Take deliveries that are due, for ``CLAIM_US``; each try is counted here."""

    def settle(self, delivery: Delivery, channel: ChannelState) -> bool:
        """Keep what became of a try; False where somebody else has taken it meanwhile."""

    def gathered(self, channel: str, most: int) -> list[Told]:
        """List what waits for a channel's digest, oldest first."""

    def digest(self, message: Message, channel: str, parts: Sequence[str]) -> bool:
        """Put a digest in place of messages that it sums up; False if it is there already."""

    def deliveries(self, most: int, message_ids: Sequence[str] | None = None) -> list[Told]:
        """List deliveries, newest first; of some messages only, if they are named."""

    def channel_states(self) -> list[ChannelState]:
        """List what is known of channels, by name."""

    def set_channel(self, channel: ChannelState) -> None:
        """Keep what is known of a channel."""

    def forget_messages(self, before_us: int) -> int:
        """Delete messages made before a time of which nothing is on its way; say how many."""
