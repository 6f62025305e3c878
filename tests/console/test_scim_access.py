"""A SCIM token opens SCIM and nothing else; nothing else opens SCIM."""

from __future__ import annotations

import pytest

from consoles import RunningConsole
from scim_clients import ScimClient
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.routes import ROUTES, Route
from tollkeeper.services import scim_tokens

SCIM = [route for route in ROUTES if route.kind is Kind.SCIM]
OTHERS = [
    route for route in ROUTES if route.kind is not Kind.SCIM and not route.path.startswith("/stat")
]
GOOD = {200, 201, 204, 400, 404}
"""What whoever gets in may be told: bodies are missing here, and things are not there."""


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.fixture(scope="module")
def scim(console: RunningConsole) -> ScimClient:
    return ScimClient(console)


@pytest.mark.parametrize("route", SCIM, ids=named)
def test_a_token_opens_scim(scim: ScimClient, route: Route) -> None:
    path = route.path.removeprefix("/scim/v2")
    reply = scim.ask(route.method, path)
    assert reply.status in GOOD, reply


@pytest.mark.parametrize("route", OTHERS, ids=named)
def test_a_token_opens_nothing_else(
    console: RunningConsole, scim: ScimClient, route: Route
) -> None:
    """Whoever has one is treated as whoever has nothing."""
    sent = {"content-type": "application/x-www-form-urlencoded"} if route.kind is Kind.FORM else {}
    bare = console.ask(route.method, route.path, headers=sent)
    reply = console.ask(route.method, route.path, headers=sent | scim.headers)
    assert (reply.status, reply.header("location")) == (bare.status, bare.header("location"))


@pytest.mark.parametrize("route", SCIM, ids=named)
def test_nothing_else_opens_scim(console: RunningConsole, route: Route) -> None:
    session = console.session("admin")
    for headers in (
        {},
        session.headers,
        console.as_admin_key,
        {"authorization": f"Bearer {console.virtual_key.token}"},
        {"authorization": "Basic dGtfc2NpbV8="},
        {"authorization": "Bearer tk_scim_00000000_" + "0" * 38},
        {"x-tollkeeper-operator": "operator-token-of-this-test"},
    ):
        reply = console.ask(route.method, route.path, headers=headers)
        assert reply.status == 401, (headers, reply)
        assert reply.header("www-authenticate") == 'Bearer realm="tollkeeper"'
        assert reply.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        assert reply.json()["status"] == "401"


def test_a_token_that_was_revoked_or_changed_opens_nothing(console: RunningConsole) -> None:
    scim = ScimClient(console)
    text = scim.headers["authorization"]
    assert scim.ask("GET", "/Users").status == 200
    other = ScimClient(console)
    mixed = scim_tokens.scim_tokens.build(scim.token.token_id, "x" * 32)
    for authorization in (text[:-1] + "~", text + "0", f"Bearer {mixed}"):
        assert scim.ask("GET", "/Users", authorization=authorization).status == 401
    scim_tokens.revoke(console.store, scim.token.token_id, console.now_us)
    reply = scim.ask("GET", "/Users")
    assert (reply.status, reply.json()["detail"]) == (401, "this SCIM token is revoked")
    assert other.ask("GET", "/Users").status == 200


def test_a_token_is_in_no_text_of_the_store(console: RunningConsole) -> None:
    scim = ScimClient(console)
    secret = scim.headers["authorization"].rpartition("_")[2]
    assert secret.encode() not in (console.folder.data.root / "store.sqlite3").read_bytes()
