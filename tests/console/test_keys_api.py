"""Keys over the API: what can be asked for, what cannot be slipped in, and doing it once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consoles import PEOPLE, RunningConsole, running_console
from stores import DAY, HOUR, issue_key
from tollkeeper.console.access import FORM_HEADER
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.errors import KeyRejected
from tollkeeper.domain.self_service import SelfService
from tollkeeper.services import keys

KEY = {"name": "k", "user": "alice@acme.com"}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningConsole]:
    with running_console(tmp_path) as made:
        yield made


def issue(console: RunningConsole, data: dict[str, Any], who: str = "", **headers: str) -> Any:
    """Issue over the API: with the management key, or as somebody who has signed in."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if who:
        session = console.session(who)
        sent |= session.headers | {FORM_HEADER: session.form_token}
    else:
        sent |= console.as_admin_key
    return console.send("POST", "/api/v1/keys", data, headers=sent)


# ------------------------------------------------------------------ what cannot be slipped in

COLUMNS = (
    *("id", "key_id", "secret", "secret_hmac", "pepper_version", "kind", "user_id", "team_id"),
    *("created_at", "created_by", "created_at_us", "revoked_at", "active", "state", "org"),
    *("spend", "max_budget", "allowed_routes", "scope", "viewer", "key", "token", "__class__"),
    *("earlier_hmac", "earlier_until_us", "rotated_at", "rotated_by", "budgets", "use", "rules"),
)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_field_that_there_is_not_is_refused(console: RunningConsole, column: str) -> None:
    before = len(console.store.keys())
    for value in ("x", 1, True, None, {"x": 1}):
        for who in ("", "member", "lead"):
            reply = issue(console, {**KEY, column: value}, who)
            assert (reply.status, reply.json()["code"]) == (422, "bad_question")
    assert len(console.store.keys()) == before


@pytest.mark.parametrize("who", ["member", "lead", "other lead"])
def test_nobody_but_an_admin_makes_a_management_key(console: RunningConsole, who: str) -> None:
    for data in ({"name": "k", "role": "admin"}, {**KEY, "role": "admin"}):
        assert issue(console, data, who).status in {400, 403, 404}
    form = {"name": "k", "kind": "admin", "role": "admin"}
    assert console.post("/keys", form, console.session(who)).status in {400, 403}
    kinds = {
        record.key.kind
        for record in keys.list_keys(console.store, keys.OPERATOR)
        if record.created_by == PEOPLE[who][0]
    }
    assert KeyKind.ADMIN not in kinds


def test_fields_of_a_form_that_there_are_not_change_nothing(fresh: RunningConsole) -> None:
    extra = {"created_by": "root", "key_id": "AAAAAAAA", "user_id": fresh.users["admin"].user_id}
    reply = fresh.post("/keys", {"name": "mine", **extra}, fresh.session("member"))
    assert reply.status == 200
    (made,) = [
        record for record in keys.list_keys(fresh.store, keys.OPERATOR) if record.key.name == "mine"
    ]
    assert made.created_by == "alice@acme.com"
    assert made.key.user_id == fresh.users["member"].user_id
    assert made.key.key_id != "AAAAAAAA"


@pytest.mark.parametrize(
    ("who", "data"),
    [
        ("member", {"name": "k", "user": "lena@acme.com"}),
        ("member", {"name": "k", "user": "mallory@acme.com"}),
        ("member", {"name": "k", "team": "core"}),
        ("member", {"name": "k", "team": "other"}),
        ("lead", {"name": "k", "user": "mallory@acme.com"}),
        ("lead", {"name": "k", "team": "other"}),
        ("other lead", {"name": "k", "user": "alice@acme.com"}),
        ("other lead", {"name": "k", "team": "core"}),
    ],
)
def test_no_key_reaches_further_than_who_issues_it(
    console: RunningConsole, who: str, data: dict[str, str]
) -> None:
    before = len(console.store.keys())
    assert issue(console, data, who).status in {403, 404}
    fields = {"name": data["name"], "email": data.get("user", ""), "team": data.get("team", "")}
    assert console.post("/keys", fields, console.session(who)).status in {403, 404}
    assert len(console.store.keys()) == before


