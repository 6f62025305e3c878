"""``tollkeeper doctor``: each thing that can be wrong is found, and a remedy is named."""

from __future__ import annotations

import json
import socket
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from command_line import Ended, invoke
from loopback import HOST, free_port
from stores import NOW, open_folder
from tollkeeper.bootstrap.checks import folder as folder_checks
from tollkeeper.clock import now_us
from tollkeeper.domain.deliveries import ChannelState, Delivery, DeliveryState
from tollkeeper.services.first_run import first_run
from tollkeeper.services.outbox import message_of
from tollkeeper.services.times import utc_text
from tollkeeper.storage.duckdb.schema import MIGRATIONS
from wicked_provider import WickedProvider

KEY = "sk-canary-doctor-0001"


class Ill:
    """A data folder that was started once, and its configuration."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.port = free_port()
        opened = open_folder(self.data)
        first_run(opened.store, opened.vault, NOW, org="acme")
        opened.store.close()
        self.data.chmod(0o700)
        self.configure()

    def configure(self, **options: Any) -> None:
        listen = {"host": HOST, "port": self.port, **options.pop("listen", {})}
        text = yaml.safe_dump({"data": str(self.data), "listen": listen, **options})
        (self.root / "tollkeeper.yaml").write_text(text)

    def doctor(self, *arguments: str) -> Ended:
        ended = invoke("doctor", *arguments)
        assert KEY not in ended.out + ended.err
        return ended

    def checks(self, *arguments: str) -> list[dict[str, Any]]:
        ended = self.doctor("--json", *arguments)
        answer = json.loads(ended.out)
        failed = any(check["state"] == "fail" for check in answer["checks"])
        assert (ended.code, answer["ok"]) == ((1, False) if failed else (0, True))
        assert all(check["remedy"] for check in answer["checks"] if check["state"] != "ok")
        return list(answer["checks"])

    def check(self, name: str, *arguments: str) -> tuple[str, str, str]:
        """Give state, finding and remedy of the one check of this name."""
        (found,) = [each for each in self.checks(*arguments) if each["name"] == name]
        return found["state"], found["finding"], found["remedy"] or ""


@pytest.fixture
def ill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ill:
    monkeypatch.chdir(tmp_path)
    return Ill(tmp_path)


def test_all_is_well_is_said_in_words(ill: Ill) -> None:
    ill.configure(providers={"lab": {"kind": "openai", "base_url": f"http://{HOST}:9/v1"}})
    ended = ill.doctor("--offline")
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == "All is well."
    assert "organisation: acme" in ended.out


def test_nothing_is_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOLLKEEPER_PORT", str(free_port()))
    ended = invoke("doctor", "--offline")
    assert ended.code == 0
    assert "the first start makes it" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_a_faulty_configuration_is_named_and_the_rest_is_looked_at(ill: Ill) -> None:
    (ill.root / "tollkeeper.yaml").write_text("org: acme\nlisten: {prot: 4000}\n")
    state, finding, remedy = ill.check("configuration", "--data", str(ill.data))
    assert (state, remedy) == ("fail", "did you mean 'port'?")
    assert finding.startswith("tollkeeper.yaml:2: listen.prot")
    assert ill.check("store", "--data", str(ill.data))[0] == "ok"


def spoil_key_mode(ill: Ill) -> None:
    (ill.data / "secret.key").chmod(0o644)


def lose_key(ill: Ill) -> None:
    (ill.data / "secret.key").unlink()


def open_folder_to_all(ill: Ill) -> None:
    ill.data.chmod(0o755)


def age_forward(ill: Ill) -> None:
    with closing(sqlite3.connect(ill.data / "store.sqlite3")) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '0999'")


def spoil_store(ill: Ill) -> None:
    (ill.data / "store.sqlite3").write_bytes(b"nonsense" * 1_000)


def lose_store(ill: Ill) -> None:
    (ill.data / "store.sqlite3").unlink()


def spoil_ledger(ill: Ill) -> None:
    (ill.data / "ledger.duckdb").write_bytes(b"nonsense" * 1_000)


@pytest.mark.parametrize(
    ("spoil", "name", "state", "finding", "remedy"),
    [
        (spoil_key_mode, "key file", "fail", "open to other users", "chmod 600"),
        (lose_key, "key file", "fail", "missing", "backup"),
        (open_folder_to_all, "data folder", "warn", "mode 0755", "chmod 700"),
        (age_forward, "store", "fail", "newer Tollkeeper", "install the newer version"),
        (spoil_store, "store", "fail", "damaged", "backup"),
        (lose_store, "store", "warn", "not there yet", "tollkeeper serve"),
        (spoil_ledger, "ledger", "fail", "cannot open the ledger", "backup"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_wrong_in_the_folder_is_found(
    ill: Ill, spoil: Callable[[Ill], None], name: str, state: str, finding: str, remedy: str
) -> None:
    assert ill.check(name, "--offline")[0] == "ok"
    spoil(ill)
    found = ill.check(name, "--offline")
    assert found[0] == state
    assert finding in found[1]
    assert remedy in found[2]


def test_a_ledger_of_a_newer_version_is_refused(ill: Ill) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(ill.data / "ledger.duckdb")) as ledger:
        ledger.execute("CREATE TABLE schema_versions (version BIGINT, applied_at TIMESTAMP)")
        ledger.execute("INSERT INTO schema_versions VALUES (?, now()::TIMESTAMP)", [99])
    assert "newer Tollkeeper" in ill.check("ledger", "--offline")[1]
    with duckdb.connect(str(ill.data / "ledger.duckdb")) as ledger:
        ledger.execute("UPDATE schema_versions SET version = ?", [len(MIGRATIONS) - 1])
    assert "start Tollkeeper" in ill.check("ledger", "--offline")[1]


def test_a_file_where_the_folder_should_be(ill: Ill) -> None:
    (ill.root / "file").write_text("in the way")
    for path in ("file", "file/data"):
        assert ill.check("data folder", "--offline", "--data", path)[0] == "fail"


def test_a_full_disk(ill: Ill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_checks, "SPACE_WARN_BYTES", 1 << 60)
    assert ill.check("disk space", "--offline")[0] == "warn"
    monkeypatch.setattr(folder_checks, "SPACE_FAIL_BYTES", 1 << 60)
    assert ill.check("disk space", "--offline")[0] == "fail"


def test_a_port_that_another_program_has(ill: Ill) -> None:
    assert ill.check("port", "--offline")[0] == "ok"
    with closing(socket.create_server((HOST, ill.port))):
        state, finding, remedy = ill.check("port", "--offline")
    assert state == "fail"
    assert f"{HOST}:{ill.port} is used by another program" in finding
    assert "--port" in remedy


def test_keys_in_the_clear(ill: Ill) -> None:
    ill.configure(listen={"host": "0.0.0.0"})  # noqa: S104 - that is the fault
    assert ill.check("TLS", "--offline")[0] == "warn"


def test_certificates_of_our_own(ill: Ill) -> None:
    authority = trustme.CA()
    other = authority.issue_cert("localhost")
    cert, key, strange = ill.root / "cert.pem", ill.root / "key.pem", ill.root / "strange.pem"
    authority.issue_cert("localhost").cert_chain_pems[0].write_to_path(str(cert))
    other.private_key_pem.write_to_path(str(strange))
    ill.configure(listen={"tls_cert": str(cert), "tls_key": str(strange)})
    assert ill.check("TLS", "--offline")[0] == "fail"
    leaf = authority.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(str(cert))
    leaf.private_key_pem.write_to_path(str(key))
    ill.configure(listen={"tls_cert": str(cert), "tls_key": str(key)})
    state, finding, _ = ill.check("TLS", "--offline")
    assert state == "ok"
    assert "valid until" in finding


# ------------------------------------------------------------------ providers


@contextmanager
def answering(
    *, ahead_s: float = 0, tls: ssl.SSLContext | None = None, refuse: bool = False
) -> Iterator[int]:
    """A provider whose clock may be wrong, or a proxy that refuses; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(403 if refuse else 404)
            self.send_header("Date", formatdate(now_us() / 1e6 + ahead_s, usegmt=True))
            self.end_headers()

        def do_CONNECT(self) -> None:
            self.do_HEAD()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def lab(port: int, scheme: str = "http", host: str = HOST) -> dict[str, Any]:
    return {"lab": {"kind": "openai", "base_url": f"{scheme}://{host}:{port}/v1", "api_key": KEY}}


