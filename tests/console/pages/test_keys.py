"""The keys page: what each role sees and may do, and what it costs to make a mistake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from consoles import RunningConsole, running_console
from tollkeeper.console.access import viewer_of_user
from tollkeeper.console.pages import keys as page
from tollkeeper.console.pages.keys import KeysPage
from tollkeeper.console.shared import Redirect
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import NotAllowed, NotFound
from tollkeeper.domain.self_service import SelfService, cap_of_words
from tollkeeper.services import keys
from tollkeeper.services.keys import KeyRequest


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("keys")) as made:
        yield made


def show(running: RunningConsole, who: str, **query: str) -> KeysPage:
    viewer = viewer_of_user("acme", running.users[who])
    return page.keys(running.console, viewer, {"tz": "UTC", **query})


def issue(running: RunningConsole, who: str, **form: str) -> KeysPage:
    viewer = viewer_of_user("acme", running.users[who])
    return page.issue_key(running.console, viewer, {"tz": "UTC", **form})


def names(shown: KeysPage) -> list[str]:
    return [line.owner for line in shown.lines]


def test_each_role_sees_the_keys_within_its_reach(running: RunningConsole) -> None:
    assert set(names(show(running, "member"))) == {"alice@acme.com"}
    assert "mallory@acme.com" not in names(show(running, "lead"))
    for who in ("admin", "auditor", "finance"):
        assert {"alice@acme.com", "mallory@acme.com"} <= set(names(show(running, who)))
    auditor, admin = show(running, "auditor"), show(running, "admin")
    assert not auditor.may_issue
    assert not any(line.may_revoke for line in auditor.lines)
    assert admin.may_issue
    assert all(line.may_revoke for line in admin.lines)


def test_costs_have_one_precision_and_an_unused_key_cost_nothing(running: RunningConsole) -> None:
    used = running.virtual_key.record.key.key_id
    running.load(running.entry_of("member", key_id=used, cost_nanos=12_345_678_900))
    costs = {line.key_id: (line.cost, line.requests) for line in show(running, "admin").lines}
    assert costs.pop(used) == ("$12.35", "1")
    assert set(costs.values()) == {("$0.00", "0")}


def test_a_cost_that_nobody_knows_is_no_zero(running: RunningConsole) -> None:
    used = running.virtual_key.record.key.key_id
    running.load(
        running.entry_of("member", key_id=used, cost_nanos=None, basis="unpriced"),
    )
    (line,) = [each for each in show(running, "admin").lines if each.key_id == used]
    assert (line.cost, line.unpriced) == ("—", 1)


def test_keys_are_issued_and_revoked_while_the_ledger_is_away(running: RunningConsole) -> None:
    running.ledger.close()
    shown = show(running, "admin")
    assert not shown.ledger_answers
    assert {(line.cost, line.requests) for line in shown.lines} == {("—", "")}
    issued = issue(running, "member", name="new").issued
    assert issued is not None
    viewer = viewer_of_user("acme", running.users["member"])
    page.revoke_key(running.console, viewer, {"key_id": issued.line.key_id, "tz": "UTC"})
    assert issued.line.key_id not in {line.key_id for line in show(running, "member").lines}


def test_a_key_is_for_oneself_unless_somebody_is_named(running: RunningConsole) -> None:
    for who, form, owner in (
        ("member", {}, "alice@acme.com"),
        ("admin", {"email": "mallory@acme.com"}, "mallory@acme.com"),
        ("admin", {"team": "core"}, "core"),
        ("lead", {"team": "core"}, "core"),
    ):
        issued = issue(running, who, name="new", **form).issued
        assert issued is not None
        assert issued.line.owner == owner
        assert issued.token.startswith("tk_live_")
        assert any(issued.token in each.text for tool in issued.tools for each in tool.snippets)


@pytest.mark.parametrize(
    ("who", "form", "status"),
    [
        ("admin", {"name": "x", "email": "nobody@acme.com"}, 404),
        ("member", {"name": "x", "email": "mallory@acme.com"}, 403),
        ("member", {"name": "x", "kind": "admin"}, 403),
        ("lead", {"name": "x", "team": "other"}, 403),
        ("member", {"name": ""}, 400),
        ("member", {"name": "x", "days": "7"}, 400),
        ("member", {"name": "x", "models": "x" * 300}, 400),
    ],
)
def test_a_mistake_issues_nothing_and_keeps_what_was_typed(
    running: RunningConsole, who: str, form: dict[str, str], status: int
) -> None:
    before = len(running.store.keys())
    shown = issue(running, who, **form)
    assert shown.status == status, shown.fault
    assert shown.fault
    assert shown.issued is None
    assert len(running.store.keys()) == before
    assert {name: shown.form[name] for name in form} == form


def test_the_same_form_gives_the_same_key(running: RunningConsole) -> None:
    before = len(running.store.keys())
    form: dict[str, Any] = {"name": "twice", "days": "30", "once": "a-form-of-this-test"}
    tokens = set()
    for _ in range(2):
        issued = issue(running, "member", **form).issued
        assert issued is not None
        tokens.add(issued.token)
    assert len(tokens) == 1
    assert len(running.store.keys()) == before + 1
    assert issued.line.expires == "Oct 22"
    assert show(running, "member").form["once"] != show(running, "member").form["once"]


def test_a_revoked_key_is_named_and_a_made_up_one_is_not(running: RunningConsole) -> None:
    admin = viewer_of_user("acme", running.users["admin"])
    key_id = running.virtual_key.record.key.key_id
    assert show(running, "admin", done=key_id).done == ""
    answer = page.revoke_key(running.console, admin, {"key_id": key_id, "tz": "UTC"})
    assert answer.path == f"/keys?done={key_id}"
    shown = show(running, "admin", done=key_id)
    assert shown.done == running.virtual_key.record.key.name
    assert show(running, "admin", done="nothing1").done == ""
    assert key_id not in {line.key_id for line in shown.lines}
    ended = {line.key_id: line for line in show(running, "admin", show="all").lines}[key_id]
    assert (ended.state.name, ended.may_revoke) == ("Revoked", False)


def test_nobody_revokes_beyond_their_reach(running: RunningConsole) -> None:
    key_id = running.virtual_key.record.key.key_id
    for who, fault in (("other member", NotFound), ("auditor", NotAllowed)):
        viewer = viewer_of_user("acme", running.users[who])
        with pytest.raises(fault):
            page.revoke_key(running.console, viewer, {"key_id": key_id, "tz": "UTC"})


def rotate(running: RunningConsole, who: str, key_id: str, **form: str) -> KeysPage:
    viewer = viewer_of_user("acme", running.users[who])
    return page.rotate_key(running.console, viewer, {"tz": "UTC", "key_id": key_id, **form})


def test_a_rotated_key_shows_its_new_secret_once_and_that_two_work(running: RunningConsole) -> None:
    key_id = running.virtual_key.record.key.key_id
    first = rotate(running, "member", key_id, overlap="24", days="90", once="a-form")
    assert first.issued is not None
    assert first.issued.is_rotated
    assert first.issued.token != running.virtual_key.token
    assert first.issued.line.earlier_until
    assert rotate(running, "member", key_id, overlap="24", days="90", once="a-form").issued == (
        first.issued
    )
    shown = show(running, "member")
    assert shown.issued is None
    (line,) = [each for each in shown.lines if each.key_id == key_id]
    assert line.earlier_until == first.issued.line.earlier_until
    assert line.may_rotate
    again = rotate(running, "member", key_id, overlap="24")
    assert (again.status, again.issued) == (409, None)
    assert "two secrets" in again.fault
    assert rotate(running, "admin", key_id, overlap="0").issued is not None
    assert rotate(running, "admin", key_id, overlap="9").status == 400
    assert rotate(running, "admin", key_id, overlap="0", days="7").status == 400
    with pytest.raises(NotFound):
        rotate(running, "lead", running.other_key.record.key.key_id)


def test_networks_of_a_key_are_shown(running: RunningConsole) -> None:
    issued = issue(running, "member", name="x", networks="10.0.0.0/8, 2001:db8::/32").issued
    assert issued is not None
    assert issued.line.networks == "10.0.0.0/8, 2001:db8::/32"
    bad = issue(running, "member", name="x", networks="10.0.0.0/40")
    assert (bad.status, bad.form["networks"]) == (400, "10.0.0.0/40")


def test_a_keys_own_budget_is_shown_with_what_is_left(running: RunningConsole) -> None:
    issued = issue(running, "member", name="capped", budget="$20/month").issued
    assert issued is not None
    assert issued.line.cap == "$20.00 left"
    assert issued.line.cap_full == "0 USD spent and 0 USD held, of 20 USD a month"
    bad = issue(running, "member", name="x", budget="a lot")
    assert (bad.status, bad.form["budget"]) == (400, "a lot")
    assert bad.fault.startswith("the budget is an amount")


def test_the_page_says_what_one_may_issue(running: RunningConsole) -> None:
    assert show(running, "member").bounds == ()
    most = cap_of_words("50/month")
    rule = SelfService(frozenset({Role.MEMBER}), ("gpt-*",), ("*",), key_budget_max=most)
    running.self_service = (rule,)
    shown = show(running, "member")
    assert shown.may_issue
    assert "Models: gpt-*; providers: all." in shown.bounds
    assert shown.lifetimes[0] == ("", "As late as allowed")
    assert issue(running, "member", name="x", budget="60/month").status == 403
    lead = show(running, "lead")
    assert (lead.may_issue, lead.bounds) == (False, ())
    assert "ask an admin" in lead.denied
    assert issue(running, "lead", name="x").status == 403
    assert show(running, "admin").may_issue
    assert show(running, "auditor").denied == ""


def change(running: RunningConsole, who: str, key_id: str, **form: str) -> KeysPage | Redirect:
    viewer = viewer_of_user("acme", running.users[who])
    return page.change_key(running.console, viewer, {"tz": "UTC", "key_id": key_id, **form})


def test_a_key_is_changed_by_whoever_may_revoke_it(running: RunningConsole) -> None:
    key_id = running.virtual_key.record.key.key_id
    form = {"name": "desktop", "models": "gpt-*", "networks": "10.0.0.0/8", "tags": "app=chat"}
    done = change(running, "member", key_id, days="90", providers="", **form)
    assert done == Redirect(f"/keys?changed={key_id}")
    shown = show(running, "member", changed=key_id)
    (line,) = [each for each in shown.lines if each.key_id == key_id]
    assert (shown.changed, line.name, line.reach) == ("desktop", "desktop", "gpt-*")
    assert (line.networks, line.tags, line.may_change) == ("10.0.0.0/8", "app=chat", True)
    assert line.expires
    assert isinstance(change(running, "member", key_id, days="never"), Redirect)
    (line,) = [each for each in show(running, "member").lines if each.key_id == key_id]
    assert (line.expires, line.name) == ("", "desktop")
    with pytest.raises(NotFound):
        change(running, "other member", key_id, name="mine")
    refused = change(running, "auditor", key_id, name="mine")
    assert isinstance(refused, KeysPage)
    assert refused.status == 403


@pytest.mark.parametrize(
    ("form", "status"),
    [({"name": ""}, 400), ({"days": "1"}, 400), ({"tags": "chat"}, 400), ({"networks": "x"}, 400)],
)
def test_what_is_wrong_with_a_change_is_said_beside_what_was_typed(
    running: RunningConsole, form: dict[str, str], status: int
) -> None:
    key_id = running.virtual_key.record.key.key_id
    shown = change(running, "member", key_id, **form)
    assert isinstance(shown, KeysPage)
    assert shown.status == status
    assert shown.change_fault
    assert shown.change_form.items() >= form.items()


def test_the_form_leaves_alone_what_it_cannot_say(running: RunningConsole) -> None:
    viewer = viewer_of_user("acme", running.users["admin"])
    request = KeyRequest("k", email="alice@acme.com", models=("gpt-[4,5]",), tags={"a": "b, c=d"})
    record = keys.issue(
        *(running.store, running.console.vault, request, keys.OPERATOR, running.now_us)
    ).record
    (line,) = [each for each in show(running, "admin").lines if each.key_id == record.key.key_id]
    assert (line.models, line.providers, line.tags) == (None, "", None)
    reply = running.get("/keys", running.session("admin"))
    assert f'id="providers-{line.key_id}"' in reply.text
    assert f'id="models-{line.key_id}"' not in reply.text
    assert isinstance(
        page.change_key(running.console, viewer, {"tz": "UTC", "key_id": line.key_id, "name": "n"}),
        Redirect,
    )
    found = running.store.key(line.key_id)
    assert found is not None
    assert (found.key.models, found.key.tags) == (("gpt-[4,5]",), {"a": "b, c=d"})
