"""The process that sends one message through Apprise: ``python -m tollkeeper.notify.chat_process``.

Apprise knows over a hundred services, and each opens connections of its own. So it runs in a
process for itself, in which Python's own audit hook refuses every connection to an address
that no message may go to, whatever a URL, a redirect or a changed name leads to. It costs the
console no memory, and can be ended when it hangs.

Behind an outgoing proxy it is the proxy that connects; then the hook looks at what the proxy is
asked for.

Reads one JSON object from standard input and writes one to standard output.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
from collections.abc import Collection, Iterator, Sequence
from io import StringIO
from typing import Any, Final
from urllib.parse import urlsplit

from tollkeeper.domain.outside import host_of, may_connect, require_host

INSIDE: Final = "its server points inside; allow_private may name it"
REFUSED: Final = "the service did not take it"
UNREADABLE: Final = "Apprise cannot read this address"

_ASKS: Final = "http.client.connect"
_PROXY_PORT: Final = 80
_CONNECTS: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_STARTS: Final = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"}
)
_SECRET_CHARS_MIN: Final = 6
_PARTS: Final = re.compile(r"[/:@?&=#,+%\s]+")
_CHARS_MAX: Final = 200


class Guard:
    """Refuses connections to inner addresses, and new programs, for the rest of the process.

    ``proxy`` may be inside, and is asked for nothing inside; "" where there is none.
    """

    def __init__(self, named: Collection[str], proxy: str = "") -> None:
        self.refused = False
        self._hosts = frozenset(named)
        self._named = frozenset(address for host in named for address in _addresses(host))
        parts = urlsplit(proxy)
        port = parts.port or _PROXY_PORT
        self._proxy = {(address, port) for address in _addresses(parts.hostname or "")}

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at what is about to happen. Raises PermissionError to stop it."""
        if event in _CONNECTS:
            address = arguments[1]
            if address is not None and not self._may_connect(address):
                self._refuse()
        elif event == _ASKS:
            asked_for = getattr(arguments[0], "_tunnel_host", None)
            if asked_for is not None and not self._may_ask_for(asked_for):
                self._refuse()
        elif event in _STARTS:
            raise PermissionError("no other program is started here")

    def _refuse(self) -> None:
        self.refused = True
        raise PermissionError(INSIDE)

    def _may_connect(self, address: object) -> bool:
        if not isinstance(address, tuple) or not address or not isinstance(address[0], str):
            return False  # a socket of this machine
        if address[:2] in self._proxy:
            return True
        return may_connect(address[0], is_named=address[0] in self._named)

    def _may_ask_for(self, text: str) -> bool:
        """Tell whether a proxy may be asked for a host, by its name and what is known of it."""
        try:
            host = host_of(text)
            require_host(host, self._hosts)
        except ValueError:
            return False
        is_named = host in self._hosts
        return all(may_connect(each, is_named=is_named) for each in _addresses(host))


def main() -> None:
    """Send what standard input says."""
    asked = json.load(sys.stdin)
    guard = Guard(asked["named"], asked["proxy"])
    sys.addaudithook(guard.watch)
    fault = _send(asked["url"], asked["title"], asked["text"], asked["severity"])
    if fault:
        fault = INSIDE if guard.refused else without_secrets(fault, asked["proxy"])
    json.dump({"fault": fault}, sys.stdout)


def _send(url: str, title: str, text: str, severity: str) -> str:
    """Send, and say what was wrong, "" if nothing was."""
    import apprise  # noqa: PLC0415 - behind the hook, so that nothing of it runs without

    asset = apprise.AppriseAsset(
        async_mode=False, secure_logging=True, allow_templates=False, service_timeout=30
    )
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        return UNREADABLE
    kinds = {
        "good": apprise.NotifyType.SUCCESS,
        "warning": apprise.NotifyType.WARNING,
        "critical": apprise.NotifyType.FAILURE,
    }
    said = StringIO()
    logging.getLogger("apprise").addHandler(logging.StreamHandler(said))
    sent = service.notify(
        title=title,
        body=text,
        notify_type=kinds.get(severity, apprise.NotifyType.INFO),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return "" if sent else without_secrets(said.getvalue(), url) or REFUSED


def without_secrets(said: str, url: str) -> str:
    """Give the first line that Apprise logged, without anything that stands in the URL."""
    first = next((line.strip() for line in said.splitlines() if line.strip()), "")
    for part in sorted(_secrets_in(url), key=len, reverse=True):
        first = first.replace(part, "\N{HORIZONTAL ELLIPSIS}")
    return first[:_CHARS_MAX]


def _secrets_in(url: str) -> Iterator[str]:
    rest = url.partition("://")[2]
    yield rest
    for part in _PARTS.split(rest):
        if len(part) >= _SECRET_CHARS_MIN:
            yield part


def _addresses(host: str) -> Sequence[str]:
    if not host:
        return []
    try:
        return [str(each[4][0]) for each in socket.getaddrinfo(host, None)]
    except OSError:
        return []


if __name__ == "__main__":
    main()
