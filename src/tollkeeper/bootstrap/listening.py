"""What the gateway listens with: its certificate, and room for its clients' connections."""

from __future__ import annotations

import resource
import ssl
from typing import Final

from tollkeeper.config.settings import Listen
from tollkeeper.domain.errors import ConfigError
from tollkeeper.telemetry import logger

_OTHER_FILES: Final = 64  # the journal, the store, sockets that listen


class ServerTls:
    """The certificate that clients see, which may be renewed while the gateway runs.

    ``context`` is None where clients speak plain HTTP.
    """

    def __init__(self, listen: Listen) -> None:
        self.context = _context(listen) if listen.tls_cert else None

    def renew(self, listen: Listen) -> None:
        """Read certificate and key again, for connections to come.

        Raises ConfigError; then the old ones stay.
        """
        if self.context is not None and listen.tls_cert:
            _context(listen)  # a faulty pair would spoil the context that is in use
            self.context.load_cert_chain(listen.tls_cert, listen.tls_key)


def _context(listen: Listen) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(listen.tls_cert, listen.tls_key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "listen.tls_cert and tls_key cannot be used together", hint=str(error)
        ) from None
    return context


def _no_password() -> str:
    raise ConfigError(
        "listen.tls_key is encrypted, and nobody is here to type its password",
        hint="openssl pkey -in KEY -out PLAIN writes it in plain; keep that file to yourself",
    )


def room_for_clients(wanted: int) -> int:
    """Raise this process's limit of open files as far as it may; give how many clients fit.

    A call needs a file for its client and another for its provider. More clients than fit
    are refused like those above ``limits.connections``, and calls that run are not starved.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _OTHER_FILES + 2 * wanted
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        except (OSError, ValueError):
            pass  # some systems have a further limit, and do not tell it
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    room = max(1, (soft - _OTHER_FILES) // 2)
    logger.warning(
        "the limit of open files leaves room for fewer clients than limits.connections",
        extra={"open_files": soft, "clients": room},
    )
    return room