def reached(ill: Ill) -> tuple[str, str]:
    """Give the check of the lab's address."""
    found = [each for each in ill.checks() if each["name"] == "provider lab"]
    key, address = found
    assert key["finding"] == "its key stands in the configuration"
    return address["state"], address["finding"]


def test_a_provider_that_answers(ill: Ill) -> None:
    with answering() as port:
        ill.configure(providers=lab(port))
        state, finding = reached(ill)
        assert state == "ok"
        assert f"http://{HOST}:{port} answers" in finding
        assert ill.check("clock")[:2] == ("ok", "agrees with the providers'")


@pytest.mark.parametrize(("ahead_s", "state"), [(-20, "warn"), (20, "warn"), (-3_600, "fail")])
def test_a_clock_that_is_wrong(ill: Ill, ahead_s: float, state: str) -> None:
    with answering(ahead_s=ahead_s) as port:
        ill.configure(providers=lab(port))
        found = ill.check("clock")
        assert found[0] == state
        assert ("ahead of" if ahead_s < 0 else "behind") in found[1]


def test_a_provider_that_is_not_there(ill: Ill) -> None:
    ill.configure(providers=lab(free_port()))
    state, finding = reached(ill)
    assert state == "fail"
    assert "refused" in finding.lower() or "connect" in finding.lower()
    assert ill.doctor().code == 1
    assert [check["state"] for check in ill.checks("--offline")].count("fail") == 0


