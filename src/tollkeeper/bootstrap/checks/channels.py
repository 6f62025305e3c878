"""Checks of the channels of alerts: how each does, and whether messages may go to its host.

Nothing is sent.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from tollkeeper.bootstrap.checks import Check, Place, fail, ok, warn
from tollkeeper.domain.channels import Channel, server_of
from tollkeeper.domain.deliveries import ChannelState, Failed, Trouble, troubles
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.domain.outside import may_connect
from tollkeeper.http1.origin import Origin
from tollkeeper.services.times import utc_text
from tollkeeper.storage.store.channel_health import stored_channel_states, stored_failures
from tollkeeper.storage.store.store_address import store_of

_AT_ONCE: Final = 8
_MAIL: Final = "Mail"


def channels(place: Place, *, online: bool) -> Iterator[Check]:
    """Look at each configured channel."""
    found = place.configuration.alerts.channels
    if not found:
        yield ok("alerts", "no channel is configured: what fires stands on the page Alerts alone")
        return
    states, failed = _known(place)
    trouble = troubles(failed, states)
    addresses: list[Check | None] = [None] * len(found)
    if online:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="doctor") as hands:
            addresses = list(hands.map(partial(_address, place), found))
    for channel, address in zip(found, addresses, strict=True):
        state = states.get(channel.name, ChannelState(channel.name))
        yield _health(channel, state, trouble.get(channel.name))
        if address is not None:
            yield address


def _known(place: Place) -> tuple[dict[str, ChannelState], list[Failed]]:
    """Give what the store knows; nothing where it cannot be read."""
    try:
        at = store_of(place.data)
        return stored_channel_states(at), stored_failures(at)
    except (TollkeeperError, OSError):
        return {}, []  # the check of the store says what is wrong with it


def _health(channel: Channel, state: ChannelState, trouble: Trouble | None) -> Check:
    label, what = _label(channel), f"{channel.kind}, {channel.shown}"
    test = f"tollkeeper alerts test {channel.name}"
    if state.closed_at_us is not None:
        finding = f"{what}: closed since {utc_text(state.closed_at_us)}: it {state.fault}"
        return fail(label, finding, f"put it right, then open it again with: {test}")
    if trouble is not None:
        count = f"{trouble.messages} {'message' if trouble.messages == 1 else 'messages'}"
        finding = f"{what}: failing since {utc_text(trouble.since_us)} ({count}): {trouble.fault}"
        return warn(label, finding, f"put it right; this tries it at once: {test}")
    if state.delivered_at_us is None:
        return ok(label, f"{what}: nothing has been sent yet; this sends a test: {test}")
    return ok(label, f"{what}: the last message arrived at {utc_text(state.delivered_at_us)}")


def _address(place: Place, channel: Channel) -> Check | None:
    """Look a channel's host up; None where it names none, or a proxy is the one that looks."""
    host, named = server_of(channel), place.configuration.alerts.named
    if not host or _is_behind_proxy(place, channel, host):
        return None
    label = _label(channel)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        remedy = "look at its address in tollkeeper.yaml, and at this machine's DNS"
        return fail(label, f"{host}: there is no such host", remedy)
    addresses = sorted({str(each[4][0]) for each in found})
    inside = [it for it in addresses if not may_connect(it, is_named=host in named)]
    if inside:
        finding = f"{host} points inside ({inside[0]}): nothing is sent there"
        if host in named:
            return fail(label, finding, "no message may go to such an address, named or not")
        return fail(label, finding, f"if that is meant, put {host} into alerts.allow_private")
    count = f"{len(addresses)} {'address' if len(addresses) == 1 else 'addresses'}"
    return ok(label, f"{host} has {count}, and messages may go there")


def _is_behind_proxy(place: Place, channel: Channel, host: str) -> bool:
    """Tell whether the channel is reached through the outgoing proxy, as chats over https are."""
    configuration = place.configuration
    if channel.target is not None or channel.kind == _MAIL or host in configuration.alerts.named:
        return False
    return bool(configuration.proxies.for_origin(Origin("https", host, 443)))


def _label(channel: Channel) -> str:
    return f"channel {channel.name}"