def test_a_bounded_management_key_makes_keys_within_its_bounds(fresh: RunningConsole) -> None:
    bounded = issue_key(
        fresh.folder,
        kind=KeyKind.ADMIN,
        models=("gpt-*",),
        providers=("openai",),
        expires_at_us=fresh.now_us + DAY,
    )
    headers = {"authorization": f"Bearer {bounded.token}"}
    wide = fresh.send("POST", "/api/v1/keys", KEY, headers=headers)
    narrow = fresh.send("POST", "/api/v1/keys", {**KEY, "models": ["gpt-4.1"]}, headers=headers)
    for reply in (wide, narrow):
        if reply.status == 201:
            made = reply.json()
            assert all(model.startswith("gpt-") for model in made["models"])
            assert made["models"]
            assert made["providers"] == ["openai"]
            assert made["expires_at"] is not None
        else:
            assert reply.status == 403
    foreign = {**KEY, "models": ["claude-*"]}
    assert fresh.send("POST", "/api/v1/keys", foreign, headers=headers).status == 403


def test_issued_listed_used_and_revoked(fresh: RunningConsole) -> None:
    reply = issue(fresh, {**KEY, "models": ["gpt-*"], "tags": {"feature": "chat"}})
    made = reply.json()
    assert reply.status == 201
    assert reply.header("location") == f"/api/v1/keys/{made['id']}"
    assert reply.header("cache-control") == "private, no-store"
    found = fresh.send("GET", reply.header("location"), headers=fresh.as_admin_key)
    unused = {"cost_usd": "0.000000000", "requests": 0, "unpriced": 0, "tools": []}
    shown = made | {"use": {**unused, "last_used_at": None}}
    assert found.json() == {name: value for name, value in shown.items() if name != "key"}
    assert made["key"] not in found.text
    verified = keys.verify_stored(
        made["key"], fresh.store, fresh.vault, fresh.now_us, KeyKind.VIRTUAL
    )
    assert verified.key_id == made["id"]
    for _ in range(2):
        ended = fresh.send("DELETE", reply.header("location"), headers=fresh.as_admin_key)
        assert (ended.status, ended.json()["state"]) == (200, "revoked")
    with pytest.raises(KeyRejected):
        keys.verify_stored(made["key"], fresh.store, fresh.vault, fresh.now_us, KeyKind.VIRTUAL)
    assert fresh.get("/me", authorization=f"Bearer {made['key']}").status == 401


# ------------------------------------------------------------------ once


def test_the_same_request_sent_again_gives_the_same_key(fresh: RunningConsole) -> None:
    before = len(fresh.store.keys())
    first = issue(fresh, KEY, idempotency_key="abc")
    again = issue(fresh, KEY, idempotency_key="abc")
    assert (first.status, again.status) == (201, 201)
    assert first.json() == again.json()
    assert (first.header("idempotent-replayed"), again.header("idempotent-replayed")) == (
        "false",
        "true",
    )
    assert len(fresh.store.keys()) == before + 1
    other = issue(fresh, {**KEY, "name": "other"}, idempotency_key="abc")
    assert (other.status, other.json()["code"]) == (409, "idempotency_key_reused")
    somebody_else = issue(fresh, KEY, "member", idempotency_key="abc")
    assert somebody_else.json()["id"] != first.json()["id"]
    fresh.now_us += 24 * HOUR
    late = issue(fresh, KEY, idempotency_key="abc")
    assert (late.status, late.json()["code"]) == (409, "idempotency_key_reused")


def test_without_an_idempotency_key_each_request_makes_a_key(fresh: RunningConsole) -> None:
    assert issue(fresh, KEY).json()["id"] != issue(fresh, KEY).json()["id"]


@pytest.mark.parametrize("text", [" ", "x" * 256, "ä", "a b"])
def test_what_is_no_idempotency_key_is_refused(console: RunningConsole, text: str) -> None:
    reply = issue(console, KEY, idempotency_key=text)
    assert (reply.status, reply.json()["code"]) == (400, "bad_idempotency_key")


def test_a_form_that_is_sent_twice_makes_one_key(fresh: RunningConsole) -> None:
    before = len(fresh.store.keys())
    form = {"name": "mine", "once": "q" * 22}
    pages = [fresh.post("/keys", form, fresh.session("member")) for _ in range(2)]
    assert [page.status for page in pages] == [200, 200]
    assert len(fresh.store.keys()) == before + 1