def test_a_certificate_that_nobody_vouches_for(ill: Ill) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with answering(tls=context) as port:
        ill.configure(providers=lab(port, "https", "localhost"))
        state, finding = reached(ill)
        assert state == "fail"
        assert "certificate is not valid" in finding
        authority.cert_pem.write_to_path(str(ill.root / "ca.pem"))
        ill.configure(providers=lab(port, "https", "localhost"), ca_file=str(ill.root / "ca.pem"))
        assert reached(ill)[0] == "ok"


def test_a_proxy_that_refuses(ill: Ill) -> None:
    with answering(refuse=True) as port:
        ill.configure(
            providers=lab(443, "https", "provider.invalid"), https_proxy=f"http://{HOST}:{port}"
        )
        state, finding = reached(ill)
    assert state == "fail"
    assert "proxy answered CONNECT with 403" in finding


def test_a_provider_without_its_key(ill: Ill) -> None:
    ill.configure(providers={"openai": None})
    state, finding, remedy = ill.check("provider openai", "--offline")
    assert state == "warn"
    assert "has no key" in finding
    assert remedy == "run: tollkeeper providers set openai"
    assert invoke("providers", "set", "openai", typed=KEY).code == 0
    assert ill.check("provider openai", "--offline")[:2] == ("ok", "its key is in the store")
    (ill.data / "secret.key").write_bytes(b"another" * 4 + b"file")
    state, finding, _ = ill.check("provider openai", "--offline")
    assert state == "fail"
    assert "cannot be opened with this key file" in finding


def test_nobody_to_call(ill: Ill) -> None:
    assert ill.check("providers", "--offline")[0] == "warn"
    ill.configure(sandbox="off")
    assert ill.check("providers", "--offline")[0] == "fail"


# ------------------------------------------------------------------ channels of alerts

