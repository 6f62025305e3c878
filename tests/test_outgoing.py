"""The client for addresses that people write down: where it goes, and what it puts up with."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import trustme

from loopback import HOST
from outgoing_proxy import OutgoingProxy
from receivers import Reply, WebhookReceiver, webhook_receiver
from tollkeeper import outgoing
from tollkeeper.outgoing import Answer, NoAnswer, OutsideClient

INSIDE = (
    *("127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.1.1", "0.0.0.1"),
    *("::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1", "fd00:ec2::254", "fe80::1"),
)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as made:
        made.answer = lambda received: Reply(200, b"{}", {"content-type": "Application/JSON; x=y"})
        yield made


def post(client: OutsideClient, url: str) -> Answer:
    return client.ask("POST", url, {}, b"x=1")


def test_what_comes_back(receiver: WebhookReceiver) -> None:
    answer = post(OutsideClient(named={HOST}), receiver.url(path="/token?a=b"))
    assert answer == Answer(200, "application/json", b"{}")
    (got,) = receiver.received
    assert (got.path, got.body) == ("/token?a=b", b"x=1")
    assert got.headers["host"] == f"{HOST}:{receiver.port}"


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_that_points_inside_is_not_asked(receiver: WebhookReceiver, address: str) -> None:
    client = OutsideClient(resolve=lambda host, port: ["93.184.215.14", address])
    with pytest.raises(NoAnswer, match="points inside"):
        post(client, f"https://sso.acme.com:{receiver.port}/")
    assert receiver.received == []


@pytest.mark.parametrize(
    "url",
    [
        *("http://sso.acme.com/", "https://127.0.0.1/", "https://0x7f.1/", "https://2130706433/"),
        *("https://[::ffff:a9fe:a9fe]/", "https://localhost/", "file:///etc/passwd", "//x", ""),
        *("https://sso.acme.com@127.0.0.1/", "https://sso.acme.com\\@127.0.0.1/", "gopher://x/"),
    ],
)
def test_an_address_that_may_not_be_is_not_looked_up(url: str) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    with pytest.raises(NoAnswer, match="the address "):
        post(OutsideClient(resolve=resolve), url)


def test_metadata_is_not_asked_even_by_name() -> None:
    client = OutsideClient(named={"meta.internal"}, resolve=lambda host, port: ["169.254.169.254"])
    with pytest.raises(NoAnswer, match="points inside"):
        post(client, "http://meta.internal/")


def test_no_redirect_is_followed(receiver: WebhookReceiver) -> None:
    receiver.answer = lambda received: Reply(302, b"", {"location": "/elsewhere"})
    assert post(OutsideClient(named={HOST}), receiver.url()).status == 302
    assert len(receiver.received) == 1


def test_an_answer_has_a_largest_size(receiver: WebhookReceiver) -> None:
    most = outgoing.ANSWER_BYTES_MAX
    receiver.answer = lambda received: Reply(200, b"x" * most)
    assert len(post(OutsideClient(named={HOST}), receiver.url()).body) == most
    receiver.answer = lambda received: Reply(200, b"x" * (most + 1))
    with pytest.raises(NoAnswer, match="larger than 512 KB"):
        post(OutsideClient(named={HOST}), receiver.url())


def test_a_server_that_drips_or_is_silent_ends() -> None:
    def drip(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            try:
                while True:
                    client.sendall(b"H")
                    threading.Event().wait(0.05)
            except OSError:
                return

    with closing(socket.create_server((HOST, 0))) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        url = f"http://{HOST}:{server.getsockname()[1]}/"
        with pytest.raises(NoAnswer):
            post(OutsideClient(named={HOST}, try_s=0.3), url)
        thread.join(5)
        with pytest.raises(NoAnswer, match="no answer within"):  # nobody accepts now
            post(OutsideClient(named={HOST}, try_s=0.3), url)


def test_no_proxy_is_taken_from_the_environment(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{HOST}:9")
    assert post(OutsideClient(named={HOST}), receiver.url()).status == 200


def test_a_proxy_that_is_named_is_a_tunnel_and_tls_is_with_the_server() -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("sso.acme.com").configure_cert(tls)
    with (
        webhook_receiver(tls) as receiver,
        OutgoingProxy() as proxy,
        authority.cert_pem.tempfile() as ca_file,
    ):
        url = f"https://sso.acme.com:{receiver.port}/token"
        for addresses in ([], ["93.184.215.14"]):
            client = OutsideClient(
                ca_file,
                proxy_for=lambda target: proxy.url("bot:p%40ss@"),
                resolve=_resolving(addresses),
                try_s=5.0,
            )
            assert post(client, url).status == 204  # names lead back here at the test's proxy
        assert proxy.heads[0].startswith(f"CONNECT sso.acme.com:{receiver.port} ".encode())
        assert b"\r\nProxy-Authorization: Basic Ym90OnBAc3M=" in proxy.heads[0]
        seen = len(proxy.heads)
        inside = OutsideClient(
            ca_file, proxy_for=lambda target: proxy.url(), resolve=_resolving(["10.0.0.1"])
        )
        with pytest.raises(NoAnswer, match="points inside"):
            post(inside, url)
        assert len(proxy.heads) == seen


def _resolving(addresses: list[str]) -> outgoing.Resolve:
    def resolve(host: str, port: int) -> list[str]:
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return addresses

    return resolve