# ------------------------------------------------------------------ page by page


@pytest.mark.parametrize(
    ("path", "name"), [("keys", "keys"), ("users", "users"), ("teams", "teams")]
)
def test_lists_come_page_by_page_whole_and_once(
    console: RunningConsole, path: str, name: str
) -> None:
    session = console.session("admin")
    whole = [row["id"] for row in console.get(f"/api/v1/{path}", session).json()[name]]
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        target = f"/api/v1/{path}?limit=2" + (f"&cursor={cursor}" if cursor else "")
        page = console.get(target, session).json()
        assert len(page[name]) <= 2
        found += [row["id"] for row in page[name]]
        cursor = page["next_cursor"]
    assert found == whole


def test_calls_come_page_by_page_while_new_ones_arrive(fresh: RunningConsole) -> None:
    names = [f"call-{number:02}" for number in range(9)]
    for number, call_id in enumerate(names):
        fresh.load(fresh.entry_of("member", call_id=call_id, started_at_us=fresh.now_us - number))
    session = fresh.session("admin")
    reply = fresh.get("/api/v1/calls?limit=4", session)
    found = [row["call_id"] for row in reply.json()["calls"]]
    fresh.load(fresh.entry_of("member", call_id="new", started_at_us=fresh.now_us + 1))
    while reply.json()["next_cursor"]:
        following = reply.header("link").partition(">")[0].removeprefix("<")
        assert reply.header("link").endswith('; rel="next"')
        reply = fresh.get(following, session)
        found += [row["call_id"] for row in reply.json()["calls"]]
    assert found == names


def test_a_cursor_opens_nothing_that_the_list_does_not(console: RunningConsole) -> None:
    cursor = console.get("/api/v1/keys?limit=1", console.session("admin")).json()["next_cursor"]
    reply = console.get(f"/api/v1/keys?cursor={cursor}", console.session("other member"))
    assert reply.status in {200, 422}
    assert "alice" not in reply.text


# ------------------------------------------------------------------ rotation and networks


