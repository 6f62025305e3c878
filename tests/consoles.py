"""A real console for tests: its server on a real socket, with people, keys and entries."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import uvloop

from alert_desks import NotingNotifier, channel
from hashers import CountingHasher
from ledger_entries import ledger_entry
from ledgers import open_duckdb
from stores import NOW, Folder, add_person, issue_key, open_folder
from tollkeeper import clock
from tollkeeper.console.access import form_token
from tollkeeper.console.application import ConsoleApplication
from tollkeeper.console.counters import ConsoleCounters
from tollkeeper.console.live import LiveHub
from tollkeeper.console.providers import SignOn
from tollkeeper.console.server import ConsoleServer
from tollkeeper.console.shared import Console, HeaderLookup
from tollkeeper.console.static_files import StaticFiles
from tollkeeper.console.work import Work
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.explanation import UNEXPLAINED
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.oidc import OidcClient
from tollkeeper.domain.price_rules import PriceRule
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.domain.self_service import SelfService
from tollkeeper.domain.sharing import Sharing
from tollkeeper.ports import Ledger, Position, User
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.reports.adoption_memory import PublicationMemory
from tollkeeper.reports.bookings import LedgerBookings
from tollkeeper.reports.statement_facts import LedgerFacts
from tollkeeper.services import people, sign_in
from tollkeeper.services.alerting import Alerting, RuleState
from tollkeeper.services.delivering import Mailing
from tollkeeper.services.loading import LoaderStatus
from tollkeeper.services.price_terms import Terms
from tollkeeper.services.repricing import CurrentPrices, Repricer
from tollkeeper.services.statements import StatementDesk
from tollkeeper.storage.late_ledger import LateLedger
from tollkeeper.storage.parquet_table import parquet_bytes
from tollkeeper.wire.credentials import read_credentials

ORG = "acme"
OPERATOR_TOKEN = "operator-token-of-this-test"
ADMIN_EMAIL = "root@acme.com"
PEOPLE = {
    "member": ("alice@acme.com", "core", Role.MEMBER),
    "lead": ("lena@acme.com", "core", Role.LEAD),
    "finance": ("fred@acme.com", "", Role.FINANCE),
    "auditor": ("audrey@acme.com", "", Role.AUDITOR),
    "admin": (ADMIN_EMAIL, "", Role.ADMIN),
    "other member": ("mallory@acme.com", "other", Role.MEMBER),
    "other lead": ("olga@acme.com", "other", Role.LEAD),
}
"""Who there is: what they are called in tests, and who they are."""


class Reply(NamedTuple):
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    cookies: Sequence[str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


class Session(NamedTuple):
    """A signed-in browser."""

    cookie: str
    form_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"cookie": self.cookie}


def until(true: Callable[[], object], wait_s: float = 20.0) -> None:
    """Wait until something has become true."""
    deadline_s = clock.monotonic_s() + wait_s
    while not true():
        assert clock.monotonic_s() < deadline_s, "this did not become true"
        sleep(0.02)


class SocketConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


class RunningConsole:
    """A console that answers on a socket of its own.

    ``now_us``, ``prices`` and ``self_service`` may be set. ``users`` has everybody of ``PEOPLE``;
    ``admin_key`` and ``virtual_key`` are tokens, the latter of the member.
    """

    def __init__(
        self,
        folder: Path,
        *,
        public_url: str = "http://localhost:4000",
        passwords: bool = True,
        clients: Sequence[OidcClient] = (),
        mask_people: bool = False,
        opened: Callable[[Path], Ledger] = open_duckdb,
        billing_zone: str = "UTC",
        sharing: Sharing = Sharing(),  # noqa: B008 - immutable
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder: Folder = open_folder(folder)
        self.store, self.vault = self.folder.store, self.folder.vault
        self.now_us = NOW
        self.prices = CurrentPrices(shipped_price_book(), {})
        self.plans: tuple[SeatPlan, ...] = ()
        self.rules: tuple[PriceRule, ...] = ()
        self.self_service: tuple[SelfService, ...] = ()
        self.hasher = CountingHasher()
        self.notifier = NotingNotifier()
        self.mailing = Mailing({"ops": channel("ops")}, public_url, "UTC")
        self.rule_states: tuple[RuleState, ...] = ()
        self.store.set_org_name(ORG)
        for team in ("core", "other"):
            people.ensure_team(self.store, team, NOW)
        self.users: dict[str, User] = {
            name: add_person(self.store, email, team, role)
            for name, (email, team, role) in PEOPLE.items()
        }
        self.virtual_key = issue_key(self.folder, "alice@acme.com")
        self.admin_key = issue_key(self.folder, kind=KeyKind.ADMIN)
        self.other_key = issue_key(self.folder, "mallory@acme.com")
        self.ledger = LateLedger("duckdb", lambda: opened(self.folder.data.root))
        self.hub = LiveHub(ORG, secrets.token_hex(4))
        self.console = Console(
            org=ORG,
            public_url=public_url,
            zone="UTC",
            ledger=self.ledger,
            store=self.store,
            vault=self.vault,
            explain=lambda entry: UNEXPLAINED,
            parquet=parquet_bytes,
            presented_key=_presented_key,
            now_us=lambda: self.now_us,
            loader_status=LoaderStatus,
            ledger_fault=lambda: self.ledger.fault,
            operator_token=OPERATOR_TOKEN,
            hub=self.hub,
            work=Work(4),
            repricer=Repricer(
                LedgerBookings(self.ledger, ORG),
                self.ledger,
                self.store,
                lambda: self.prices,
                lambda: self.now_us,
                self.hub.on_loaded,
            ),
            self_service=lambda: self.self_service,
            terms=lambda: Terms(self.prices.book, self.prices.accounts, self.plans, self.rules),
            static=StaticFiles(),
            counters=ConsoleCounters(),
            mask_people=mask_people,
            hasher=self.hasher,
            sign_on=SignOn(clients),
            passwords=passwords,
            statements=StatementDesk(
                *(LedgerFacts(self.ledger, ORG), self.store, ORG, ZoneInfo(billing_zone)),
                *(sharing, lambda: self.plans, lambda: self.now_us),
            ),
            adoption=PublicationMemory(self.ledger, ORG, self.store.memberships, "UTC", 5),
            alerting=Alerting(
                lambda: self.mailing, lambda: self.notifier, lambda: self.rule_states
            ),
        )
        self.socket = self.folder.data.socket("console")
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._loaded = 0
        self._sessions: dict[str, Session] = {}
        self._loop = uvloop.new_event_loop()
        self._server = ConsoleServer(ConsoleApplication(self.console), self.socket)
        self._thread = threading.Thread(target=self._serve, name="console-test")
        self._ready = threading.Event()

    # ------------------------------------------------------------------ running

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(20), "the console did not start"

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        self.hub.open(asyncio.get_running_loop())
        await self._server.run(self._ready.set)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self.hub.close)
        self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.console.work.close()
        self.console.beside.close()
        self.console.hashing.close()
        self.console.sign_on.work.close()
        self.ledger.close()
        self.store.close()

    # ------------------------------------------------------------------ what is there

    def load(self, *entries: LedgerEntry) -> None:
        """Put entries into the ledger and tell open pages, as the loader does."""
        self._loaded += 1
        self.ledger.append(entries, Position("test", self._loaded))
        self.hub.on_loaded(entries)

    def entry_of(self, who: str, **changes: Any) -> LedgerEntry:
        """Make an entry of somebody's."""
        user = self.users[who]
        usual = {
            "started_at_us": self.now_us - 60_000_000,
            "team": user.team,
            "user_id": user.user_id,
            "user_name": user.email,
            "key_id": f"key-{who}"[:8],
        }
        return ledger_entry(**(usual | changes))

    def session(self, who: str) -> Session:
        """Give the session of somebody, who signs in when this is asked first."""
        if who not in self._sessions:
            self._sessions[who] = self.sign_in(who)
        return self._sessions[who]

    def sign_in(self, who: str) -> Session:
        """Sign somebody in with a link of their own."""
        link = sign_in.make_link(self.store, self.vault, self.users[who], self.now_us)
        token = link.path.removeprefix(sign_in.LINK_PATH)
        reply = self.post("/login", {"token": token})
        assert reply.status == 303, reply.text
        cookie = reply.cookies[0].partition(";")[0]
        return Session(cookie, form_token(self.vault, cookie.partition("=")[2]))

    # ------------------------------------------------------------------ asking

    def ask(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        direct: bool = False,
    ) -> Reply:
        """Ask as the gateway relays; ``direct``, as a process of this machine does."""
        sent = {} if direct else {"x-forwarded-for": "203.0.113.9"}
        with closing(SocketConnection(self.socket)) as connection:
            connection.request(method, target, body=body, headers=sent | dict(headers or {}))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            cookies = response.msg.get_all("set-cookie") or []
            streams = found.get("content-type", "").startswith("text/event-stream")
            read = b"" if streams else response.read()
        return Reply(response.status, found, cookies, read)

    def raw(self, data: bytes) -> bytes:
        """Send bytes as they are, and give everything that comes back."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plain:
            plain.settimeout(20)
            plain.connect(str(self.socket))
            plain.sendall(data)
            parts = []
            while part := plain.recv(65_536):
                parts.append(part)
        return b"".join(parts)

    def get(self, target: str, session: Session | None = None, **headers: str) -> Reply:
        known = session.headers if session else {}
        return self.ask("GET", target, headers=known | _written(headers))

    def post(
        self,
        target: str,
        fields: Mapping[str, str],
        session: Session | None = None,
        **headers: str,
    ) -> Reply:
        """Send a form, with its token if somebody is signed in."""
        known = {"content-type": "application/x-www-form-urlencoded"}
        if session:
            known |= session.headers
            fields = {"form_token": session.form_token, **fields}
        body = urlencode(fields).encode()
        return self.ask("POST", target, headers=known | _written(headers), body=body)

    def send(
        self,
        method: str,
        target: str,
        data: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        direct: bool = False,
    ) -> Reply:
        """Send JSON."""
        body = None if data is None else json.dumps(data).encode()
        sent = {"content-type": "application/json"} if body else {}
        return self.ask(
            method, target, headers=sent | dict(headers or {}), body=body, direct=direct
        )

    @property
    def as_admin_key(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.admin_key.token}"}


@contextmanager
def running_console(folder: Path, **settings: Any) -> Iterator[RunningConsole]:
    """Run a console in a folder."""
    made = RunningConsole(folder, **settings)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def _presented_key(header: HeaderLookup, query: str) -> str:
    return read_credentials(header, query).key


def _written(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
