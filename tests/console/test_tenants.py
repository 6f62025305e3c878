"""Nobody sees, finds or changes what is another team's, whatever id they put where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consoles import PEOPLE, RunningConsole, Session, running_console
from stores import issue_key
from tollkeeper.services import people

OUTSIDERS = ("other member", "other lead")
INSIDERS = ("member", "lead", "finance", "auditor", "admin")


class World:
    """A call and a key of Alice's, and a call of another organisation."""

    def __init__(self, console: RunningConsole) -> None:
        self.console = console
        console.load(
            console.entry_of("member", entry_id="call-alice", call_id="call-alice"),
            console.entry_of("other member", entry_id="call-mallory", call_id="call-mallory"),
            console.entry_of("member", entry_id="abroad", call_id="abroad", org="elsewhere"),
        )
        self.key_id = issue_key(console.folder, "alice@acme.com").record.key.key_id
        self.sessions = {name: console.sign_in(name) for name in PEOPLE}

    def session(self, who: str) -> Session:
        return self.sessions[who]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_console(tmp_path_factory.mktemp("tenants")) as console:
        yield World(console)


@pytest.mark.parametrize("who", OUTSIDERS)
@pytest.mark.parametrize("path", ["/api/v1/calls/{}", "/calls/{}"])
def test_a_call_of_others_looks_like_none(world: World, who: str, path: str) -> None:
    session = world.session(who)
    foreign = world.console.get(path.format("call-alice"), session)
    missing = world.console.get(path.format("call-nobody"), session)
    assert foreign.status == missing.status == 404
    assert "alice" not in foreign.text.replace("call-alice", "").replace("/keys", "")


@pytest.mark.parametrize("who", OUTSIDERS)
def test_a_key_of_others_looks_like_none(world: World, who: str) -> None:
    session = world.session(who)
    found = world.console.get(f"/api/v1/keys/{world.key_id}", session)
    missing = world.console.get("/api/v1/keys/nokey123", session)
    assert (found.status, found.body) == (missing.status, missing.body)
    form = {"x-tollkeeper-form-token": session.form_token, **session.headers}
    assert world.console.send("DELETE", f"/api/v1/keys/{world.key_id}", headers=form).status == 404
    assert world.console.post(f"/keys/{world.key_id}/revoke", {}, session).status == 404
    record = world.console.store.key(world.key_id)
    assert record is not None
    assert record.revoked_at_us is None


@pytest.mark.parametrize("who", OUTSIDERS)
@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/calls?filter=team:core",
        "/api/v1/calls?filter=call:call-alice",
        "/api/v1/calls?format=csv",
        "/api/v1/usage?group_by=user,team,call",
        "/api/v1/usage?group_by=team&filter=team:core",
        "/api/v1/usage?group_by=user&format=csv",
        "/api/v1/keys",
        "/api/v1/users",
        "/api/v1/teams",
        "/?by=user",
        "/explore?group_by=user,team,key",
        "/explore?group_by=team&filter=team:core&format=json",
        "/explore?group_by=call&view=table&format=csv",
        "/?by=team&filter=team:core&format=json",
        "/calls?filter=user:alice",
        "/calls?format=csv",
        "/keys?show=all",
        "/me",
    ],
)
def test_lists_hold_nothing_of_others(world: World, who: str, target: str) -> None:
    reply = world.console.get(target, world.session(who))
    assert reply.status in {200, 422}, reply
    for secret in (
        "alice@acme.com",
        "call-alice",
        world.key_id,
        world.console.users["member"].user_id,
    ):
        assert secret not in reply.text.replace("/keys?user=alice", "")


@pytest.mark.parametrize("who", [*INSIDERS, *OUTSIDERS])
def test_another_organisation_is_seen_by_nobody(world: World, who: str) -> None:
    session = world.session(who)
    assert world.console.get("/api/v1/calls/abroad", session).status == 404
    assert "abroad" not in world.console.get("/api/v1/calls?limit=1000", session).text


@pytest.mark.parametrize("who", INSIDERS)
def test_who_may_see_a_call_sees_it(world: World, who: str) -> None:
    reply = world.console.get("/api/v1/calls/call-alice", world.session(who))
    assert reply.status == 200
    assert reply.json()["call_id"] == "call-alice"


def test_a_member_sees_only_their_own_of_their_team(tmp_path: Path) -> None:
    with running_console(tmp_path) as console:
        console.load(
            console.entry_of("member", call_id="mine"), console.entry_of("lead", call_id="leads")
        )
        calls = console.get("/api/v1/calls", console.sign_in("member")).json()["calls"]
        assert [each["call_id"] for each in calls] == ["mine"]
        calls = console.get("/api/v1/calls", console.sign_in("lead")).json()["calls"]
        assert {each["call_id"] for each in calls} == {"mine", "leads"}


def test_a_lead_without_a_team_sees_their_own_alone(tmp_path: Path) -> None:
    with running_console(tmp_path) as console:
        console.store.set_user_team(console.users["lead"].user_id, None, console.now_us)
        console.load(
            console.entry_of("member", call_id="theirs"),
            console.entry_of("lead", call_id="own", team=""),
            console.entry_of("admin", call_id="teamless", team=""),
        )
        calls = console.get("/api/v1/calls", console.sign_in("lead")).json()["calls"]
        assert [each["call_id"] for each in calls] == ["own"]


def test_a_new_team_does_not_get_a_former_teams_calls_by_its_name(tmp_path: Path) -> None:
    with running_console(tmp_path) as console:
        console.load(console.entry_of("member", call_id="of-core", team="core"))
        people.rename_team(console.store, "core", "platform", console.now_us)
        admin = console.as_admin_key
        teams = {"of-new": {"name": "Core"}, "of-other": {"name": "core"}}
        other = people.find_team(console.store, "other").team_id
        for path, body in (("", teams["of-new"]), (f"/{other}", teams["of-other"])):
            reply = console.send("POST", f"/api/v1/teams{path}", body, headers=admin)
            assert (reply.status, reply.json()["code"]) == (409, "team_name_used")
            assert "platform" in reply.json()["detail"]
        olga = console.sign_in("other lead")
        assert console.get("/api/v1/calls", olga).json()["calls"] == []
        said = {"name": "core", "take_over": True}
        assert console.send("POST", f"/api/v1/teams/{other}", said, headers=admin).status == 200
        (call,) = console.get("/api/v1/calls", olga).json()["calls"]
        assert call["call_id"] == "of-core"


def test_a_key_shows_its_own_person_or_itself(tmp_path: Path) -> None:
    with running_console(tmp_path) as console:
        team_key = issue_key(console.folder, team="core")
        key_id = team_key.record.key.key_id
        console.load(
            console.entry_of("member", cost_nanos=1_000_000_000),
            console.entry_of("member", cost_nanos=2_000_000_000, user_id="", key_id=key_id),
            console.entry_of("other member", cost_nanos=4_000_000_000),
        )
        asked = {
            token: console.get("/me", authorization=f"Bearer {token}").json()["today"]["cost_usd"]
            for token in (console.virtual_key.token, team_key.token)
        }
        assert list(asked.values()) == ["1.000000000", "2.000000000"]
