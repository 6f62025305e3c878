"""Paths and methods that are not in the table, and how errors look."""

from __future__ import annotations

import pytest

from consoles import RunningConsole, until
from tollkeeper.console.problems import PROBLEM_TYPE
from tollkeeper.console.routes import ROUTES

METHODS = {
    path: {route.method for route in ROUTES if route.path == path}
    for path in (route.path for route in ROUTES if "{" not in route.path)
}
OTHERS = [
    (method, path)
    for path, methods in METHODS.items()
    for method in ("OPTIONS", "PUT", "PATCH", "TRACE", "DELETE", "POST")
    if method not in methods
]
HIDDEN = {"/internal/metrics", "/internal/health"}


@pytest.mark.parametrize(("method", "path"), OTHERS)
def test_a_method_that_is_not_in_the_table_is_refused(
    console: RunningConsole, method: str, path: str
) -> None:
    methods = METHODS[path]
    session = console.session("admin")
    reply = console.send(method, path, headers=session.headers)
    assert reply.status == (404 if path in HIDDEN else 405)
    if path not in HIDDEN:
        assert set(reply.header("allow").split(", ")) >= methods


@pytest.mark.parametrize("header", ["x-http-method-override", "x-method-override", "_method"])
def test_no_header_changes_a_method(console: RunningConsole, header: str) -> None:
    session = console.session("admin")
    key_id = console.virtual_key.record.key.key_id
    sent = session.headers | {header: "DELETE"}
    assert console.send("GET", f"/api/v1/keys/{key_id}", headers=sent).status == 200
    record = console.store.key(key_id)
    assert record is not None
    assert record.revoked_at_us is None


@pytest.mark.parametrize(
    "path",
    [
        *("//", "/calls/", "/CALLS", "/calls//x", "/keys/..", "/static/../pages/me.py"),
        *("/static/%2e%2e%2fpages%2fme.py", "/static/", "/api/v1/keys/%2e%2e", "/api/v1"),
        *("/internal/metrics", "/internal/health", "/internal/x", "/k/x/y/me", "/k//me"),
    ],
)
def test_what_is_not_there_is_not_found(console: RunningConsole, path: str) -> None:
    reply = console.send("GET", path, headers=console.session("admin").headers)
    assert reply.status == 404
    assert "location" not in reply.headers


def test_a_hidden_path_looks_like_none(console: RunningConsole) -> None:
    hidden = console.send("GET", "/internal/metrics")
    missing = console.send("GET", "/internal/nothing")
    assert hidden.status == missing.status == 404


def test_head_is_get_without_a_body(console: RunningConsole) -> None:
    session = console.session("admin")
    for path in ("/", "/calls", "/api/v1/usage", "/login"):
        whole = console.send("GET", path, headers=session.headers)
        head = console.send("HEAD", path, headers=session.headers)
        assert (head.status, head.body) == (whole.status, b"")
        assert head.header("content-type") == whole.header("content-type")


def test_head_of_the_live_stream_ends(console: RunningConsole) -> None:
    reply = console.send("HEAD", "/events", headers=console.session("admin").headers)
    assert reply.status == 200
    until(lambda: console.hub.connections == 0)


def test_errors_of_the_api_are_problem_documents(console: RunningConsole) -> None:
    session = console.session("member").headers
    for target, status, code in (
        ("/api/v1/nothing", 404, "not_found"),
        ("/api/v1/calls/nothing", 404, "not_found"),
        ("/api/v1/keys/nothing", 404, "key_not_found"),
        ("/api/v1/usage?metrics=nonsense", 422, "bad_question"),
        ("/api/v1/usage?nonsense=1", 422, "bad_question"),
        ("/api/v1/calls?limit=0", 422, "bad_question"),
        ("/api/v1/calls?limit=1&limit=2", 422, "bad_question"),
        ("/api/v1/calls?cursor=x", 422, "bad_question"),
        ("/api/v1/users?limit=x", 422, "bad_question"),
        ("/api/v1/usage?format=xml", 422, "bad_question"),
        ("/api/v1/openapi.json?x=1", 422, "bad_question"),
        ("/api/v1/usage?tz=%ff", 422, "bad_question"),
    ):
        reply = console.send("GET", target, headers=session)
        problem = reply.json()
        assert (reply.status, problem["status"], problem["code"]) == (status, status, code), target
        assert reply.header("content-type") == PROBLEM_TYPE
        assert problem["type"] == f"urn:tollkeeper:problem:{code}"
        assert problem["title"]
        assert problem["detail"]


