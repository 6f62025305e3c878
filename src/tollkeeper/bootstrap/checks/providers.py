"""Checks of the providers: has each a key, does it answer; and the clock beside theirs."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tollkeeper import bootstrap, clock
from tollkeeper.bootstrap.checks import Check, Place, State, fail, ok, warn
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.domain.routing import AuthStyle, Provider
from tollkeeper.http1.origin import Origin, Proxies, parse_base_url
from tollkeeper.http1.tunnel import open_tunnel
from tollkeeper.services.secrets import OpenedSecrets, open_secrets
from tollkeeper.storage.store.schema_check import sealed_secrets
from tollkeeper.storage.store.store_address import store_of

REACH_S: Final = 4.0
SKEW_WARN_S: Final = 5.0
SKEW_FAIL_S: Final = 60.0
EARLIEST_US: Final = 1_780_000_000_000_000
"""This version was written after this moment (in 2026): a clock before it is wrong."""
_HEAD_BYTES_MAX: Final = 16 << 10


class Reached(NamedTuple):
    """An origin that answered: how fast, and how far its clock is from ours (None: unsaid)."""

    took_ms: int
    ahead_s: float | None


Answers = Mapping[Origin, Reached | Exception]


def providers(place: Place, *, online: bool) -> Iterator[Check]:
    """Look at each configured provider, and at the clock."""
    found = place.configuration.providers
    secrets = _secrets(place)
    if not found:
        yield _nobody(place)
    answers = reach_all(place) if online else {}
    for name, provider in sorted(found.items()):
        yield _key(name, provider, secrets)
        for origin in _origins(provider):
            if origin in answers:
                yield _reached(name, origin, answers[origin])
    yield _clock(answers)


def _nobody(place: Place) -> Check:
    try:
        sandbox = bootstrap.wants_sandbox(place.configuration, place.data)
    except (TollkeeperError, OSError):  # the checks of the folder say what is wrong with it
        return warn("providers", "none is configured", _ADD)
    if sandbox:
        finding = "none is configured: the built-in sandbox answers, and nobody else"
        return warn("providers", finding, _ADD)
    return fail("providers", "none is configured, and the sandbox is off", _ADD)


_ADD: Final = "add one under providers in tollkeeper.yaml: docs/configuration.md"


def _key(name: str, provider: Provider, secrets: OpenedSecrets | None) -> Check:
    label, remedy = f"provider {name}", f"run: tollkeeper providers set {name}"
    if provider.api_key or provider.aws_key is not None:
        return ok(label, "its key stands in the configuration")
    if set(provider.auth.values()) <= {AuthStyle.NONE}:
        return ok(label, "needs no key")
    if secrets is not None and name in secrets.secrets:
        return ok(label, "its key is in the store")
    if secrets is not None and name in secrets.moved:
        return fail(label, "its stored key was given for another address", remedy)
    if secrets is not None and name in secrets.unreadable:
        return fail(label, "its stored key cannot be opened with this key file", remedy)
    return warn(label, "has no key: only callers who bring their own login get through", remedy)


def _secrets(place: Place) -> OpenedSecrets | None:
    """Open the stored keys; None where the store or the key file cannot be used."""
    base_urls = {name: found.root for name, found in place.configuration.providers.items()}
    try:
        sealed = sealed_secrets(store_of(place.data)) if base_urls else {}
        return open_secrets(sealed, bootstrap.open_vault(place.data), base_urls) if sealed else None
    except (TollkeeperError, OSError):
        return None  # the checks of the folder say what is wrong with it


# ------------------------------------------------------------------ over the network


def reach_all(place: Place) -> Answers:
    """Connect to every provider's address at once, through the proxies if there are any."""
    origins = sorted(
        {each for it in place.configuration.providers.values() for each in _origins(it)}
    )
    tls = ssl.create_default_context()
    if place.configuration.settings.ca_file:
        tls.load_verify_locations(place.configuration.settings.ca_file)

    async def together() -> list[Reached | BaseException]:
        proxies = place.configuration.proxies
        reaching = (_reach(origin, proxies, tls) for origin in origins)
        return await asyncio.gather(*reaching, return_exceptions=True)

    return {
        origin: answer
        for origin, answer in zip(origins, asyncio.run(together()), strict=True)
        if isinstance(answer, Reached | Exception)
    }


