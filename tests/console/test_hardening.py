"""Headers of every answer, metrics, and a ledger that no query gets out of."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families

from consoles import Reply, RunningConsole, Session, running_console
from ledgers import SMALL
from tollkeeper.console.access import FORM_HEADER
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.headers import IMMUTABLE, NO_STORE
from tollkeeper.console.routes import ROUTES, Route
from tollkeeper.console.static_files import FOLDER, PREFIX, STYLE
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.storage.duckdb.handle import Handle

STYLE_SHEET = (FOLDER / STYLE).read_bytes()
POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'", f"'sha256-{b64encode(sha256(STYLE_SHEET).digest()).decode()}'"],
    "img-src": ["'self'", "data:"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
    "require-trusted-types-for": ["'script'"],
    "trusted-types": ["swap"],
}
INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)|<style(?! id=\"style\")|\sstyle\s*=|\son[a-z]+\s*=|"
    r"javascript:|\shx-|<base|<iframe|<object",
    re.IGNORECASE,
)
KEPT = ("/static/{name:path}", "/favicon.ico")


def ask(console: RunningConsole, route: Route, session: Session | None) -> Reply:
    """Ask for a route, well enough to get an answer of some kind."""
    target = route.path.replace("{call_id}", "call-alice")
    target = target.replace("{key_id}", "none").replace("{path_key}", "none")
    target = target.replace(
        "{name:path}", console.console.static.address("app.css").removeprefix(PREFIX)
    )
    headers = {"origin": "http://localhost:4000", "host": "localhost:4000"}
    if session is not None:
        headers |= session.headers | {FORM_HEADER: session.form_token}
    if route.kind is Kind.FORM:
        headers["content-type"] = "application/x-www-form-urlencoded"
    return console.ask(
        route.method, target, headers=headers, body=b"" if route.method == "POST" else None
    )


def policy(reply: Reply) -> dict[str, list[str]]:
    parts = [part.split() for part in reply.header("content-security-policy").split(";")]
    return {name: values for name, *values in parts}


@pytest.mark.parametrize("known", [False, True], ids=["nobody", "admin"])
@pytest.mark.parametrize("route", ROUTES, ids=[f"{r.method} {r.path}" for r in ROUTES])
def test_every_answer_is_guarded(console: RunningConsole, route: Route, known: bool) -> None:
    session = console.sign_in("admin") if known else None
    reply = ask(console, route, session)
    assert policy(reply) == POLICY
    assert reply.header("x-content-type-options") == "nosniff"
    assert reply.header("x-frame-options") == "DENY"
    assert reply.header("referrer-policy") == "same-origin"
    assert reply.header("cross-origin-opener-policy") == "same-origin"
    assert reply.header("cross-origin-resource-policy") == "same-origin"
    assert "camera=()" in reply.header("permissions-policy")
    assert "access-control-allow-origin" not in reply.headers
    assert "server" not in reply.headers
    assert "strict-transport-security" not in reply.headers
    if route.path in KEPT:
        assert reply.header("cache-control").startswith("public, max-age=")
    else:
        assert "no-store" in reply.header("cache-control")
        assert "Cookie" in reply.header("vary")
    if reply.header("content-type").startswith("text/html"):
        found = INLINE.search(reply.text)
        assert not found, found
        for sheet in re.findall(r"<style[^>]*>(.*?)</style>", reply.text, re.DOTALL):
            assert sheet.encode() == STYLE_SHEET


@pytest.mark.parametrize(
    "target", ["/nothing", "/api/v1/nothing", "/calls?period=x", "/events?x=1"]
)
def test_errors_are_guarded_as_well(console: RunningConsole, target: str) -> None:
    reply = console.get(target, console.session("member"))
    assert policy(reply) == POLICY
    assert reply.header("cache-control") == NO_STORE


def test_over_https_everything_is_bound_to_it(tmp_path: Path) -> None:
    with running_console(tmp_path, public_url="https://llm.acme.com") as console:
        for target in ("/login", "/nothing", "/api/v1/usage", "/favicon.ico"):
            assert console.get(target).header("strict-transport-security") == "max-age=31536000"


def test_static_files_are_kept_for_ever_under_the_name_of_their_content(
    console: RunningConsole,
) -> None:
    address = console.console.static.address("app.css")
    reply = console.get(address)
    assert (reply.status, reply.header("cache-control")) == (200, IMMUTABLE)
    assert reply.header("content-type") == "text/css; charset=utf-8"
    small = console.get(address, accept_encoding="gzip")
    assert small.header("content-encoding") == "gzip"
    assert len(small.body) < len(reply.body)
    assert small.header("vary") == "Accept-Encoding"
    other = address.replace(address.split(".")[-2], "0" * 12)
    assert console.get(other).status == 404
    assert console.get(PREFIX + "app.css").status == 404


def test_pages_name_only_files_that_are_there(console: RunningConsole) -> None:
    text = console.get("/", console.session("admin")).text
    named = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text))
    assert named
    for address in named:
        assert console.get(address).status == 200


def test_answers_are_compressed_where_it_is_worth_it(console: RunningConsole) -> None:
    session = console.session("admin")
    plain = console.get("/", session)
    for encoding in ("gzip", "zstd"):
        reply = console.get("/", session, accept_encoding=encoding)
        assert reply.header("content-encoding") == encoding
        assert len(reply.body) < len(plain.body) / 2
    assert "content-encoding" not in console.get("/", session, accept_encoding="br").headers


# ------------------------------------------------------------------ metrics


def test_metrics_have_fixed_names_and_labels_of_the_table_alone(tmp_path: Path) -> None:
    with running_console(tmp_path) as console:
        secret = "/tk_live_secret/who?knows=this"
        console.get(secret)
        console.get("/calls/some-call", console.session("member"))
        console.get("/login?token=tk_secret")
        console.get(f"/k/{console.virtual_key.token}/me")
        reply = console.send("GET", "/internal/metrics", direct=True)
        assert reply.status == 200
        families = {each.name: each for each in text_string_to_metric_families(reply.text)}
        paths = {route.path for route in ROUTES} | {"none"}
        labels = {s.labels["route"] for s in families["tollkeeper_console_requests"].samples}
        assert labels <= paths
        assert {"/calls/{call_id}", "/k/{path_key}/me", "none"} <= labels
        for word in ("secret", "some-call", console.virtual_key.token, "alice", "acme"):
            assert word not in reply.text
        assert sorted(families) == [
            *("tollkeeper_console_busy", "tollkeeper_console_duration_ms"),
            *("tollkeeper_console_live_pages", "tollkeeper_console_requests"),
            *("tollkeeper_console_sign_ins", "tollkeeper_ledger_up"),
            *("tollkeeper_loader_damaged", "tollkeeper_loader_failures"),
            *("tollkeeper_loader_lag_entries", "tollkeeper_loader_lag_seconds"),
            *("tollkeeper_loader_loaded", "tollkeeper_loader_rate_per_second"),
            *("tollkeeper_loader_rejected", "tollkeeper_loader_segments"),
            "tollkeeper_loader_up",
        ]
        sign_ins = {
            s.labels["result"]: s.value for s in families["tollkeeper_console_sign_ins"].samples
        }
        assert sign_ins == {"done": 1.0, "refused": 0.0}


def test_health_says_what_is_wrong_and_nothing_of_anybody(tmp_path: Path) -> None:
    with running_console(tmp_path) as console:
        console.load(console.entry_of("member"))
        reply = console.send("GET", "/internal/health", direct=True)
        assert reply.json()["status"] == "ok"
        assert set(reply.json()) == {"status", "faults", "loader"}
        console.ledger.close()
        reply = console.send("GET", "/internal/health", direct=True)
        assert reply.json()["status"] == "degraded"
        assert reply.json()["faults"] == {"ledger": "the ledger is closed"}


# ------------------------------------------------------------------ the engine


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM parquet_scan('/etc/passwd')",
        "ATTACH '{folder}/other.duckdb'",
        "COPY entries TO '{folder}/out.csv'",
        "COPY entries FROM '/etc/passwd'",
        "EXPORT DATABASE '{folder}/out'",
        "IMPORT DATABASE '{folder}/out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET GLOBAL lock_configuration = false",
        "RESET enable_external_access",
        "PRAGMA enable_external_access",
        "SET allowed_directories = ['/etc']",
        "CREATE SECRET s (TYPE s3)",
        "SELECT getenv('HOME')",
    ],
)
def test_the_engine_reaches_nothing_outside(tmp_path: Path, statement: str) -> None:
    handle = Handle(tmp_path / "ledger.duckdb", SMALL)
    try:
        with pytest.raises((duckdb.Error, LedgerUnavailable)), handle.cursor() as cursor:
            cursor.execute(statement.format(folder=tmp_path)).fetchall()
    finally:
        handle.close()
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"ledger"}


def test_no_table_of_the_process_can_be_named_in_a_query(tmp_path: Path) -> None:
    secret = {"a": [1]}  # the engine could read Python variables by their names
    handle = Handle(tmp_path / "ledger.duckdb", SMALL)
    try:
        with pytest.raises(duckdb.CatalogException), handle.cursor() as cursor:
            cursor.execute("SELECT * FROM secret").fetchall()
    finally:
        handle.close()
    assert secret == {"a": [1]}
