"""The page People: who sees whom, and what an admin changes there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consoles import RunningConsole, running_console
from stores import NOW
from tollkeeper.console.access import visitor
from tollkeeper.console.pages import people as page
from tollkeeper.console.pages.people import PeoplePage
from tollkeeper.console.shared import Redirect
from tollkeeper.domain.access import Role
from tollkeeper.services import people


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("people")) as made:
        yield made


def show(running: RunningConsole, who: str, **query: str) -> PeoplePage:
    user = running.store.user(running.users[who].user_id)
    assert user is not None
    return page.people(running.console, visitor(running.console, user), {"tz": "UTC", **query})


def change(running: RunningConsole, form: dict[str, str], who: str) -> object:
    admin = visitor(running.console, running.users["admin"])
    user_id = running.users[who].user_id
    return page.change_user(running.console, admin, {"tz": "UTC", "user_id": user_id, **form})


def names(shown: PeoplePage) -> dict[str, list[str]]:
    return {card.name: [line.name for line in card.lines] for card in shown.cards}


def test_each_role_sees_whom_it_may(running: RunningConsole) -> None:
    for who in ("admin", "finance", "auditor"):
        everybody = names(show(running, who))
        assert list(everybody) == ["core", "other", ""]
        assert everybody["core"] == ["alice@acme.com", "lena@acme.com"]
    assert list(names(show(running, "lead"))) == ["core"]
    assert show(running, "admin").may_change
    assert not show(running, "finance").may_change


def test_a_member_sees_names_and_roles_of_the_own_team_alone(running: RunningConsole) -> None:
    shown = show(running, "member", q="", show="all")
    assert names(shown) == {"core": ["alice", "lena"]}
    assert "@" not in repr(shown.cards)
    assert {line.seen for card in shown.cards for line in card.lines} == {""}
    assert not any(line.user_id for card in shown.cards for line in card.lines)
    reply = running.get("/people", running.sign_in("member"))
    assert (reply.status, "lena" in reply.text, "lena@" in reply.text) == (200, True, False)
    people.move_user(running.store, "alice@acme.com", "", NOW + 1)
    assert names(show(running, "member")) == {"": ["alice"]}


@pytest.mark.parametrize("who", ["member", "lead"])
def test_other_teams_are_nowhere_in_the_page_as_data(running: RunningConsole, who: str) -> None:
    other = running.store.team_named("other")
    assert other is not None
    target = f"/people?saved={other.team_id}"
    for form in ("", "&format=json"):
        reply = running.get(target + form, running.session(who))
        assert reply.status == 200
        assert "other" not in reply.text.lower().replace("another", "")


def test_a_lead_sees_the_teams_within_their_own(running: RunningConsole) -> None:
    people.nest_team(running.store, "other", "core")
    assert list(names(show(running, "lead"))) == ["core", "other"]
    assert list(names(show(running, "other lead"))) == ["other"]
    running.load(running.entry_of("other member", call_id="below"))
    calls = running.get("/api/v1/calls", running.sign_in("lead")).json()["calls"]
    assert [each["call_id"] for each in calls] == ["below"]
    assert running.get("/api/v1/calls/below", running.sign_in("other lead")).status == 200
    teams = running.get("/api/v1/teams", running.sign_in("lead")).json()["teams"]
    assert [(each["name"], each["parent"]) for each in teams] == [("core", None), ("other", "core")]


def test_a_day_says_when_somebody_was_last_active_and_nothing_says_how_much(
    running: RunningConsole,
) -> None:
    key_id = running.virtual_key.record.key.key_id
    running.load(running.entry_of("member", key_id=key_id, cost_nanos=77_310_000_000))
    shown = show(running, "lead")
    assert {line.email: line.seen for line in shown.cards[0].lines} == {
        "alice@acme.com": "Today",
        "lena@acme.com": "",
    }
    assert not [mark for mark in ("77.31", "$") if mark in repr(shown)]


def test_an_admin_adds_changes_and_switches_off(running: RunningConsole) -> None:
    session = running.sign_in("admin")
    added = running.post("/people/teams", {"name": "search", "parent": "core"}, session)
    assert added.header("location").startswith("/people?saved=")
    form = {"email": "new@acme.com", "name": "New One", "role": "lead", "team": "search"}
    reply = running.post("/people/users", form, session)
    assert "New One" in running.get(reply.header("location"), session).text
    user = people.find_user(running.store, "new@acme.com")
    assert (user.team, user.role) == ("search", Role.LEAD)
    running.post(f"/people/users/{user.user_id}", {"team": "", "name": "Newer"}, session)
    user = people.find_user(running.store, "new@acme.com")
    assert (user.team, user.role, user.name) == ("", Role.LEAD, "Newer")
    running.post(f"/people/users/{user.user_id}", {"switch": "off"}, session)
    assert not people.find_user(running.store, "new@acme.com").active
    assert "Newer" not in repr(show(running, "admin").cards)
    assert "Newer" in repr(show(running, "admin", show="all").cards)


def test_what_is_wrong_is_said_on_the_page(running: RunningConsole) -> None:
    session = running.sign_in("admin")
    again = running.post("/people/users", {"email": "alice@acme.com"}, session)
    assert again.status == 409
    assert "There is a user" in again.text
    assert running.post("/people/users", {"email": "x", "role": "boss"}, session).status == 400
    nobody = running.post("/people/users/nobody", {"name": "x"}, session)
    assert nobody.status == 404
    last = change(running, {"switch": "off"}, "admin")
    assert isinstance(last, PeoplePage)
    assert "last active admin" in last.fault
    assert isinstance(change(running, {"role": "auditor"}, "member"), Redirect)


def test_of_many_people_only_the_one_to_be_changed_has_a_form(running: RunningConsole) -> None:
    session = running.sign_in("admin")
    few = running.get("/people", session).text
    assert few.count('name="role"') == len(running.store.users()) + 1  # and to invite somebody
    for number in range(page.FORMS_MAX):
        people.add_user(running.store, f"u{number}@acme.com", NOW, team="core")
    one = people.find_user(running.store, "u7@acme.com")
    many = running.get("/people?q=acme", session).text
    assert many.count('name="role"') == 1
    target = f"/people?q=acme&amp;change={one.user_id}#p-{one.user_id}"
    assert f'href="{target}"' in many
    asked = running.get(target.replace("&amp;", "&").partition("#")[0], session).text
    assert asked.count('name="role"') == 2
    assert f'id="p-{one.user_id}"><details class="menu right" open>' in asked
    assert f'action="/people/users/{one.user_id}"' in asked
    assert running.get("/people?change=nobody", session).text.count('name="role"') == 1
    assert 'name="role"' not in running.get("/people?change=nobody", running.session("lead")).text


def test_search_finds_names_addresses_and_teams(running: RunningConsole) -> None:
    assert names(show(running, "admin", q="MALLORY")) == {"other": ["mallory@acme.com"]}
    assert list(names(show(running, "admin", q="othe"))) == ["other"]
    assert names(show(running, "admin", q="nobody at all")) == {}
    assert "Nothing found" in running.get("/people?q=zzz", running.sign_in("admin")).text


def test_the_api_adds_and_changes(running: RunningConsole) -> None:
    def send(path: str, body: dict[str, object]) -> object:
        reply = running.send("POST", path, body, headers=running.as_admin_key)
        return reply.json() | {"status": reply.status}

    team = send("/api/v1/teams", {"name": "search", "parent": "core"})
    assert (team["parent"], team["status"]) == ("core", 201)  # type: ignore[index]
    nested = send(f"/api/v1/teams/{team['id']}", {"parent": "", "name": "find"})  # type: ignore[index]
    assert (nested["name"], nested["parent"]) == ("find", None)  # type: ignore[index]
    user = send("/api/v1/users", {"email": "new@acme.com", "team": "find", "role": "lead"})
    off = send(f"/api/v1/users/{user['id']}", {"active": False})  # type: ignore[index]
    assert (off["state"], off["team"]) == ("off", "find")  # type: ignore[index]
    for path, body in (
        ("/api/v1/users", {"email": "x@acme.com", "spend": 1}),
        ("/api/v1/users", {"email": "x@acme.com", "role": "boss"}),
        (f"/api/v1/users/{user['id']}", {"email": "other@acme.com"}),  # type: ignore[index]
        ("/api/v1/teams", {"name": "a", "parent": "find", "team_id": "mine"}),
    ):
        assert send(path, body)["status"] == 422, body  # type: ignore[index]