def _origins(provider: Provider) -> list[Origin]:
    bases = (provider.root, *provider.bases.values())
    origins = dict.fromkeys(parse_base_url(base).origin for base in bases)
    return [origin for origin in origins if not origin.unix_path]


class _Asking(asyncio.Protocol):
    """Asks for nothing but the head of an answer, which tells the other side's time."""

    def __init__(self, request: bytes, answered: asyncio.Future[bytes]) -> None:
        self._request = request
        self._answered = answered
        self._data = b""
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - what asyncio gives
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if b"\r\n\r\n" in self._data or len(self._data) > _HEAD_BYTES_MAX:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish()

    def _finish(self) -> None:
        if not self._answered.done():
            self._answered.set_result(self._data)


async def _reach(origin: Origin, proxies: Proxies, tls: ssl.SSLContext) -> Reached:
    loop = asyncio.get_running_loop()
    proxy = proxies.for_origin(origin)
    host = origin.host_header
    target = b"http://" + host + b"/" if proxy and origin.scheme == "http" else b"/"
    request = b"HEAD %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (target, host)
    answered: asyncio.Future[bytes] = loop.create_future()
    asking = _Asking(request, answered)
    started_s = clock.monotonic_s()
    try:
        async with asyncio.timeout(REACH_S):
            if proxy and origin.scheme == "https":
                await open_tunnel(proxy, origin, tls, asking)
            elif proxy:
                parts = urlsplit(proxy)
                await loop.create_connection(lambda: asking, parts.hostname or "", parts.port or 80)
            else:
                secured = origin.scheme == "https"
                await loop.create_connection(
                    lambda: asking, origin.host, origin.port, ssl=tls if secured else None
                )
            took_ms = round((clock.monotonic_s() - started_s) * 1_000)
            return Reached(took_ms, _ahead_s(await answered))
    finally:
        if asking.transport is not None:
            asking.transport.close()


def _ahead_s(head: bytes) -> float | None:
    """Say by how much our clock is ahead of the one in an answer's Date line."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"date":
            try:
                theirs = parsedate_to_datetime(value.decode("ascii").strip()).timestamp()
            except (ValueError, UnicodeDecodeError):
                return None
            return clock.now_us() / 1e6 - theirs
    return None


def _reached(name: str, origin: Origin, answer: Reached | Exception) -> Check:
    label, where = f"provider {name}", f"{origin.scheme}://{origin.host_header.decode()}"
    if isinstance(answer, Reached):
        return ok(label, f"{where} answers, connected in {answer.took_ms} ms")
    if isinstance(answer, ssl.SSLCertVerificationError):
        remedy = "if your network opens TLS, name its certificate authority in ca_file"
        return fail(
            label, f"{where}: its certificate is not valid: {answer.verify_message}", remedy
        )
    if isinstance(answer, socket.gaierror):
        remedy = "look at base_url and at this machine's DNS, or set https_proxy"
        return fail(label, f"{where}: there is no such host", remedy)
    if isinstance(answer, TimeoutError):
        finding = f"{where}: no answer within {REACH_S:g} s"
    else:
        finding = f"{where}: {getattr(answer, 'strerror', None) or answer}"
    remedy = "is it running, and may this machine call it? Behind a proxy set https_proxy"
    return fail(label, finding, remedy)


def _clock(answers: Answers) -> Check:
    now_us = clock.now_us()
    remedy = "set this machine's clock, for example by NTP: windows and prices go by it"
    if now_us < EARLIEST_US:
        return fail("clock", "it is set to a time before this version was made", remedy)
    skews = [
        answer.ahead_s
        for answer in answers.values()
        if isinstance(answer, Reached) and answer.ahead_s is not None
    ]
    if not skews:
        return ok("clock", "plausible; no provider was asked for the time")
    ahead_s = sorted(skews)[len(skews) // 2]
    finding = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the providers'"
    if abs(ahead_s) > SKEW_FAIL_S:
        return Check("clock", State.FAIL, finding, remedy)
    if abs(ahead_s) > SKEW_WARN_S:
        return Check("clock", State.WARN, finding, remedy)
    return ok("clock", "agrees with the providers'")
