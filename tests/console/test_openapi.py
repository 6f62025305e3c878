"""The API's own description: complete, without loose ends, and true of real answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from consoles import Reply, RunningConsole, running_console
from json_shapes import faults, resolved
from ledger_entries import ledger_entry
from tollkeeper.console.api.openapi import OPERATIONS
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.problems import PROBLEM_TYPE
from tollkeeper.console.routes import ROUTES
from tollkeeper.domain.ledger import Basis, Outcome

API_ROUTES = [route for route in ROUTES if route.path.startswith("/api/v1/")]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """A console with calls of every kind."""
    with running_console(tmp_path_factory.mktemp("openapi")) as made:
        made.load(
            made.entry_of("member", entry_id="call-alice", call_id="call-alice"),
            made.entry_of("member", basis=Basis.UNPRICED, cost_nanos=None, list_cost_nanos=None),
            made.entry_of("lead", outcome=Outcome.REFUSED, status=402, ttft_ms=None, usage_raw=""),
            made.entry_of("admin", units={"web_searches": 2}, tags={"a.b": "<b>"}, saved_nanos=-5),
            ledger_entry(started_at_us=made.now_us - 1, user_id="", team="", usage_raw="no json"),
        )
        yield made


@pytest.fixture(scope="module")
def document(busy: RunningConsole) -> dict[str, Any]:
    reply = busy.get("/api/v1/openapi.json")
    assert reply.status == 200
    found: dict[str, Any] = reply.json()
    return found


def test_every_route_of_the_api_is_described_and_no_other(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path) for path, found in document["paths"].items() for method in found
    }
    routes = {(route.method, route.path) for route in API_ROUTES}
    assert routes == set(OPERATIONS)
    assert described == {(method, path.replace(":path}", "}")) for method, path in routes}
    assert all(route.kind is Kind.API for route in API_ROUTES)


def test_the_description_has_no_loose_ends(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    operations = [each for found in document["paths"].values() for each in found.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    schemes = set(document["components"]["securitySchemes"])
    for path, found in document["paths"].items():
        for operation in found.values():
            assert operation["summary"]
            places = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert places == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert all(set(each) <= schemes for each in operation["security"])
            assert "default" in operation["responses"]
    for reference in _references(document):
        assert resolved(document, reference)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "$ref":
                yield each
            else:
                yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def schema_of(document: dict[str, Any], method: str, path: str, reply: Reply) -> dict[str, Any]:
    """Find the schema that an answer must fit."""
    responses = document["paths"][path][method.lower()]["responses"]
    found = responses.get(str(reply.status), responses["default"])
    if "$ref" in found:
        found = resolved(document, found["$ref"])
    media_type = reply.header("content-type").partition(";")[0]
    schema: dict[str, Any] = found["content"][media_type].get("schema", {})
    return schema


def require_true(document: dict[str, Any], method: str, path: str, reply: Reply) -> None:
    """Fail unless an answer is what the description says."""
    assert reply.status < 500, reply
    schema = schema_of(document, method, path, reply)
    if schema:
        assert faults(document, schema, reply.json()) == []


@pytest.mark.parametrize("who", ["member", "lead", "finance", "auditor", "admin", "other member"])
def test_answers_are_what_the_description_says(
    busy: RunningConsole, document: dict[str, Any], who: str
) -> None:
    session = busy.session(who)
    for target in (
        "/api/v1/usage",
        "/api/v1/usage?group_by=day,model&metrics=cost_usd,error_rate,duration_p95_ms",
        "/api/v1/usage?group_by=user,streamed,status,tag:feature&period=month",
        "/api/v1/usage?group_by=hour&period=today&format=csv",
        "/api/v1/calls?limit=2",
        "/api/v1/calls?format=csv",
        "/api/v1/keys",
        "/api/v1/teams",
        "/api/v1/users?limit=2",
        "/api/v1/me",
        "/api/v1/me?format=line",
        "/api/v1/openapi.json",
    ):
        reply = busy.get(target, session)
        assert reply.status == 200
        require_true(document, "GET", target.partition("?")[0], reply)
    for row in busy.get("/api/v1/calls", session).json()["calls"]:
        reply = busy.get(f"/api/v1/calls/{row['call_id']}", session)
        require_true(document, "GET", "/api/v1/calls/{call_id}", reply)
    for row in busy.get("/api/v1/keys", session).json()["keys"]:
        reply = busy.get(f"/api/v1/keys/{row['id']}", session)
        require_true(document, "GET", "/api/v1/keys/{key_id}", reply)


def test_the_answer_to_a_key_is_what_the_description_says(
    busy: RunningConsole, document: dict[str, Any]
) -> None:
    reply = busy.get("/api/v1/me", authorization=f"Bearer {busy.virtual_key.token}")
    require_true(document, "GET", "/api/v1/me", reply)
    data = {"name": "k", "user": "alice@acme.com", "expires_at": "2030-01-01T00:00:00Z"}
    reply = busy.send("POST", "/api/v1/keys", data, headers=busy.as_admin_key)
    assert reply.status == 201
    require_true(document, "POST", "/api/v1/keys", reply)
    path = f"/api/v1/keys/{reply.json()['id']}"
    reply = busy.send("DELETE", path, headers=busy.as_admin_key)
    require_true(document, "DELETE", "/api/v1/keys/{key_id}", reply)


def test_the_answer_to_a_repricing_is_what_the_description_says(
    busy: RunningConsole, document: dict[str, Any]
) -> None:
    busy.load(
        busy.entry_of("member", part=1, cost_nanos=1, price_key="openai/gpt-4.1 rule=dated"),
    )
    path = "/api/v1/prices/reprice"
    for body, status in (
        ({"period": "30d"}, 200),
        ({"from": "2026-09-01", "to": "2026-09-30", "dry_run": False}, 200),
        ({}, 422),
        ({"period": "30d", "cursor": "2020-01-01"}, 422),
        *(({"period": "30d", name: value}, 422) for name, value in WRONG),
    ):
        reply = busy.send("POST", path, body, headers=busy.as_admin_key)
        assert reply.status == status, (body, reply)
        require_true(document, "POST", path, reply)
        if status == 200 and "period" in body:
            (change,) = reply.json()["changes"]
            assert (change["why"], change["cost_before_usd"]) == ("price_changed", "0.000000001")


WRONG: tuple[tuple[str, object], ...] = (
    *(("model", 5), ("dry_run", "no"), ("unpriced_only", None), ("colour", "red"), ("from", [])),
    *(("team", "x" * 201), ("cursor", "now"), ("tz", "Mars")),
)
NASTY = (
    *("", "0", "-1", "1e309", "null", "true", "[]", "{}", "'", '"', "\\", "%00", "\0", "\r\nx: y"),
    *("'; DROP TABLE entries; --", "1) UNION SELECT * FROM read_csv('/etc/passwd') --", "$1", "?"),
    *("cost_usd", "day", "model", "tag:feature", "team:core", "-team:core", "user:", ":", ","),
    *("tag:", "tag:a b", "tag:x'y", "tollkeeper_bound_text", "30d", "9999d", "0h", "month", "UTC"),
    *("2026-09-01", "2026-09-01T00:00:00Z", "0001-01-01", "9999-12-31", "2026-02-30", "\u2028"),
    *("Europe/Berlin", "../../etc/passwd", "<script>alert(1)</script>", "\u202e", "\ud83d\ude00"),
    *("x" * 200, "9" * 40, "json", "csv", "parquet", "=cmd|'/c calc'!A0", "{{7*7}}", "${7*7}"),
)


@pytest.mark.parametrize("seed", range(12))
def test_no_question_makes_it_fail(
    busy: RunningConsole, document: dict[str, Any], seed: int
) -> None:
    """Every parameter that is described gets every kind of nonsense: an answer or a problem."""
    dice = random.Random(seed)
    session = busy.session("admin")
    for _ in range(60):
        path = dice.choice([path for path, found in document["paths"].items() if "get" in found])
        query = {}
        for each in document["paths"][path]["get"]["parameters"]:
            if each["in"] == "path":
                continue
            if dice.random() < 0.5:
                query[each["name"]] = dice.choice(NASTY)
        target = path.replace("{call_id}", dice.choice(IDS)).replace("{key_id}", dice.choice(IDS))
        reply = busy.get(target + _written(query), session)
        assert reply.status in {200, 400, 404, 422}, (target, query, reply)
        require_true(document, "GET", path, reply)
        if reply.status != 200:
            assert reply.header("content-type") == PROBLEM_TYPE
    assert len(busy.get("/api/v1/calls", session).json()["calls"]) == 5


IDS = ("call-alice", "none", "%27%20OR%201%3D1", "%00", "%ff", "x" * 300, "%E2%80%AE", "..")


def _written(query: dict[str, str]) -> str:
    return f"?{urlencode({name: _clean(value) for name, value in query.items()})}" if query else ""


def _clean(value: str) -> str:
    return value.encode("utf-8", "replace").decode()
