"""Every route that changes something leaves its entry in the audit log, by whoever asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import pytest

from consoles import OPERATOR_TOKEN, Reply, RunningConsole, running_console
from stores import issue_key
from tollkeeper.console.access import OPERATOR_HEADER
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.routes import ROUTES
from tollkeeper.domain.access import Role
from tollkeeper.domain.alerts import Alert, AlertKey, AlertState
from tollkeeper.domain.audit import AuditEntry
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.price_rules import PriceRule, StoredRule
from tollkeeper.domain.rate_limits import RateRule, StoredRateRule
from tollkeeper.services import audit, sign_in

EXCEPTIONS: Final[Mapping[str, str]] = {
    "POST /theme": "is remembered in a cookie",
    "POST /zone": "is remembered in a cookie",
    "POST /mask": "only makes one see less; the unmasking says until when it could have lasted",
    "POST /budgets/try": "only looks",
    "POST /api/v1/budget-replays": "only looks",
    "POST /alerts/channels/{channel}/test": "sends a test message, and changes nothing",
    "POST /api/v1/alerts/channels/{channel}/test": "sends a test message, and changes nothing",
}
"""Routes that leave no entry, each with the reason. Reviewed."""

ELSEWHERE: Final[Mapping[str, str]] = {
    "POST /login": "test_whoever_signs_in_and_out_is_recorded",
    "POST /logout": "test_whoever_signs_in_and_out_is_recorded",
    "POST /join": "needs an invitation's link",
    "POST /people/import": "pages/test_people_import.py: only what was shown is taken over",
    "POST /api/v1/prices/reprice": "needs a ledger with calls: test_repricing.py",
    "POST /login/password": "needs a password",
    "POST /account/password": "needs a password",
    "POST /account/sessions/end": "ends the session that the others here use",
    "POST /account/sessions/{session_id}/end": "ends the session that the others here use",
    **{
        f"{route.method} {route.path}": "scim/test_audit.py"
        for route in ROUTES
        if route.kind is Kind.SCIM and route.method != "GET"
    },
}
"""Routes that need more than a body. What they change is told by the store's own methods, which
``contract/test_audit_log.py`` holds against the list."""


class Step(NamedTuple):
    """One request with a body that is taken, and the action that it is recorded as."""

    route: str
    body: Mapping[str, Any]
    action: str


BUDGET: Final = {"name": "b", "scope": "org", "limit": "100 USD", "window": "month"}
MORE: Final = {"amount": "1 USD", "reason": "a good reason"}
STEPS: Final = (
    Step("POST /unmask", {"reason": "a runaway script"}, "people.unmask"),
    Step("POST /team/new", {"team_alias": "litellm"}, "team.add"),
    Step("POST /user/new", {"user_email": "l@acme.com"}, "user.add"),
    Step("POST /key/generate", {"key_alias": "litellm", "user_id": "<alice>"}, "key.issue"),
    Step("POST /key/delete", {"keys": ["<fresh key>"]}, "key.revoke"),
    Step("POST /budget/new", {"budget_id": "lb", "max_budget": 5}, "budget.add"),
    Step("POST /models/rules", {"name": "r", "percent": "5"}, "price_rule.add"),
    Step("POST /models/rules/{rule_id}/end", {}, "price_rule.end"),
    Step("POST /keys", {"name": "k", "email": "root@acme.com"}, "key.issue"),
    Step("POST /keys/{key_id}/change", {"name": "by page"}, "key.change"),
    Step("POST /keys/{key_id}/rotate", {"overlap": "0"}, "key.rotate"),
    Step("POST /keys/{key_id}/revoke", {}, "key.revoke"),
    Step("POST /alerts/{alert_id}/acknowledge", {}, "alert.acknowledge"),
    Step("POST /budgets", BUDGET, "budget.add"),
    Step("POST /budgets/ask", {"budget": "<budget>", **MORE}, "budget.ask"),
    Step("POST /budgets/requests/{request_id}/approve", {"amount": "1"}, "budget.decide"),
    Step("POST /budgets/raises/{raise_id}/end", {}, "budget.end_raise"),
    Step("POST /budgets/requests/{request_id}/decline", {"note": "no"}, "budget.decide"),
    Step(
        "POST /api/v1/budgets/{budget_id}/overdraft/allow",
        {"amount": "5 USD"},
        "budget.allow_overdraft",
    ),
    Step("POST /budgets/ask/overdraft", {"budget": "<budget>"}, "budget.overdraft"),
    Step("POST /budget/{budget_id}", {"limit": "200 USD", "version": 0}, "budget.change"),
    Step("POST /budget/{budget_id}/top-up", {"amount": "5 USD", "version": 0}, "budget.change"),
    Step("POST /budget/{budget_id}/end", {}, "budget.change"),
    Step("POST /api/v1/prices/rules", {"name": "api", "discount_bp": 5}, "price_rule.add"),
    Step("DELETE /api/v1/prices/rules/{rule_id}", {}, "price_rule.end"),
    Step(
        "POST /api/v1/limits",
        {"name": "l", "scope": "key", "requests_per_minute": 5},
        "rate_limit.set",
    ),
    Step("DELETE /api/v1/limits/{limit_id}", {}, "rate_limit.remove"),
    Step("POST /api/v1/budgets", BUDGET, "budget.add"),
    Step("POST /api/v1/budgets/requests", {"budget": "<budget>", **MORE}, "budget.ask"),
    Step("POST /api/v1/budgets/requests/{request_id}/approve", {}, "budget.decide"),
    Step("POST /api/v1/budgets/raises/{raise_id}/end", {}, "budget.end_raise"),
    Step("POST /api/v1/budgets/requests/{request_id}/decline", {}, "budget.decide"),
    Step("POST /api/v1/budgets/{budget_id}/overdraft", {}, "budget.overdraft"),
    Step("POST /api/v1/budgets/{budget_id}", {"limit": "3 USD", "version": 0}, "budget.change"),
    Step(
        "POST /api/v1/budgets/{budget_id}/top-up",
        {"amount": "5 USD", "version": 0},
        "budget.change",
    ),
    Step("DELETE /api/v1/budgets/{budget_id}", {}, "budget.change"),
    Step("POST /api/v1/alerts/{alert_id}/acknowledge", {}, "alert.acknowledge"),
    Step("POST /api/v1/keys", {"name": "k", "user": "alice@acme.com"}, "key.issue"),
    Step("POST /api/v1/keys/{key_id}", {"models": ["gpt-*"]}, "key.change"),
    Step("POST /api/v1/keys/{key_id}/rotate", {"overlap_s": 0}, "key.rotate"),
    Step("DELETE /api/v1/keys/{key_id}", {}, "key.revoke"),
    Step("POST /people/teams", {"name": "by page"}, "team.add"),
    Step("POST /people/teams/{team_id}", {"name": "renamed by page"}, "team.rename"),
    Step("POST /people/users", {"email": "page@acme.com"}, "user.add"),
    Step("POST /people/users/{user_id}", {"role": "lead"}, "user.role"),
    Step("POST /people/users/{user_id}/end-password", {}, "password.remove"),
    Step("POST /api/v1/teams", {"name": "by api"}, "team.add"),
    Step("POST /api/v1/teams/{team_id}", {"active": False}, "team.deactivate"),
    Step("POST /api/v1/users", {"email": "api@acme.com"}, "user.add"),
    Step("POST /api/v1/users/{user_id}", {"active": False}, "user.deactivate"),
    Step("DELETE /api/v1/users/{user_id}/password", {}, "password.remove"),
    Step("POST /people/invitations", {"email": "i@acme.com"}, "invitation.make"),
    Step("POST /people/invitations/{invitation_id}/resend", {}, "invitation.resend"),
    Step("POST /people/invitations/{invitation_id}/revoke", {}, "invitation.revoke"),
    Step("POST /api/v1/invitations", {"email": "j@acme.com", "mail": False}, "invitation.make"),
    Step("POST /api/v1/invitations/{invitation_id}/resend", {}, "invitation.resend"),
    Step("DELETE /api/v1/invitations/{invitation_id}", {}, "invitation.revoke"),
    Step("POST /statements/{month}/close", {}, "statement.issue"),
    Step("POST /api/v1/statements/{month}/close", {}, "statement.issue"),
)


READ_NO_BODY: Final = {  # so they take nothing from one
    "POST /api/v1/statements/{month}/close",
    "POST /api/v1/alerts/{alert_id}/acknowledge",
    "POST /api/v1/invitations/{invitation_id}/resend",
}
WITH_FIELDS: Final = tuple(
    each
    for each in STEPS
    if each.route.startswith("POST /api/v1/") and each.route not in READ_NO_BODY
)


class Desk:
    """A console, and one fresh thing of each kind for every request."""

    def __init__(self, console: RunningConsole) -> None:
        self.console = console
        self._count = 0
        self.ready = console.store.audit_head()
        """Where the log ended before what was asked last."""

    def take(self, step: Step, **more: Any) -> Reply:
        """Ask with a body that is taken, and with ``more`` in it."""
        self._count += 1
        self.console.now_us += 1_000_000
        method, _, path = step.route.partition(" ")
        route = next(each for each in ROUTES if (each.method, each.path) == (method, path))
        before = dict(self._things(path))
        for name, value in before.items():
            path = path.replace(name, str(value))
        body = {name: self._filled(value, before) for name, value in step.body.items()} | more
        self.ready = self.console.store.audit_head()
        if route.kind is Kind.FORM:
            return self.console.post(path, body, self.console.session("admin"))
        if "/overdraft" in path and not path.endswith("/allow"):
            session = self.console.session("admin")
            headers = session.headers | {"x-tollkeeper-form-token": session.form_token}
            return self.console.send(method, path, body, headers=headers)
        if path == "/api/v1/budgets/requests":
            token = self.console.virtual_key.token
            return self.console.send(
                method, path, body, headers={"authorization": f"Bearer {token}"}
            )
        sent = body if method == "POST" else None
        return self.console.send(method, path, sent, headers=self.console.as_admin_key)

    def _filled(self, value: Any, things: Mapping[str, str]) -> Any:
        if isinstance(value, list):
            return [self._filled(each, things) for each in value]
        if value == 0 and value is not False:
            return things["version"]
        known = {
            "<budget>": "{budget_id}",
            "<fresh key>": "{key_id}",
        }
        if value == "<alice>":
            return self.console.users["member"].user_id
        return things[known[value]] if value in known else value

    def _things(self, path: str) -> Iterator[tuple[str, Any]]:
        console, store, now_us = self.console, self.console.store, self.console.now_us
        number = self._count
        admin = console.as_admin_key
        window = "prepaid" if "top-up" in path else "month"
        made = console.send(
            "POST",
            "/api/v1/budgets",
            {**BUDGET, "name": f"b{number}", "window": window},
            headers=admin,
        )
        assert made.status == 201, made.text
        budget = made.json()
        console.now_us += 5_000_000  # it counts by now
        yield "{budget_id}", budget["id"]
        yield "version", budget["version"]
        if "overdraft" in path and not path.endswith("allow"):
            allowed = console.send(
                *("POST", f"/api/v1/budgets/{budget['id']}/overdraft/allow", {"amount": "5 USD"}),
                headers=admin,
            )
            assert allowed.status == 200, allowed.text
        if "{request_id}" in path or "{raise_id}" in path:
            asked = console.send(
                *("POST", "/api/v1/budgets/requests", {"budget": budget["id"], **MORE}),
                headers={"authorization": f"Bearer {console.virtual_key.token}"},
            )
            assert asked.status == 201, asked.text
            yield "{request_id}", asked.json()["id"]
            if "{raise_id}" in path:
                given = console.send(
                    *("POST", f"/api/v1/budgets/requests/{asked.json()['id']}/approve", {}),
                    headers=admin,
                )
                assert given.status == 200, given.text
                (found,) = store.budget_raises(budget["id"])
                yield "{raise_id}", found.raise_id
        rule = f"rule-{number}"
        store.add_price_rule(StoredRule(rule, PriceRule("r", discount_bp=1), now_us, "a"))
        yield "{rule_id}", rule
        limit = RateRule(f"limit-{number}", f"limit {number}", BudgetScope.KEY, parallel=1)
        store.set_rate_rule(StoredRateRule(limit, now_us, "a"))
        yield "{limit_id}", limit.rule_id
        yield "{month}", f"2020-{number % 12 + 1:02d}"
        if "{user_id}" in path or "{team_id}" in path:
            yield "{team_id}", store.add_team(f"team {number}", now_us).team_id
            email = f"person-{number}@acme.com"
            user_id = store.add_user(email, "P", Role.MEMBER, None, now_us).user_id
            store.set_password(user_id, "not a hash", now_us)
            yield "{user_id}", user_id
        if "{invitation_id}" in path:
            asked = {"email": f"invited-{number}@acme.com", "mail": False}
            invited = console.send("POST", "/api/v1/invitations", asked, headers=admin)
            assert invited.status == 201, invited.text
            yield "{invitation_id}", invited.json()["id"]
        yield "{key_id}", issue_key(console.folder, "root@acme.com").record.key.key_id
        key = AlertKey("budget", budget["id"], "", now_us, 8_000)
        alert = Alert(
            *(f"alert-{number}", key, AlertState.FIRED, now_us + 1, 80, 100, "b", "80 %"),
            *(now_us, now_us),
        )
        store.add_alert(alert)
        yield "{alert_id}", alert.alert_id


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_console(tmp_path_factory.mktemp("audit")) as console:
        yield Desk(console)


def after(console: RunningConsole, seq: int) -> list[AuditEntry]:
    return list(audit.entries(console.store, seq))


def test_every_route_that_changes_something_is_walked_or_reviewed() -> None:
    changing = {f"{route.method} {route.path}" for route in ROUTES if route.method != "GET"}
    walked = {step.route for step in STEPS}
    assert changing - walked - set(EXCEPTIONS) - set(ELSEWHERE) == set()
    assert (walked | set(EXCEPTIONS) | set(ELSEWHERE)) - changing == set()


@pytest.mark.parametrize("step", STEPS, ids=[step.route for step in STEPS])
def test_a_change_leaves_its_entry_with_who_did_it(desk: Desk, step: Step) -> None:
    console = desk.console
    console.session("admin")
    reply = desk.take(step)
    assert reply.status in {200, 201, 303}, (reply.status, reply.text[:2_000])
    assert "fault" not in reply.header("location")
    (entry,) = [entry for entry in after(console, 0)[-3:] if entry.action == step.action][-1:]
    assert entry.actor_kind in {"person", "key"}, entry
    assert entry.actor_id
    assert entry.address == "203.0.113.9"
    assert audit.verify(console.store).bad_seq is None


@pytest.mark.parametrize("step", WITH_FIELDS, ids=[step.route for step in WITH_FIELDS])
def test_a_field_that_there_is_not_changes_nothing(desk: Desk, step: Step) -> None:
    desk.console.session("admin")
    for name in ("created_by", "spend", "id"):
        reply = desk.take(step, **{name: "x"})
        assert (reply.status, reply.json()["code"]) == (422, "bad_question"), name
        assert desk.console.store.audit_head() == desk.ready


@pytest.mark.parametrize("route", [name for name in EXCEPTIONS if "test" not in name])
def test_a_route_that_only_looks_leaves_nothing(desk: Desk, route: str) -> None:
    console = desk.console
    session = console.session("admin")
    before = console.store.audit_head()
    path = route.partition(" ")[2]
    console.post(path, {"theme": "dark", "tz": "UTC", **BUDGET}, session)
    assert console.store.audit_head() == before


def test_whoever_signs_in_and_out_is_recorded(desk: Desk) -> None:
    console = desk.console
    before = console.store.audit_head().seq
    session = console.sign_in("auditor")
    console.post("/logout", {}, session)
    actions = [(entry.action, entry.actor_name) for entry in after(console, before)]
    assert actions[1:] == [
        ("session.begin", "audrey@acme.com"),
        ("session.end", "audrey@acme.com"),
    ]
    assert {entry.address for entry in after(console, before)[1:]} == {"203.0.113.9"}


def test_what_fails_to_sign_in_is_counted_and_recorded_once(desk: Desk) -> None:
    console = desk.console
    before = console.store.audit_head().seq
    for _ in range(3):
        console.post("/login", {"token": "A" * 43})
    console.send("GET", "/api/v1/users", headers={"authorization": "Bearer tk_admin_no"})
    console.get("/api/v1/users")  # brought nothing: no failed sign-in
    assert after(console, before) == []
    console.console.failed_sign_ins.record(console.store)
    (entry,) = after(console, before)
    assert entry.data["failures"] == {"link_rejected": 3, "key_malformed": 1}
    assert entry.data["addresses"] == ["203.0.113.9"]
    assert "A" * 43 not in repr(entry)


@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/usage?format=csv&group_by=team", "/calls?format=csv"),
        *("/settings/audit?format=csv", "/explore?format=csv"),
    ],
)
def test_what_is_taken_away_is_recorded(desk: Desk, path: str) -> None:
    console = desk.console
    session = console.session("auditor")
    before = console.store.audit_head().seq
    assert console.get(path, session).status == 200
    (entry,) = after(console, before)
    assert (entry.action, entry.actor_name) == ("data.export", "audrey@acme.com")
    assert entry.data["path"] == path.partition("?")[0]
    console.get(path.replace("format=csv", "format=json"), session)
    assert console.store.audit_head().seq == before + 1


def test_the_command_line_through_the_server_is_recorded_as_such(desk: Desk) -> None:
    console = desk.console
    reply = console.send(
        *("POST", "/api/v1/limits", {"name": "cli", "scope": "key", "parallel": 5}),
        headers={OPERATOR_HEADER: OPERATOR_TOKEN},
        direct=True,
    )
    assert reply.status == 201
    entry = after(console, 0)[-1]
    assert (entry.action, entry.actor_kind, entry.address) == (
        *("rate_limit.set", "command line", ""),
    )


def test_a_link_that_is_no_good_is_not_kept(desk: Desk) -> None:
    store, vault = desk.console.store, desk.console.vault
    link = sign_in.make_link(store, vault, desk.console.users["lead"], desk.console.now_us)
    token = link.path.removeprefix(sign_in.LINK_PATH)
    assert token not in repr(after(desk.console, 0))