HOOK = {"name": "ops", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


def channel_checks(ill: Ill, *arguments: str) -> list[tuple[str, str, str]]:
    """Give state, finding and remedy of what is said of the channel ops."""
    found = [each for each in ill.checks(*arguments) if each["name"] == "channel ops"]
    return [(each["state"], each["finding"], each["remedy"] or "") for each in found]


def note(ill: Ill, state: ChannelState | None = None, *faults: str) -> None:
    """Keep how the channel ops does, and messages that failed there an hour ago."""
    store = open_folder(ill.data).store
    if state is not None:
        store.set_channel(state)
    for number, fault in enumerate(faults):
        message = message_of("test", "", "", NOW + number, message_id=f"m{number}")
        store.add_message(message)
        failed = Delivery(
            message.message_id, "ops", DeliveryState.WAITING, 2, NOW, NOW + 9 + number
        )
        store.address(message.message_id, [failed._replace(fault=fault)])
    store.close()


def test_no_channel_is_no_fault(ill: Ill) -> None:
    state, finding, _ = ill.check("alerts", "--offline")
    assert (state, "no channel is configured" in finding) == ("ok", True)


def test_how_a_channel_does(ill: Ill) -> None:
    url = "https://hooks.example.com/secret-path"
    ill.configure(alerts={"webhooks": [{"url": url, **HOOK}]})
    ((state, finding, _),) = channel_checks(ill, "--offline")
    assert state == "ok"
    assert "nothing has been sent yet; this sends a test: tollkeeper alerts test ops" in finding
    note(ill, None, "answered with status 503", "answered with status 500")
    ((state, finding, remedy),) = channel_checks(ill, "--offline")
    assert state == "warn"
    assert f"failing since {utc_text(NOW)} (2 messages): answered with status 500" in finding
    assert "tollkeeper alerts test ops" in remedy
    note(ill, ChannelState("ops", delivered_at_us=NOW + 20))
    ((state, finding, _),) = channel_checks(ill, "--offline")
    assert (state, finding.endswith(f"arrived at {utc_text(NOW)}")) == ("ok", True)
    note(ill, ChannelState("ops", 3, NOW + 30, "answered with status 410", NOW))
    ((state, finding, remedy),) = channel_checks(ill, "--offline")
    assert state == "fail"
    assert f"closed since {utc_text(NOW)}: it answered with status 410" in finding
    assert "tollkeeper alerts test ops" in remedy
    assert "secret-path" not in ill.doctor("--offline").out


def test_where_a_channel_leads(ill: Ill, monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to = {"hooks.example.com": "93.184.215.14", "mail.example.com": "10.1.2.3"}

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        if host not in leads_to:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (leads_to[host], 0))]

    def checked(section: dict[str, Any], **options: Any) -> tuple[str, str, str]:
        ill.configure(alerts=section, **options)
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        _, *found = channel_checks(ill)
        monkeypatch.undo()
        monkeypatch.chdir(ill.root)
        return found[0] if found else ("", "", "")

    def hook(host: str) -> dict[str, Any]:
        return {"webhooks": [{"url": f"https://{host}/x", **HOOK}]}

    def chat(url: str, **more: Any) -> dict[str, Any]:
        return {"notify": [{"url": url, "name": "ops"}], **more}

    assert checked(hook("hooks.example.com"))[:2] == (
        "ok",
        "hooks.example.com has 1 address, and messages may go there",
    )
    assert checked(hook("gone.example.com"))[:2] == (
        "fail",
        "gone.example.com: there is no such host",
    )
    inside = "mailtos://bot:hunter2@mail.example.com?to=ops@example.com"
    state, finding, remedy = checked(chat(inside))
    assert (state, "points inside (10.1.2.3)" in finding) == ("fail", True)
    assert "put mail.example.com into alerts.allow_private" in remedy
    assert checked(chat(inside, allow_private=["mail.example.com"]))[0] == "ok"
    slack = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert checked(chat(slack)) == ("", "", "")
    behind = chat("mmosts://chat.example.com/3ccdd113474722377935511fc85d3dd4")
    assert checked(behind)[0] == "fail"
    assert checked(behind, https_proxy="http://127.0.0.1:9") == ("", "", "")


def test_a_price_book_that_was_cut_off(ill: Ill) -> None:
    (good,) = [it for it in ill.checks("--offline") if it["name"] == "price book"]
    assert good["state"] == "ok"
    assert ", of this release: " in good["finding"]
    folder = ill.data / "prices"
    folder.mkdir()
    (folder / "genai-prices-9.9+0123456789ab.json.gz").write_bytes(b"\x1f\x8b")
    (folder / "in-use").write_text("genai-prices-9.9+0123456789ab\n")
    (bad,) = [it for it in ill.checks("--offline") if it["name"] == "price book"]
    assert bad["state"] == "fail"
    assert "genai-prices-9.9+0123456789ab.json.gz is cut off" in bad["finding"]
    assert "priced by the book of this release" in bad["remedy"]


def test_a_provider_of_single_sign_on(ill: Ill) -> None:
    with WickedProvider().running() as wicked:
        entry = {
            "name": "acme",
            "issuer": wicked.issuer,
            "client_id": "tollkeeper",
            "client_secret": KEY,
            "allow_private": [HOST],
        }
        ill.configure(public_url="https://tk.acme.com", sign_in={"oidc": [entry]})

        def found(*arguments: str) -> tuple[str, str]:
            (check,) = [it for it in ill.checks(*arguments) if it["name"] == "sign-in acme"]
            return check["state"], check["finding"]

        assert found("--offline") == ("ok", f"{wicked.issuer}: not asked")
        assert wicked.asked.total() == 0
        state, finding = found()
        assert (state, "https://tk.acme.com/login/oidc/acme/callback" in finding) == ("ok", True)
        wicked.metadata = {"issuer": "https://evil.example"}
        state, finding = found()
        assert state == "fail"
        assert "is of another issuer, 'https://evil.example'" in finding
        wicked.metadata = {"token_endpoint": "https://169.254.169.254/token"}
        assert "token_endpoint: the address points inside" in found()[1]
        wicked.metadata, wicked.keys = {}, {}
        assert "signing keys: none is for RS256" in found()[1]
        wicked.answers["/realm/keys"] = (302, {})
        assert "status 302, and no redirect is followed" in found()[1]