def test_nobody_is_told_how_to_authenticate(console: RunningConsole) -> None:
    reply = console.send("GET", "/api/v1/usage")
    assert (reply.status, reply.json()["code"]) == (401, "not_signed_in")
    assert reply.header("www-authenticate") == 'Bearer realm="tollkeeper"'


def test_errors_of_pages_are_pages_that_say_what_to_do(console: RunningConsole) -> None:
    session = console.session("member")
    for target, status in (("/nothing", 404), ("/calls/nothing", 404), ("/?period=x", 422)):
        reply = console.get(target, session)
        assert reply.status == status
        assert reply.header("content-type").startswith("text/html")
        assert "<h1" in reply.text
    reply = console.get("/calls/nothing?format=json", session)
    assert reply.header("content-type") == PROBLEM_TYPE


def test_a_signed_out_page_comes_back_after_signing_in(console: RunningConsole) -> None:
    reply = console.get("/calls?filter=team:core")
    assert reply.status == 303
    assert reply.header("location") == "/login?next=%2Fcalls%3Ffilter%3Dteam%253Acore"


@pytest.mark.parametrize("header", ["authorization", "cookie", "x-forwarded-for", "host"])
def test_what_tells_who_asks_must_come_once(console: RunningConsole, header: str) -> None:
    raw = (
        f"GET /api/v1/usage HTTP/1.1\r\nhost: a\r\n{header}: one\r\n{header}: two\r\n"
        "connection: close\r\n\r\n"
    )
    assert b"two_credentials" in console.raw(raw.encode())


def test_trailers_tell_nothing(console: RunningConsole) -> None:
    cookie = console.session("admin").cookie
    for field in (
        f"authorization: Bearer {console.admin_key.token}",
        f"cookie: {cookie}",
        "x-tollkeeper-operator: operator-token-of-this-test",
    ):
        raw = (
            "GET /api/v1/usage HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
            f"transfer-encoding: chunked\r\n\r\n0\r\n{field}\r\n\r\n"
        )
        assert console.raw(raw.encode()).startswith(b"HTTP/1.1 401 ")


def test_a_trailer_does_not_make_a_relayed_request_direct(console: RunningConsole) -> None:
    """Nor the other way: the gateway's mark counts from the head alone."""
    raw = (
        "GET /internal/metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
        "transfer-encoding: chunked\r\n\r\n0\r\nx-forwarded-for: 1.2.3.4\r\n\r\n"
    )
    assert console.raw(raw.encode()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"[" * 20_000, 400),
        ("application/json", b'{"name": "\xff"}', 400),
        ("text/plain", b"{}", 415),
        ("application/json", b'{"name": "' + b"x" * (64 << 10) + b'"}', 413),
        ("application/json", b'{"name": 1}', 422),
        ("application/json", b'{"name": "k", "user": ["alice@acme.com"]}', 422),
    ],
)
def test_bodies_that_cannot_be_used(
    console: RunningConsole, content_type: str, body: bytes, status: int
) -> None:
    headers = console.as_admin_key | {"content-type": content_type}
    reply = console.ask("POST", "/api/v1/keys", headers=headers, body=body)
    assert (reply.status, reply.json()["status"]) == (status, status)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/x-www-form-urlencoded", b"theme=dark&theme=light", 400),
        ("application/x-www-form-urlencoded", b"theme=%ff", 400),
        ("application/x-www-form-urlencoded", b"theme=\xff", 400),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(200)), 400),
        ("application/x-www-form-urlencoded", b"theme=" + b"x" * (65 << 10), 413),
        ("application/x-www-form-urlencoded", b"theme=pink", 400),
    ],
)
def test_forms_that_cannot_be_used(
    console: RunningConsole, content_type: str, body: bytes, status: int
) -> None:
    reply = console.ask("POST", "/theme", headers={"content-type": content_type}, body=body)
    assert reply.status == status
