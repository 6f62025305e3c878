"""Whole pages of a ledger, as the console serves them: from the request to the answer's last byte.

The console's own application answers, in this process: who asks is found out by their session,
reports are computed, budgets looked up, the page is rendered and compressed. What is not in it is
the way there: the gateway that passes requests on, and the network.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from tollkeeper import bootstrap
from tollkeeper.console.access import cookie_name
from tollkeeper.console.application import ConsoleApplication
from tollkeeper.console.counters import ConsoleCounters
from tollkeeper.console.live import LiveHub
from tollkeeper.console.shared import Console
from tollkeeper.console.static_files import StaticFiles
from tollkeeper.console.work import Work
from tollkeeper.domain.access import Role
from tollkeeper.domain.explanation import Explanation
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.sharing import Sharing
from tollkeeper.ports import DataFolder, Ledger, Store, User, Vault
from tollkeeper.reports.adoption_memory import PublicationMemory
from tollkeeper.reports.bookings import LedgerBookings
from tollkeeper.reports.statement_facts import LedgerFacts
from tollkeeper.services import people, sign_in
from tollkeeper.services.loading import LoaderStatus
from tollkeeper.services.price_terms import Terms
from tollkeeper.services.repricing import CurrentPrices, Repricer
from tollkeeper.services.statements import StatementDesk
from tollkeeper.storage.parquet_table import parquet_bytes
from tollkeeper.storage.password_hashes import Argon2Hasher

_TEAM: Final = "Benchmarks"
_EMAIL: Final = "admin@benchmarks.example"
_BOOK: Final = PriceBook("none", {})
_REQUEST: Final[Mapping[str, object]] = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "root_path": "",
    "server": ("localhost", 80),
    "client": ("127.0.0.1", 1),
}


class ServedPages:
    """A console on some ledger, at a moment, with an administrator who has signed in.

    ``folder`` is the ledger's own data folder with its people, keys and budgets; where it has
    none, an empty one serves as well.
    """

    def __init__(self, folder: Path, ledger: Ledger, org: str, now_us: int, zone: str) -> None:
        data = DataFolder(folder)
        self._vault = bootstrap.open_vault(data)
        self._store = bootstrap.open_store(data)
        self._console = _console(self._store, self._vault, ledger, org, now_us, zone)
        admin = _administrator(self._store, org, now_us)
        begun = sign_in.begin(self._store, self._vault, admin, now_us, sign_in.LINK)
        self._headers = [
            (b"host", b"localhost"),
            (b"cookie", f"{cookie_name(self._console)}={begun.cookie}; tz={zone}".encode()),
            (b"accept", b"text/html"),
            (b"accept-encoding", b"gzip"),
        ]
        self._application = ConsoleApplication(self._console)
        self._loop = asyncio.new_event_loop()

    def get(self, path: str, query: str) -> bytes:
        """Ask for a page; give its bytes. Raises RuntimeError where it is not answered."""
        scope = {
            **_REQUEST,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": self._headers,
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        self._loop.run_until_complete(self._application(scope, receive, send))
        body = b"".join(message.get("body", b"") for message in sent)
        if sent[0]["status"] != 200 or not body:
            raise RuntimeError(f"{path} answered {sent[0]['status']}")
        return body

    def close(self) -> None:
        """Leave everything but the ledger."""
        self._loop.close()
        self._console.work.close()
        self._console.beside.close()
        self._console.hashing.close()
        self._console.sign_on.work.close()
        self._store.close()


def _administrator(store: Store, org: str, now_us: int) -> User:
    """Give somebody who sees everything, as pseudonyms; make them in a store that is empty."""
    for user in store.users():
        if user.role is Role.ADMIN and user.active:
            return user
    store.set_org_name(org)
    people.ensure_team(store, _TEAM, now_us)
    return people.add_user(store, _EMAIL, now_us, team=_TEAM, role=Role.ADMIN)


def _console(
    store: Store, vault: Vault, ledger: Ledger, org: str, now_us: int, zone: str
) -> Console:
    def now() -> int:
        return now_us

    hub, prices = LiveHub(org, secrets.token_hex(4)), CurrentPrices(_BOOK, {})
    return Console(
        org=org,
        public_url="http://localhost:4000",
        zone=zone,
        ledger=ledger,
        store=store,
        vault=vault,
        explain=_unexplained,
        parquet=parquet_bytes,
        presented_key=lambda header, query: "",
        now_us=now,
        loader_status=LoaderStatus,
        ledger_fault=str,
        operator_token=secrets.token_hex(8),
        hub=hub,
        work=Work(),
        repricer=Repricer(
            *(LedgerBookings(ledger, org), ledger, store),
            *(lambda: prices, now, hub.on_loaded),
        ),
        terms=lambda: Terms(_BOOK, {}, (), ()),
        static=StaticFiles(),
        counters=ConsoleCounters(),
        hasher=Argon2Hasher(),
        statements=StatementDesk(
            *(LedgerFacts(ledger, org), store, org, ZoneInfo(zone)),
            *(Sharing(), lambda: (), now),
        ),
        adoption=PublicationMemory(ledger, org, store.memberships, zone, 5),
    )


def _unexplained(entry: LedgerEntry) -> Explanation:
    raise NotImplementedError("no page here asks for an explanation")
