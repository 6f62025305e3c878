"""Where a store is: a SQLite file, or a database on a PostgreSQL server.

Standard library only. What is shown of an address never holds its password.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from tollkeeper.ports import DataFolder

SQLITE: Final = "sqlite:///"
POSTGRESQL: Final = ("postgresql://", "postgres://")
EXAMPLES: Final = (
    "postgresql://user:${PASSWORD}@host:5432/database or sqlite:///folder/store.sqlite3"
)

_PORT_MAX: Final = 65_535
_OPTIONS: Final = frozenset(
    {
        "application_name",
        "channel_binding",
        "connect_timeout",
        "gssencmode",
        "host",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "options",
        "passfile",
        "port",
        "require_auth",
        "service",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "ssl_min_protocol_version",
        "target_session_attrs",
        "tcp_user_timeout",
        "user",
    }
)
"""What may stand behind the question mark: the client library's own options."""


class PostgresDatabase(NamedTuple):
    """A database on a PostgreSQL server. ``options`` are those of its client library, the
    password among them; ``shown`` is what people may see."""

    options: Mapping[str, str]
    shown: str

    def __repr__(self) -> str:
        return f"PostgresDatabase({self.shown})"

    def __str__(self) -> str:
        return self.shown


StoreAddress = Path | PostgresDatabase


def store_of(data: DataFolder) -> StoreAddress:
    """Say where the store of a data folder is. Raises ValueError for an address that is none."""
    if data.store_url.startswith(POSTGRESQL):
        return parse_store_url(data.store_url)
    return data.store


def parse_store_url(url: str) -> StoreAddress:
    """Read an address. Raises ValueError, which does not quote it.

    The password may hold any character: it ends at the last ``@``. ``%41`` is read as ``A``.
    """
    if url.startswith(SQLITE):
        path = url.removeprefix(SQLITE)
        if not path or "?" in path or path.endswith("/"):
            raise ValueError("names no file")
        return Path(path)
    for scheme in POSTGRESQL:
        if url.startswith(scheme):
            return _postgres(url.removeprefix(scheme))
    raise ValueError("starts with sqlite:/// or postgresql://")


def _postgres(address: str) -> PostgresDatabase:
    login, _, place = address.rpartition("@")
    user, _, password = login.partition(":")
    where, _, query = place.partition("?")
    servers, _, database = where.partition("/")
    options = {
        "user": unquote(user),
        "password": unquote(password),
        **_servers(servers),
        "dbname": unquote(database),
        **_options(query),
    }
    if not options["dbname"] or "/" in options["dbname"]:
        raise ValueError("names no database after the server")
    if any("\0" in value for value in options.values()):
        raise ValueError("holds a character that no address has")
    given = {name: value for name, value in options.items() if value}
    return PostgresDatabase(MappingProxyType(given), _shown(given))


def _servers(text: str) -> dict[str, str]:
    """Read ``host``, ``host:5432`` or several of them with commas between."""
    hosts, ports = [], []
    for server in text.split(",") if text else []:
        host, colon, port = server.rpartition(":")
        if not colon or port.endswith("]"):
            host, port = server, ""
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= _PORT_MAX):
            raise ValueError("has a port that is no number up to 65535")
        hosts.append(unquote(host.removeprefix("[").removesuffix("]")))
        ports.append(port)
    return {"host": ",".join(hosts), "port": ",".join(ports) if any(ports) else ""}


def _options(query: str) -> dict[str, str]:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise ValueError("has options that are not name=value") from None
    if "password" in options:
        raise ValueError("has its password behind the question mark: write user:password@host")
    for name in options:
        if name not in _OPTIONS:
            near = difflib.get_close_matches(name, _OPTIONS, 1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise ValueError(f"has an option that is not known{hint}")
    return options


def _shown(options: Mapping[str, str]) -> str:
    hosts, ports = options.get("host", "").split(","), options.get("port", "").split(",")
    servers = [
        (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
        for host, port in zip(hosts, ports + [""] * (len(hosts) - len(ports)), strict=True)
    ]
    user = f"{options['user']}@" if "user" in options else ""
    return f"postgresql://{user}{','.join(servers)}/{options['dbname']}"