def rotate(console: RunningConsole, key_id: str, data: Any, who: str = "", **headers: str) -> Any:
    """Rotate over the API: with the management key, or as somebody who has signed in."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if who:
        session = console.session(who)
        sent |= session.headers | {FORM_HEADER: session.form_token}
    else:
        sent |= console.as_admin_key
    return console.send("POST", f"/api/v1/keys/{key_id}/rotate", data, headers=sent)


def test_a_key_is_rotated_and_the_secret_before_stays_good_for_a_while(
    fresh: RunningConsole,
) -> None:
    first = issue(fresh, KEY).json()
    reply = rotate(fresh, first["id"], {"overlap_s": 3_600}, "member")
    assert reply.status == 200
    again = reply.json()
    assert (again["id"], again["name"], again["state"]) == (first["id"], "k", "active")
    assert again["key"] != first["key"]
    assert (again["rotated_by"], first["rotated_by"]) == ("alice@acme.com", None)
    assert again["earlier_secret_until"] > again["rotated_at"]
    for token in (first["key"], again["key"]):
        me = fresh.get("/api/v1/me", authorization=f"Bearer {token}")
        assert me.status == 200
    refused = rotate(fresh, first["id"], {"overlap_s": 3_600})
    assert (refused.status, refused.json()["code"]) == (409, "rotation_under_way")
    assert rotate(fresh, first["id"], {"overlap_s": 0}).status == 200
    me = fresh.get("/api/v1/me", authorization=f"Bearer {first['key']}")
    assert me.status == 401


def test_a_rotation_that_is_sent_again_gives_the_same_secret(fresh: RunningConsole) -> None:
    first = issue(fresh, KEY).json()
    replies = [
        rotate(fresh, first["id"], {"overlap_s": 0}, idempotency_key="once") for _ in range(2)
    ]
    assert replies[0].json() == replies[1].json()
    assert [each.header("idempotent-replayed") for each in replies] == ["false", "true"]
    other = rotate(fresh, first["id"], {"overlap_s": 60}, idempotency_key="once")
    assert (other.status, other.json()["code"]) == (409, "idempotency_key_reused")


def change(console: RunningConsole, key_id: str, data: Any, who: str = "") -> Any:
    """Change a key over the API: with the management key, or as somebody who has signed in."""
    sent = console.as_admin_key
    if who:
        session = console.session(who)
        sent = session.headers | {FORM_HEADER: session.form_token}
    return console.send("POST", f"/api/v1/keys/{key_id}", data, headers=sent)


def test_a_key_is_changed_field_by_field(fresh: RunningConsole) -> None:
    made = issue(fresh, KEY).json()
    limits = {"models": ["gpt-*"], "networks": ["10.0.0.0/8"], "tags": {"app": "chat"}}
    ends = {"expires_at": "2099-01-31T12:00:00Z"}
    reply = change(fresh, made["id"], {**limits, **ends}, "member")
    assert reply.status == 200
    expected = {**made, **limits, **ends}
    expected.pop("key")
    assert reply.json() == expected
    renamed = change(fresh, made["id"], {"name": "desktop"}).json()
    assert renamed == {**expected, "name": "desktop"}
    freed = change(fresh, made["id"], {"models": [], "networks": [], "expires_at": None}).json()
    assert (freed["models"], freed["networks"], freed["expires_at"]) == ([], [], None)
    assert freed["tags"] == {"app": "chat"}
    assert change(fresh, made["id"], {"name": "mine"}, "other member").status == 404


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"name": ""}, 400),
        ({"user": "mallory@acme.com"}, 422),
        ({"team": "other"}, 422),
        ({"role": "admin"}, 422),
        ({"budget": "1/month"}, 422),
        ({"models": "gpt-*"}, 422),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400),
        ({"expires_at": "2099-01-01T00:00:00"}, 422),
        ({"networks": ["everywhere"]}, 400),
    ],
    ids=str,
)
def test_a_change_that_makes_no_sense_changes_nothing(
    fresh: RunningConsole, data: Any, status: int
) -> None:
    made = issue(fresh, KEY).json()
    before = fresh.store.key(made["id"])
    assert change(fresh, made["id"], data).status == status
    assert fresh.store.key(made["id"]) == before


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        ({"overlap_s": 604_801}, 400, "overlap_too_long"),
        ({"overlap_s": -1}, 400, "overlap_too_long"),
        ({"overlap_s": 1.5}, 422, "bad_question"),
        ({"overlap_s": "24h"}, 422, "bad_question"),
        ({"secret": "x" * 32}, 422, "bad_question"),
        ({"models": ["*"]}, 422, "bad_question"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 400, "bad_request"),
        ({"expires_at": "2030-01-01T00:00:00"}, 422, "bad_question"),
    ],
)
def test_a_rotation_changes_nothing_but_the_secret_and_the_end(
    console: RunningConsole, data: Any, status: int, code: str
) -> None:
    key = console.virtual_key.record.key
    reply = rotate(console, key.key_id, data)
    assert (reply.status, reply.json()["code"]) == (status, code)
    record = console.store.key(key.key_id)
    assert record is not None
    assert record.key == key


def test_no_column_is_slipped_into_a_rotation(console: RunningConsole) -> None:
    key = console.virtual_key.record.key
    columns = (*COLUMNS, *KEY, "team", "role", "models", "providers", "networks", "tags", "budget")
    for column in columns:
        reply = rotate(console, key.key_id, {column: "x"}, "member")
        assert (reply.status, reply.json()["code"]) == (422, "bad_question"), column
    record = console.store.key(key.key_id)
    assert record is not None
    assert record.key == key


def test_nobody_rotates_a_key_that_is_not_theirs(console: RunningConsole) -> None:
    theirs = console.other_key.record.key.key_id
    admins = issue_key(console.folder, PEOPLE["member"][0], kind=KeyKind.ADMIN).record.key.key_id
    for who, key_id, status in (
        ("member", theirs, 404),
        ("lead", theirs, 404),
        ("member", "nothing1", 404),
        ("member", admins, 403),
        ("auditor", theirs, 403),
        ("finance", theirs, 403),
    ):
        assert rotate(console, key_id, {}, who).status == status, (who, key_id)


def test_a_key_is_bound_to_networks_and_may_ask_from_nowhere_else(fresh: RunningConsole) -> None:
    made = issue(fresh, {**KEY, "networks": ["10.0.0.0/8", "::ffff:192.0.2.7", "10.0.0.0/8"]})
    assert made.status == 201
    assert made.json()["networks"] == ["10.0.0.0/8", "192.0.2.7/32"]
    bearer = {"authorization": f"Bearer {made.json()['key']}"}
    for address, status in (("10.2.3.4", 200), ("192.0.2.7", 200), ("192.0.2.8", 403)):
        headers = {**bearer, "x-forwarded-for": address}
        reply = fresh.send("GET", "/api/v1/me", None, headers=headers)
        assert reply.status == status
    assert reply.json()["code"] == "address_not_allowed"
    bad = issue(fresh, {**KEY, "networks": ["10.0.0.1/8"]})
    assert (bad.status, bad.json()["code"]) == (400, "bad_network")
    many = issue(fresh, {**KEY, "networks": [f"10.0.{number}.0/24" for number in range(65)]})
    assert (many.status, many.json()["code"]) == (400, "bad_network")


# ------------------------------------------------------------------ budgets and bounds


def test_a_key_is_issued_with_a_budget_of_its_own(fresh: RunningConsole) -> None:
    made = issue(fresh, {**KEY, "budget": "50 USD/month"}, idempotency_key="once").json()
    again = issue(fresh, {**KEY, "budget": "50 USD/month"}, idempotency_key="once").json()
    assert again == made
    (budget,) = made["budgets"]
    assert (budget["limit"], budget["left"], budget["window"]) == (
        "50.000000000",
        "50.000000000",
        "month",
    )
    listed = fresh.get("/api/v1/keys", authorization=fresh.as_admin_key["authorization"]).json()
    assert [each["budgets"] for each in listed["keys"] if each["id"] == made["id"]] == [[budget]]
    bad = issue(fresh, {**KEY, "budget": "lots"})
    assert (bad.status, bad.json()["code"]) == (422, "bad_question")


def test_bounds_bind_people_and_no_management_key(fresh: RunningConsole) -> None:
    rule = SelfService(frozenset({Role.MEMBER}), ("gpt-*",), ("*",))
    fresh.self_service = (rule,)
    for who, data, status in (
        ("member", {}, 201),
        ("member", {"models": ["claude-*"]}, 403),
        ("member", {"expires_at": "2099-01-01T00:00:00Z"}, 403),
        ("lead", {}, 403),
        ("admin", {"models": ["claude-*"]}, 201),
        ("", {"models": ["claude-*"]}, 201),
    ):
        reply = issue(fresh, {**KEY, **data}, who)
        assert reply.status == status, (who, data, reply.text)
    key_id = fresh.virtual_key.record.key.key_id
    late = rotate(fresh, key_id, {"expires_at": "2099-01-01T00:00:00Z"}, "member")
    assert (late.status, late.json()["code"]) == (403, "lifetime_exceeded")
    assert rotate(fresh, key_id, {}, "member").status == 200


def test_a_key_says_how_it_is_used_this_month(fresh: RunningConsole) -> None:
    key_id = fresh.virtual_key.record.key.key_id
    usual = {"key_id": key_id, "cost_nanos": 1_500_000_000}
    fresh.load(
        fresh.entry_of("member", tool="codex", **usual),
        fresh.entry_of("member", tool="claude-code", **usual),
        fresh.entry_of("member", tool="claude-code", **usual),
        fresh.entry_of("member", started_at_us=fresh.now_us - 60 * DAY, tool="aider", **usual),
    )
    bearer = fresh.as_admin_key["authorization"]
    use = fresh.get(f"/api/v1/keys/{key_id}", authorization=bearer).json()["use"]
    assert (use["cost_usd"], use["requests"], use["unpriced"]) == ("4.500000000", 3, 0)
    assert use["tools"] == ["claude-code", "codex"]
    assert use["last_used_at"].startswith("2026-09-21T")
    listed = fresh.get("/api/v1/keys", authorization=bearer).json()["keys"]
    assert [each["use"] for each in listed if each["id"] == key_id] == [use]
    other = next(each["use"] for each in listed if each["id"] != key_id)
    assert (other["cost_usd"], other["last_used_at"], other["tools"]) == ("0.000000000", None, [])
    fresh.ledger.close()
    assert fresh.get(f"/api/v1/keys/{key_id}", authorization=bearer).json()["use"] is None
