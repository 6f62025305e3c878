"""TLS to providers, and the proxies on the way to them."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from canaries import PLANTED
from gauges import wait_until_at_rest
from loopback import HOST
from outgoing_proxy import OutgoingProxy
from protocols import ALL, OPENAI, Protocol
from raw_http import RawConnection, ask
from running import deployment, usual_configuration
from scripted_provider import Scripted, good, scripted_provider
from tollkeeper.domain.ledger import Basis, Outcome

protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
PASSWORD = PLANTED.plant("the password of a proxy", "canary:proxy@pass-0005")
LOGIN = "user:canary%3Aproxy%40pass-0005@"


class Authority:
    """A certificate authority of one's own, and the file that a gateway trusts it by."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def server(self, name: str = "localhost", **options: Any) -> ssl.SSLContext:
        """Give a server's context, with a certificate for a name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name, **options).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def _secured(
    folder: Path, authority: Authority, tls: ssl.SSLContext | None = None, **environment: str
) -> Iterator[Scripted]:
    trust = {"ca_file": str(authority.file)}
    # What this machine's own environment says of proxies must not count.
    quiet = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "http_proxy", "NO_PROXY", "no_proxy"), "")
    tls = tls or authority.server()
    with scripted_provider(folder, tls, trust, **(quiet | environment)) as provider:
        yield provider


@pytest.fixture(scope="module")
def secured(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with _secured(tmp_path_factory.mktemp("secured"), authority) as provider:
        yield provider


# ---------------------------------------------------------------------- certificates


def test_a_trusted_provider_is_called_over_one_connection(secured: Scripted) -> None:
    secured.plays(good)
    with RawConnection(secured.port) as connection:
        for _ in range(3):
            assert connection.send(OPENAI.call(secured.key)).answer().status == 200
    assert (secured.sent, secured.opened) == (3, 1)
    assert {entry.basis for entry in secured.entries(3)} == {Basis.MEASURED}


@pytest.mark.parametrize("case", ["another name", "expired", "an unknown authority"])
@protocols
def test_a_certificate_that_is_not_valid_is_not_accepted(
    authority: Authority, tmp_path: Path, case: str, protocol: Protocol
) -> None:
    """U18: nothing is sent, so nothing is spent; the reason is told, and no key."""
    options: dict[str, Any] = {}
    if case == "expired":
        options = {"not_after": LONG_AGO, "not_before": LONG_AGO - datetime.timedelta(365)}
    issuing = authority
    if case == "an unknown authority":
        (tmp_path / "other").mkdir()
        issuing = Authority(tmp_path / "other")
    name = "example.org" if case == "another name" else "localhost"
    tls = issuing.server(name, **options)
    with _secured(tmp_path, authority, tls) as provider:
        fault = protocol.fault(ask(provider.port, protocol.call(provider.key)))
        assert fault.status == 502
        assert "certificate is not valid" in fault.message
        assert provider.sent == 0
        entry = provider.entry()
        assert (entry.outcome, entry.basis, entry.cost_nanos, entry.error_code) == (
            Outcome.UPSTREAM_FAILED,
            Basis.FREE,
            0,
            "upstream_tls",
        )
        wait_until_at_rest(provider.gateway)


@pytest.mark.parametrize("speaks", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_handshake_that_comes_to_nothing(tmp_path: Path, speaks: bytes) -> None:
    """Silence ends at the limit, plain HTTP at once."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.sendall(speaks)
            kept.append(connection)

    kept: list[socket.socket] = []
    with socket.create_server((HOST, 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        url = f"https://localhost:{listening.getsockname()[1]}"
        configuration = usual_configuration(url) | {"timeouts": {"connect_s": 1.0}}
        with deployment(tmp_path, url, configuration, HTTPS_PROXY="", https_proxy="") as gateway:
            fault = OPENAI.fault(ask(gateway.port, OPENAI.call(gateway.key)))
            assert fault.status == (502 if speaks else 504)
            (entry,) = gateway.entries_when(1)
            assert (entry.outcome, entry.cost_nanos) == (Outcome.UPSTREAM_FAILED, 0)
            wait_until_at_rest(gateway)
        listening.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


# ---------------------------------------------------------------------- proxies


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_calls_go_through_the_tunnel_of_a_proxy(
    authority: Authority, tmp_path: Path, name: str
) -> None:
    with OutgoingProxy() as proxy:
        with _secured(tmp_path, authority, **{name: proxy.url(LOGIN)}) as provider:
            for protocol in ALL:
                assert ask(provider.port, protocol.call(provider.key)).status == 200
            assert provider.sent == 4
            host = f"localhost:{provider.rough.port}"
        assert proxy.heads == [
            f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n"
            "Proxy-Authorization: Basic dXNlcjpjYW5hcnk6cHJveHlAcGFzcy0wMDA1".encode()
        ]


REFUSALS = {
    "forbidden": (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", "CONNECT with 403"),
    "no login": (b"HTTP/1.1 407 Login\r\nproxy-authenticate: Basic\r\n\r\n", "CONNECT with 407"),
    "unreachable": (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "CONNECT with 502"),
    "no HTTP": (b"\x15\x03\x01\r\n\r\n", "nothing readable"),
    "a body of its own": (b"HTTP/1.1 200 OK\r\n\r\n<html>", "CONNECT with 200"),
    "nothing": (b"", "could not be reached"),
    "half a head": (b"HTTP/1.1 200 OK\r\n", "could not be reached"),
    "a head without end": (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 9_000, "CONNECT with 200"),
}


@pytest.fixture(scope="module")
def proxied(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Scripted, OutgoingProxy]]:
    with OutgoingProxy() as proxy:
        folder = tmp_path_factory.mktemp("proxied")
        with _secured(folder, authority, HTTPS_PROXY=proxy.url()) as provider:
            yield provider, proxy


@pytest.mark.parametrize("case", REFUSALS)
def test_a_proxy_that_refuses(proxied: tuple[Scripted, OutgoingProxy], case: str) -> None:
    """The client learns that it was the proxy; nothing reached the provider."""
    provider, proxy = proxied
    provider.plays(good)
    answer, says = REFUSALS[case]
    proxy.answer = answer
    fault = OPENAI.fault(ask(provider.port, OPENAI.call(provider.key)))
    proxy.answer = None
    assert fault.status == 502
    if case != "a head without end":  # it may be cut off before its end, or after it
        assert says in fault.message
    entry = provider.entry()
    assert (entry.outcome, entry.cost_nanos) == (Outcome.UPSTREAM_FAILED, 0)
    assert provider.sent == 0
    wait_until_at_rest(provider.gateway)


@pytest.mark.parametrize("bypass", ["localhost", "other.example, localhost", "*"])
def test_no_proxy_leads_past_it(authority: Authority, tmp_path: Path, bypass: str) -> None:
    with OutgoingProxy() as proxy:
        lines = {"HTTPS_PROXY": proxy.url(), "NO_PROXY": bypass}
        with _secured(tmp_path, authority, **lines) as provider:
            assert ask(provider.port, OPENAI.call(provider.key)).status == 200
        assert proxy.heads == []


def test_plain_http_goes_through_a_proxy_too(tmp_path: Path) -> None:
    """With absolute targets; the login is the proxy's, and the key the provider's."""
    with (
        OutgoingProxy() as proxy,
        scripted_provider(tmp_path, http_proxy=proxy.url(LOGIN), NO_PROXY="", no_proxy="") as made,
    ):
        for protocol in ALL:
            assert ask(made.port, protocol.call(made.key)).status == 200
        first, *_ = proxy.heads
        assert first.startswith(
            b"POST %b/v1/chat/completions HTTP/1.1\r\n" % made.rough.url.encode()
        )
        assert first.count(b"\r\nProxy-Authorization: Basic dXNlcjpjYW5hcnk6") == 1
        assert made.sent == 4


def test_an_upper_case_http_proxy_is_not_believed(tmp_path: Path) -> None:
    """In a CGI-like environment any client could set it."""
    with (
        OutgoingProxy() as proxy,
        scripted_provider(tmp_path, HTTP_PROXY=proxy.url(), http_proxy="") as provider,
    ):
        assert ask(provider.port, OPENAI.call(provider.key)).status == 200
        assert proxy.heads == []
