"""Checks of the port: free, or answered by us, and if so, whether we are ready."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from tollkeeper import clock
from tollkeeper.bootstrap.checks import Check, Place, fail, ok, warn
from tollkeeper.config.settings import Listen
from tollkeeper.storage import folder_lock

ASK_S: Final = 3.0
EXPIRY_WARN: Final = timedelta(days=14)
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared
_ROLES: Final = ("all", "gateway", "console")
_READY_PARTS: Final = ("journal", "store", "configuration")


def listening(place: Place) -> Iterator[Check]:
    """Look at the port, at TLS, and at the server that runs here, if any."""
    listen = place.configuration.settings.listen
    yield from _tls(listen)
    running = _running(place)
    where = f"{listen.host}:{listen.port}"
    if running is None:
        yield _port_to_take(listen, where)
        yield ok("server", "none runs on this data folder")
        return
    role, pid = running
    finding = f"process {pid} serves this data folder"
    if role == "console":
        yield ok("server", f"{finding}, the console alone")
    elif listen.tls_cert:
        yield ok("server", f"{finding}; over TLS it is not asked whether it is ready")
    else:
        yield _ready(listen, where, finding)
    if role == "all" and place.server is None:
        remedy = "its log says why; it is started again by itself"
        yield fail("console", "the running server's console does not answer", remedy)


def _running(place: Place) -> tuple[str, int] | None:
    for role in _ROLES:
        pid = folder_lock.holder(place.data.run / f"serve-{role}.lock")
        if pid is not None:
            return role, pid
    return None


def _port_to_take(listen: Listen, where: str) -> Check:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        with closing(socket.socket(family, socket.SOCK_STREAM)) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((listen.host, listen.port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _taken(listen, where)
        remedy = "choose an address of this machine and a port above 1023: --host, --port"
        return fail("port", f"{where} cannot be listened on: {error.strerror or error}", remedy)
    return ok("port", f"{where} is free")


def _taken(listen: Listen, where: str) -> Check:
    status, _ = (0, {}) if listen.tls_cert else _ask(listen, "/healthz")
    if status == 200:
        finding = f"{where} is answered by the server of another data folder, it seems"
        return warn("port", finding, "name its folder with --data, or choose another --port")
    remedy = "stop that program, or choose another port: tollkeeper serve --port"
    return fail("port", f"{where} is used by another program", remedy)


def _ready(listen: Listen, where: str, finding: str) -> Check:
    status, answer = _ask(listen, "/readyz")
    if status == 200 and answer.get("configuration", True):
        return ok("server", f"{finding}, and is ready on {where}")
    if not status:
        remedy = "does it listen elsewhere? Give the doctor the same --config and TOLLKEEPER_PORT"
        return fail("server", f"{finding}, and does not answer on {where}", remedy)
    if status == 200:
        remedy = "put the configuration right: what ran before stays in force until then"
        return warn("server", f"{finding}; it could not read its configuration again", remedy)
    bad = [part for part in _READY_PARTS if answer.get(part) is False]
    reason = "it is stopping" if answer.get("draining") else f"not in order: {', '.join(bad)}"
    remedy = "see the checks of the disk, the store and the journal; its log says more"
    return fail("server", f"{finding}, and is not ready: {reason}", remedy)


def _ask(listen: Listen, path: str) -> tuple[int, dict[str, Any]]:
    """Give status and JSON; 0 where nobody answers, or nobody who speaks like us."""
    host = _EVERYWHERE.get(listen.host, listen.host)
    try:
        with closing(HTTPConnection(host, listen.port, timeout=ASK_S)) as connection:
            connection.request("GET", path)
            reply = connection.getresponse()
            answer = json.loads(reply.read(1 << 16))
    except (OSError, HTTPException, ValueError):
        return 0, {}
    return (reply.status, answer) if isinstance(answer, dict) and "status" in answer else (0, {})


def _tls(listen: Listen) -> Iterator[Check]:
    if not listen.tls_cert:
        if not _is_loopback(listen.host):
            finding = f"keys and prompts travel in the clear to {listen.host}"
            remedy = "give --tls-cert and --tls-key, or put a proxy that has TLS in front"
            yield warn("TLS", finding, remedy)
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(listen.tls_cert, listen.tls_key)
        certificate = x509.load_pem_x509_certificate(Path(listen.tls_cert).read_bytes())
    except (OSError, ValueError) as error:
        finding = f"{listen.tls_cert} cannot be used: {getattr(error, 'strerror', None) or error}"
        yield fail("TLS", finding, "name a certificate chain and its own private key, both PEM")
        return
    ends = certificate.not_valid_after_utc
    now = datetime.fromtimestamp(clock.now_us() / 1e6, UTC)
    finding = f"the certificate is valid until {ends:%Y-%m-%d %H:%M} UTC"
    remedy = "renew it, and start the server again"
    if ends <= now:
        yield fail("TLS", f"the certificate ended on {ends:%Y-%m-%d %H:%M} UTC", remedy)
    elif ends - now < EXPIRY_WARN:
        yield warn("TLS", finding, remedy)
    else:
        yield ok("TLS", finding)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
