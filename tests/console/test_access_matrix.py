"""Every route of the table, asked for by every kind of caller: who gets in stands below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from budget_desks import budget
from consoles import OPERATOR_TOKEN, PEOPLE, Reply, RunningConsole, Session, running_console
from stores import issue_key
from tollkeeper.console.access import FORM_HEADER, OPERATOR_HEADER
from tollkeeper.console.attempts import Attempts
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.routes import ROUTES, Route
from tollkeeper.console.static_files import PREFIX
from tollkeeper.domain.access import Role
from tollkeeper.domain.alerts import Alert, AlertKey, AlertState
from tollkeeper.domain.budget_raises import BudgetRaise, BudgetRequest, RaiseKind
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.price_rules import PriceRule, StoredRule
from tollkeeper.domain.rate_limits import RateRule, StoredRateRule
from tollkeeper.services import invitations, sign_in

# + gets in · s is sent to sign in · 1 is 401 · 3 is 403 · 4 is 404, as if there were nothing.
# Whoever has a SCIM token is in test_scim_access.py.
# No provider of single sign-on is configured here; test_sign_on.py has one.
CALLERS = (
    *("nobody", "member", "lead", "finance", "auditor", "admin"),
    *("virtual key", "admin key", "command line", "command line from elsewhere", "this machine"),
)
GOLDEN = """
POST   /team/new                  1 3 3 3 3 + 3 + + 1 1
GET    /team/info                 1 3 3 3 3 + 3 + + 1 1
POST   /user/new                  1 3 3 3 3 + 3 + + 1 1
GET    /user/info                 1 3 3 3 3 + 3 + + 1 1
POST   /key/generate              1 3 3 3 3 + 3 + + 1 1
GET    /key/info                  1 3 3 3 3 + 3 + + 1 1
POST   /key/delete                1 3 3 3 3 + 3 + + 1 1
POST   /budget/new                1 3 3 3 3 + 3 + + 1 1
GET    /spend/logs                1 3 3 3 3 + 3 + + 1 1
GET    /global/spend/report       1 3 3 3 3 + 3 + + 1 1
GET    /                          s + + + + + s s s s s
GET    /explore                   s + + + + + s s s s s
GET    /calls                     s + + + + + s s s s s
GET    /calls/{call_id}           s + + + + + s s s s s
GET    /models                    s + + + + + s s s s s
POST   /models/rules              s 3 3 + 3 + s s s s s
POST   /models/rules/{rule_id}/end s 3 3 + 3 + s s s s s
GET    /keys                      s + + + + + s s s s s
POST   /keys                      s + + 3 3 + s s s s s
POST   /keys/{key_id}/change      s + + 3 3 + s s s s s
POST   /keys/{key_id}/revoke      s + + 3 3 + s s s s s
POST   /keys/{key_id}/rotate      s + + 3 3 + s s s s s
GET    /adoption                  s 3 + + + + s s s s s
GET    /savings                   s + + + + + s s s s s
GET    /alerts                    s 3 3 + + + s s s s s
POST   /alerts/{alert_id}/acknowledge s 3 3 + 3 + s s s s s
POST   /alerts/channels/{channel}/test s 3 3 3 3 + s s s s s
GET    /settings                  s 3 3 3 + + s s s s s
GET    /settings/audit            s 3 3 3 + + s s s s s
POST   /unmask                    s 3 3 3 + + s s s s s
POST   /mask                      s 3 3 3 + + s s s s s
GET    /why                       s + + + + + s s s s s
GET    /budgets/ask               s + + + + + s s s s s
POST   /budgets/ask               s + + + + + s s s s s
POST   /budgets/ask/overdraft     s 3 3 + 3 + s s s s s
GET    /budgets/requests          s + + + + + s s s s s
GET    /budgets/requests/{request_id} s + 4 + + + s s s s s
POST   /budgets/requests/{request_id}/approve s 3 4 + 3 + s s s s s
POST   /budgets/requests/{request_id}/decline s 3 4 + 3 + s s s s s
POST   /budgets/raises/{raise_id}/end s 3 4 + 3 + s s s s s
GET    /people                    s + + + + + s s s s s
POST   /people/teams              s 3 3 3 3 + s s s s s
POST   /people/teams/{team_id}    s 3 3 3 3 + s s s s s
POST   /people/users              s 3 3 3 3 + s s s s s
POST   /people/users/{user_id}    s 3 3 3 3 + s s s s s
POST   /people/users/{user_id}/end-password s 3 3 3 3 + s s s s s
GET    /people/import             s 3 3 3 3 + s s s s s
POST   /people/import             s 3 3 3 3 + s s s s s
GET    /statements                s 3 + + + + s s s s s
GET    /statements/{month}        s 3 + + + + s s s s s
GET    /statements/{month}/{team:path} s 3 + + + + s s s s s
POST   /statements/{month}/close  s 3 3 + 3 + s s s s s
POST   /people/invitations        s 3 + 3 3 + s s s s s
POST   /people/invitations/{invitation_id}/resend s 3 4 3 3 + s s s s s
POST   /people/invitations/{invitation_id}/revoke s 3 4 3 3 + s s s s s
GET    /join                      4 4 4 4 4 4 4 4 4 4 4
POST   /join                      + + + + + + + + + + +
GET    /me                        1 + + + + + + 3 1 1 1
GET    /k/{path_key}/me           + + + + + + + + + + +
GET    /events                    1 + + + + + 1 1 1 1 1
GET    /login                     + + + + + + + + + + +
POST   /login                     + + + + + + + + + + +
POST   /login/password            + + + + + + + + + + +
GET    /login/oidc/{provider}     4 4 4 4 4 4 4 4 4 4 4
GET    /login/oidc/{provider}/callback 4 4 4 4 4 4 4 4 4 4 4
GET    /login/oidc/{provider}/logout 4 4 4 4 4 4 4 4 4 4 4
POST   /logout                    s + + + + + s s s s s
POST   /theme                     + + + + + + + + + + +
POST   /zone                      + + + + + + + + + + +
GET    /account                   s + + + + + s s s s s
POST   /account/password          s + + + + + s s s s s
POST   /account/sessions/end      s + + + + + s s s s s
POST   /account/sessions/{session_id}/end s + + + + + s s s s s
GET    /budgets                   s + + + + + s s s s s
POST   /budgets                   s 3 3 + 3 + s s s s s
POST   /budgets/try               s 3 3 + 3 + s s s s s
GET    /budget/{budget_id}        s + + + + + s s s s s
POST   /budget/{budget_id}        s 3 3 + 3 + s s s s s
POST   /budget/{budget_id}/end    s 3 3 + 3 + s s s s s
POST   /budget/{budget_id}/top-up s 3 3 + 3 + s s s s s
GET    /api/v1/usage              1 + + + + + 3 + + 1 1
GET    /api/v1/calls              1 + + + + + 3 + + 1 1
GET    /api/v1/calls/{call_id}    1 + + + + + 3 + + 1 1
POST   /api/v1/prices/reprice     1 3 3 3 3 + 3 + + 1 1
GET    /api/v1/prices/rules       1 3 3 + + + 3 + + 1 1
POST   /api/v1/prices/rules       1 3 3 + 3 + 3 + + 1 1
DELETE /api/v1/prices/rules/{rule_id} 1 3 3 + 3 + 3 + + 1 1
GET    /api/v1/limits             1 3 3 3 + + 3 + + 1 1
POST   /api/v1/limits             1 3 3 3 3 + 3 + + 1 1
DELETE /api/v1/limits/{limit_id}  1 3 3 3 3 + 3 + + 1 1
GET    /api/v1/budgets/requests   1 + + + + + 3 + + 1 1
POST   /api/v1/budgets/requests   1 + + + + + + 3 1 1 1
GET    /api/v1/budgets/requests/{request_id} 1 + 4 + + + 3 + + 1 1
POST   /api/v1/budgets/requests/{request_id}/approve 1 3 4 + 3 + 3 + + 1 1
POST   /api/v1/budgets/requests/{request_id}/decline 1 3 4 + 3 + 3 + + 1 1
GET    /api/v1/budgets/{budget_id}/raises 1 + + + + + 3 + + 1 1
POST   /api/v1/budgets/raises/{raise_id}/end 1 3 4 + 3 + 3 + + 1 1
POST   /api/v1/budgets/{budget_id}/overdraft 1 3 3 + 3 + 3 + + 1 1
POST   /api/v1/budgets/{budget_id}/overdraft/allow 1 3 3 3 3 + 3 + + 1 1
GET    /api/v1/budgets            1 + + + + + 3 + + 1 1
POST   /api/v1/budgets            1 3 3 + 3 + 3 + + 1 1
POST   /api/v1/budget-replays     1 3 3 + + + 3 + + 1 1
GET    /api/v1/budgets/{budget_id} 1 + + + + + 3 + + 1 1
POST   /api/v1/budgets/{budget_id} 1 3 3 + 3 + 3 + + 1 1
DELETE /api/v1/budgets/{budget_id} 1 3 3 + 3 + 3 + + 1 1
POST   /api/v1/budgets/{budget_id}/top-up 1 3 3 + 3 + 3 + + 1 1
GET    /api/v1/adoption           1 3 + + + + 3 + + 1 1
GET    /api/v1/digest             1 3 + + + + 3 + + 1 1
GET    /api/v1/savings            1 + + + + + 3 + + 1 1
GET    /api/v1/alerts             1 3 3 + + + 3 + + 1 1
POST   /api/v1/alerts/{alert_id}/acknowledge 1 3 3 + 3 + 3 + + 1 1
GET    /api/v1/alerts/channels    1 3 3 + + + 3 + + 1 1
POST   /api/v1/alerts/channels/{channel}/test 1 3 3 3 3 + 3 + + 1 1
GET    /api/v1/alerts/deliveries  1 3 3 + + + 3 + + 1 1
GET    /api/v1/alerts/rules       1 3 3 + + + 3 + + 1 1
GET    /api/v1/audit              1 3 3 3 + + 3 + + 1 1
GET    /api/v1/forecast           1 + + + + + 3 + + 1 1
GET    /api/v1/changes            1 + + + + + 3 + + 1 1
GET    /api/v1/keys               1 + + + + + 3 + + 1 1
POST   /api/v1/keys               1 + + 3 3 + 3 + + 1 1
GET    /api/v1/keys/{key_id}      1 + + + + + 3 + + 1 1
POST   /api/v1/keys/{key_id}      1 + + 3 3 + 3 + + 1 1
POST   /api/v1/keys/{key_id}/rotate 1 + + 3 3 + 3 + + 1 1
DELETE /api/v1/keys/{key_id}      1 + + 3 3 + 3 + + 1 1
GET    /api/v1/teams              1 + + + + + 3 + + 1 1
POST   /api/v1/teams              1 3 3 3 3 + 3 + + 1 1
POST   /api/v1/teams/{team_id}    1 3 3 3 3 + 3 + + 1 1
GET    /api/v1/users              1 + + + + + 3 + + 1 1
POST   /api/v1/users              1 3 3 3 3 + 3 + + 1 1
POST   /api/v1/users/{user_id}    1 3 3 3 3 + 3 + + 1 1
DELETE /api/v1/users/{user_id}/password 1 3 3 3 3 + 3 + + 1 1
GET    /api/v1/statements         1 3 + + + + 3 + + 1 1
GET    /api/v1/statements/{month} 1 3 + + + + 3 + + 1 1
GET    /api/v1/statements/{month}/{team:path} 1 3 + + + + 3 + + 1 1
POST   /api/v1/statements/{month}/close 1 3 3 + 3 + 3 + + 1 1
GET    /api/v1/invitations        1 3 + 3 3 + 3 + + 1 1
POST   /api/v1/invitations        1 3 + 3 3 + 3 + + 1 1
POST   /api/v1/invitations/{invitation_id}/resend 1 3 4 3 3 + 3 + + 1 1
DELETE /api/v1/invitations/{invitation_id} 1 3 4 3 3 + 3 + + 1 1
GET    /api/v1/me                 1 + + + + + + 3 1 1 1
GET    /api/v1/openapi.json       + + + + + + + + + + +
GET    /scim/v2/ServiceProviderConfig 1 1 1 1 1 1 1 1 1 1 1
GET    /scim/v2/ResourceTypes 1 1 1 1 1 1 1 1 1 1 1
GET    /scim/v2/ResourceTypes/{name} 1 1 1 1 1 1 1 1 1 1 1
GET    /scim/v2/Schemas 1 1 1 1 1 1 1 1 1 1 1
GET    /scim/v2/Schemas/{urn} 1 1 1 1 1 1 1 1 1 1 1
GET    /scim/v2/Users 1 1 1 1 1 1 1 1 1 1 1
POST   /scim/v2/Users 1 1 1 1 1 1 1 1 1 1 1
GET    /scim/v2/Users/{user_id} 1 1 1 1 1 1 1 1 1 1 1
PUT    /scim/v2/Users/{user_id} 1 1 1 1 1 1 1 1 1 1 1
PATCH  /scim/v2/Users/{user_id} 1 1 1 1 1 1 1 1 1 1 1
DELETE /scim/v2/Users/{user_id} 1 1 1 1 1 1 1 1 1 1 1
GET    /scim/v2/Groups 1 1 1 1 1 1 1 1 1 1 1
POST   /scim/v2/Groups 1 1 1 1 1 1 1 1 1 1 1
GET    /scim/v2/Groups/{team_id} 1 1 1 1 1 1 1 1 1 1 1
PUT    /scim/v2/Groups/{team_id} 1 1 1 1 1 1 1 1 1 1 1
PATCH  /scim/v2/Groups/{team_id} 1 1 1 1 1 1 1 1 1 1 1
DELETE /scim/v2/Groups/{team_id} 1 1 1 1 1 1 1 1 1 1 1
GET    /static/{name:path}        + + + + + + + + + + +
GET    /favicon.ico               + + + + + + + + + + +
GET    /internal/metrics          4 4 4 4 4 4 4 4 + 4 +
GET    /internal/health           4 4 4 4 4 4 4 4 + 4 +
"""
EXPECTED = {
    (line.split()[0], line.split()[1]): dict(zip(CALLERS, line.split()[2:], strict=True))
    for line in GOLDEN.strip().splitlines()
}
_FIELDS = b"name=k&theme=dark&budget=budget"
_QUERIES = {"/budgets/ask": "?budget=budget"}
_BODIES: Mapping[str, object] = {
    "/api/v1/budgets/requests": {"budget": "budget", "amount": "1 USD", "reason": "a reason"},
    "/api/v1/budgets/requests/{request_id}/approve": {},
    "/api/v1/budgets/requests/{request_id}/decline": {},
    "/api/v1/budgets/raises/{raise_id}/end": {},
    "/api/v1/invitations": {"email": "new@acme.com", "team": "core"},
    "/api/v1/teams": {"name": "core"},
    "/api/v1/teams/{team_id}": {},
    "/api/v1/users": {"email": "alice@acme.com"},
    "/api/v1/users/{user_id}": {},
    "/api/v1/budgets/{budget_id}/overdraft": {},
    "/api/v1/keys/{key_id}": {"name": "k"},
    "/api/v1/keys/{key_id}/rotate": {"overlap_s": 0},
    "/api/v1/budgets/{budget_id}/overdraft/allow": {"amount": "none"},
}
CASES = [(route, caller) for route in ROUTES for caller in CALLERS]


class Callers:
    """Everybody who may ask, ready to ask."""

    def __init__(self, console: RunningConsole) -> None:
        self.console = console
        self._revoked = issue_key(console.folder, "alice@acme.com").record.key.key_id
        self._rule = "rule"
        self._budget = "budget"
        console.store.add_budget(budget(self._budget), console.now_us, "alice")
        rule = PriceRule("r", discount_bp=1)
        console.store.add_price_rule(StoredRule(self._rule, rule, console.now_us, "alice"))
        self._sessions: dict[str, Session] = {}
        self._request = self._asked_by_alice()
        self._raise = self._taken()

    def _taken(self) -> str:
        until_us, now_us = self.console.now_us + 60_000_000, self.console.now_us
        taken = BudgetRaise(
            *("raise", self._budget, "", 1, now_us, until_us, RaiseKind.OVERDRAFT, now_us, "root"),
            window_start_us=0,
        )
        self.console.store.add_overdraft(taken)
        return taken.raise_id

    def _asked_by_alice(self) -> str:
        until_us, alice = self.console.now_us + 60_000_000, self.console.users["member"]
        asked = BudgetRequest(
            *("request", self._budget, "", 1, until_us, "a reason", self.console.now_us),
            *(alice.email, alice.user_id),
        )
        self.console.store.add_budget_request(asked)
        return asked.request_id

    def headers(self, caller: str, *, fresh: bool) -> dict[str, str]:
        """Give what a caller sends about itself; a fresh session where this one will end."""
        if caller in PEOPLE:
            if fresh or caller not in self._sessions:
                self._sessions[caller] = self.console.sign_in(caller)
            session = self._sessions.pop(caller) if fresh else self._sessions[caller]
            return session.headers | {FORM_HEADER: session.form_token}
        return {
            "virtual key": {"authorization": f"Bearer {self.console.virtual_key.token}"},
            "admin key": self.console.as_admin_key,
            "command line": {OPERATOR_HEADER: OPERATOR_TOKEN},
            "command line from elsewhere": {OPERATOR_HEADER: OPERATOR_TOKEN},
        }.get(caller, {})

    def ask(self, route: Route, caller: str) -> Reply:
        """Ask for a route with everything that it takes."""
        fresh = route.path == "/logout" or route.path.startswith("/account/")
        # Callers share an address, and whoever brings no good link counts against it.
        object.__setattr__(self.console.console, "attempts", Attempts())
        headers = self.headers(caller, fresh=fresh)
        direct = caller in {"command line", "this machine"}
        target = route.path
        for name, value in self.places().items():
            target = target.replace(name, value)
        target = target.replace("{session_id}", self._session_id(headers))
        if route.kind is Kind.FORM:
            headers["content-type"] = "application/x-www-form-urlencoded"
            return self.console.ask(
                route.method, target, headers=headers, body=_FIELDS, direct=direct
            )
        usual = {"name": "k", "user": "alice@acme.com"} if route.method == "POST" else None
        data = _BODIES.get(route.path, usual)
        target += _QUERIES.get(route.path, "")
        return self.console.send(route.method, target, data, headers=headers, direct=direct)

    def _session_id(self, headers: Mapping[str, str]) -> str:
        """Give what the session of whoever asks is called."""
        cookie = headers.get("cookie", "").partition("=")[2]
        store, vault, now_us = self.console.store, self.console.vault, self.console.now_us
        found = sign_in.visit(store, vault, cookie, now_us)
        return "none" if found is None else sign_in.session_id(vault, found.session)

    def _alert(self) -> str:
        key = AlertKey("budget", self._budget, "", self.console.now_us, 8_000)
        fired_us = self.console.now_us
        made = Alert(
            *("alert", key, AlertState.FIRED, fired_us + 1, 80, 100, "b", "80 %"),
            *(fired_us, fired_us),
        )
        self.console.store.add_alert(made)  # the first time
        return made.alert_id

    def _invitation(self) -> str:
        console = self.console
        made = invitations.invite(
            *(console.store, console.vault, invitations.OPERATOR, "late@acme.com"),
            *(Role.FINANCE, "", console.now_us),
        )
        return made.invitation.invitation_id

    def places(self) -> Mapping[str, str]:
        """Give what stands for each part of a path that varies; each of them is there."""
        limit = RateRule("limit", "l", BudgetScope.KEY, parallel=1)  # one that is there each time
        self.console.store.set_rate_rule(StoredRateRule(limit, self.console.now_us, "alice"))
        return {
            "{limit_id}": limit.rule_id,
            "{budget_id}": self._budget,
            "{call_id}": "call-alice",
            "{key_id}": self._revoked,
            "{rule_id}": self._rule,
            "{request_id}": self._request,
            "{raise_id}": self._raise,
            "{alert_id}": self._alert(),
            "{channel}": "ops",
            "{invitation_id}": self._invitation(),
            "{team_id}": next(each.team_id for each in self.console.store.teams()),
            "{user_id}": self.console.users["other member"].user_id,
            "{path_key}": self.console.other_key.token,
            "{month}": "2026-09",
            "{team:path}": "core",
            "{name:path}": self.console.console.static.address("app.css").removeprefix(PREFIX),
        }


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    with running_console(tmp_path_factory.mktemp("matrix")) as console:
        console.load(console.entry_of("member", entry_id="call-alice", call_id="call-alice"))
        yield Callers(console)


def test_every_route_stands_in_the_golden_table() -> None:
    assert [(route.method, route.path) for route in ROUTES] == list(EXPECTED)


@pytest.mark.parametrize(
    ("route", "caller"), CASES, ids=[f"{r.method} {r.path} by {c}" for r, c in CASES]
)
def test_who_gets_in(callers: Callers, route: Route, caller: str) -> None:
    reply = callers.ask(route, caller)
    assert _outcome(reply) == EXPECTED[route.method, route.path][caller], reply


@pytest.mark.parametrize("caller", ["nobody", "member"])
def test_head_opens_no_more_than_get(callers: Callers, caller: str) -> None:
    for route in ROUTES:
        if route.method == "GET":
            reply = callers.ask(route._replace(method="HEAD"), caller)
            assert reply.body == b""
            if route.kind is not Kind.FORM and reply.status != 401:  # why is in the body
                expected = EXPECTED["GET", route.path][caller]
                assert _outcome(reply) == expected, (route.path, reply)


def test_no_get_changes_anything(callers: Callers) -> None:
    """Also where one asks for it as a form of the same address would be sent."""
    store = callers.console.store
    session = callers.console.sign_in("admin")
    places = callers.places()
    before = (store.revision(), store.audit_head())
    for path in dict.fromkeys(route.path for route in ROUTES):
        target = path
        for name, value in places.items():
            target = target.replace(name, value)
        callers.console.get(f"{target}?{_FIELDS.decode()}", session)
        callers.console.get(target, session, x_http_method_override="POST")
        assert (store.revision(), store.audit_head()) == before, path


def _outcome(reply: Reply) -> str:
    to = reply.header("location")
    if reply.status == 303 and to.startswith("/login") and "signed_out" not in to:
        return "s"
    refused: dict[int, str] = {401: "1", 403: "3"}
    if reply.status == 401 and _code(reply) in {"link_rejected", "password_rejected"}:
        return "+"  # the form was read; what it said was no good link or password
    if reply.status == 404:
        return "4"
    assert reply.status < 500, reply
    return refused.get(reply.status, "+")


def _code(reply: Reply) -> Any:
    if "json" in reply.header("content-type"):
        return reply.json().get("code")
    if b"the password is not right" in reply.body:
        return "password_rejected"
    refused = (b"sign-in link", b"this invitation is used")
    return "link_rejected" if any(each in reply.body.lower() for each in refused) else ""
