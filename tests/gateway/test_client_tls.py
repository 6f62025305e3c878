"""TLS on the clients' side, with certificates as an operator has them."""

from __future__ import annotations

import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from memory import grows_by_less_than
from protocols import ALL, OPENAI, RESPONSES, Protocol
from raw_http import RawConnection, request
from rough_upstream import RoughUpstream, json_reply
from running import Deployment, deployment, usual_configuration
from watched import Watched

NAME = "gateway.test"
MIB = 1 << 20
protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])


def _issue(authority: trustme.CA, folder: Path, name: str = NAME) -> dict[str, str]:
    """Write a certificate and its key where the configuration finds them."""
    issued = authority.issue_cert(name)
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return {"tls_cert": str(cert), "tls_key": str(key)}


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def module_watched(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("tls")
    reply = json_reply({"id": "r", "pad": "x" * MIB})
    with RoughUpstream(lambda conversation: conversation.answer(reply)) as rough:
        configuration = usual_configuration(rough.url) | {"listen": _issue(authority, folder)}
        limits = {"TOLLKEEPER_TIMEOUTS__HEAD_S": "2"}
        with deployment(folder, rough.url, configuration, **limits) as made:
            yield Watched(made, rough, _context(authority), NAME)


@protocols
def test_calls_over_tls(watched: Watched, authority: trustme.CA, protocol: Protocol) -> None:
    with RawConnection(watched.port, tls=_context(authority), name=NAME) as connection:
        for _ in range(3):
            answer = connection.send(protocol.call(watched.key)).answer()
            assert (answer.status, len(answer.body) > MIB) == (200, True)
    assert len(watched.sent()) == 3
    watched.entries(3)


def test_large_bodies_and_pipelines_over_tls(watched: Watched, authority: trustme.CA) -> None:
    large = OPENAI.call(watched.key, pad="x" * (8 * MIB))
    with (
        grows_by_less_than(watched.gateway, 100 * MIB),
        RawConnection(watched.port, tls=_context(authority), name=NAME) as connection,
    ):
        assert connection.send(large).answer(60).status == 200
        connection.send(RESPONSES.call(watched.key) * 20)
        assert [connection.answer(60).status for _ in range(20)] == [200] * 20
    assert len(watched.sent()) == 21


def test_refusals_over_tls_are_read_before_the_close(
    watched: Watched, authority: trustme.CA
) -> None:
    for data, status in (
        (OPENAI.call("tk_live_nonsense"), 401),
        (OPENAI.call(watched.key, {"content-length": "99999999"}, body=b""), 413),
        (b"nonsense\r\n\r\n", 400),
    ):
        with RawConnection(watched.port, tls=_context(authority), name=NAME) as connection:
            assert OPENAI.fault(connection.send(data).answer()).status == status
            assert connection.is_closed(5)
    assert not watched.sent()


def test_who_speaks_no_tls_gets_nothing(watched: Watched) -> None:
    with RawConnection(watched.port) as connection:
        said = connection.send(OPENAI.call(watched.key)).rest()
        assert b"HTTP" not in said
    assert not watched.sent()


def test_a_handshake_that_does_not_come_is_ended(watched: Watched, authority: trustme.CA) -> None:
    connections = [RawConnection(watched.port) for _ in range(20)]
    connections[0].send(b"\x16\x03\x01")
    for connection in connections:
        connection.rest(30)
        connection.close()
    with RawConnection(watched.port, tls=_context(authority), name=NAME) as connection:
        assert connection.send(OPENAI.call(watched.key)).answer().status == 200


def test_old_versions_are_not_spoken(watched: Watched, authority: trustme.CA) -> None:
    context = _context(authority)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        RawConnection(watched.port, tls=context, name=NAME)


def test_a_certificate_is_renewed_on_a_signal(tmp_path: Path, authority: trustme.CA) -> None:
    """Connections go on; new ones see the new one; a faulty one is not taken."""
    reply, other = json_reply({"id": "r"}), trustme.CA()
    with RoughUpstream(lambda conversation: conversation.answer(reply)) as rough:
        configuration = usual_configuration(rough.url) | {"listen": _issue(authority, tmp_path)}
        with deployment(tmp_path, rough.url, configuration) as gateway:
            open_before = RawConnection(gateway.port, tls=_context(authority), name=NAME)
            _issue(other, tmp_path)
            _reload(gateway, "configuration taken over")
            with RawConnection(gateway.port, tls=_context(other), name=NAME) as connection:
                assert connection.send(OPENAI.call(gateway.key)).answer().status == 200
            (tmp_path / "cert.pem").write_text("nonsense")
            _reload(gateway, "configuration not taken over")
            with RawConnection(gateway.port, tls=_context(other), name=NAME) as connection:
                ready = connection.send(request("/readyz", method="GET")).answer()
                assert ready.json()["configuration"] is False
            assert open_before.send(OPENAI.call(gateway.key)).answer().status == 200
            open_before.close()


def _reload(gateway: Deployment, text: str) -> None:
    assert gateway.gateway is not None
    gateway.gateway.signal(signal.SIGHUP)
    deadline_s = time.monotonic() + 20
    while text not in gateway.logs():
        assert time.monotonic() < deadline_s, gateway.logs()
        time.sleep(0.02)


# ---------------------------------------------------------------------- settings


def _other_key(folder: Path) -> dict[str, str]:
    found = _issue(trustme.CA(), folder)
    (folder / "key.pem").write_bytes(trustme.CA().issue_cert(NAME).private_key_pem.bytes())
    return found


def _encrypted_key(folder: Path) -> dict[str, str]:
    found = _issue(trustme.CA(), folder)
    file = folder / "key.pem"
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a password"),
        )
    )
    return found


def _no_certificate(folder: Path) -> dict[str, str]:
    found = _issue(trustme.CA(), folder)
    (folder / "cert.pem").write_text("this is no certificate")
    return found


BAD_SETTINGS: dict[str, tuple[Any, str]] = {
    "only a certificate": (
        lambda folder: _issue(trustme.CA(), folder) | {"tls_key": ""},
        "both tls_cert and tls_key",
    ),
    "only a key": (
        lambda folder: _issue(trustme.CA(), folder) | {"tls_cert": ""},
        "both tls_cert and tls_key",
    ),
    "no such certificate": (
        lambda folder: _issue(trustme.CA(), folder) | {"tls_cert": str(folder / "none.pem")},
        "there is no file",
    ),
    "no such key": (
        lambda folder: _issue(trustme.CA(), folder) | {"tls_key": str(folder / "none.pem")},
        "there is no file",
    ),
    "somebody else's key": (_other_key, "cannot be used together"),
    "an encrypted key": (_encrypted_key, "is encrypted"),
    "no certificate in it": (_no_certificate, "cannot be used together"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_settings_that_cannot_work_stop_the_start_with_a_reason(tmp_path: Path, name: str) -> None:
    make, reason = BAD_SETTINGS[name]
    upstream = "http://127.0.0.1:9"
    configuration = usual_configuration(upstream) | {"listen": make(tmp_path)}
    made = Deployment(tmp_path, upstream, configuration)
    with pytest.raises(AssertionError, match=reason):
        made.start()
    made.finish()
