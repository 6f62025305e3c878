"""The one table of what the console answers: each path with who may ask for it, and who answers.

A route that is not here does not exist, and none can be here without saying who may ask and
what bounds its answer: ``require_complete`` refuses to start otherwise. The tests walk this
table with every kind of caller.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Final

from tollkeeper.console import (
    account_routes,
    adoption_routes,
    alert_routes,
    audit_routes,
    budget_request_routes,
    digest_routes,
    events,
    internal,
    invitation_routes,
    me,
    outlook_routes,
    people_routes,
    savings_routes,
    sessions,
    sign_on,
    statement_routes,
)
from tollkeeper.console.access import Access, Auth, cookie_name
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api import budgets as budgets_api
from tollkeeper.console.api import calls as calls_api
from tollkeeper.console.api import keys as keys_api
from tollkeeper.console.api import price_rules as price_rules_api
from tollkeeper.console.api import rate_limits as rate_limits_api
from tollkeeper.console.api import repricing as repricing_api
from tollkeeper.console.api import usage as usage_api
from tollkeeper.console.api.openapi import Described, openapi
from tollkeeper.console.api.reading import check_names
from tollkeeper.console.budget_routes import PAGES as BUDGET_PAGES
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.litellm.routes import LITELLM
from tollkeeper.console.pages import call, calls, explore, keys, models, overview, sign_in
from tollkeeper.console.route import Route, Tenant, api_delete, api_get, api_post, form_at, page_at
from tollkeeper.console.scim.routes import SCIM
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role

EVERYBODY: Final = frozenset(Role)
ISSUERS: Final = frozenset({Role.MEMBER, Role.LEAD, Role.ADMIN})
"""Roles that issue and revoke keys; the others look on."""

ADMINS: Final = frozenset({Role.ADMIN})
"""The role that changes what the whole organisation sees."""

OVERSEERS: Final = ADMINS | {Role.AUDITOR}
"""Roles that see how everybody is set up."""

NOBODY: Final = frozenset[Role]()
"""For routes that ask for no role, because they ask for no session either."""


def _sign_in(console: Console, access: Access, question: Question) -> Answer:
    """Show how to sign in."""
    return sign_in.sign_in(console, access.viewer, question.query)


def _description(console: Console, access: Access, question: Question) -> Answer:
    """Describe this API (OpenAPI 3.1)."""
    check_names(question.query, ())
    described = [Described(each.method, each.path, each.auth, each.handler) for each in API]
    return Document(openapi(described, console.public_url, cookie_name(console)))


PAGES: Final = (
    page_at("/", EVERYBODY, Tenant.SCOPE, overview.overview),
    page_at("/explore", EVERYBODY, Tenant.SCOPE, explore.explore),
    page_at("/calls", EVERYBODY, Tenant.SCOPE, calls.calls),
    page_at("/calls/{call_id}", EVERYBODY, Tenant.SCOPE, call.call),
    page_at("/models", EVERYBODY, Tenant.SCOPE, models.models),
    form_at("/models/rules", models.BUYERS, Tenant.ORG, models.make_rule),
    form_at("/models/rules/{rule_id}/end", models.BUYERS, Tenant.ORG, models.end_rule),
    page_at("/keys", EVERYBODY, Tenant.REACH, keys.keys),
    form_at("/keys", ISSUERS, Tenant.REACH, keys.issue_key),
    form_at("/keys/{key_id}/change", ISSUERS, Tenant.REACH, keys.change_key),
    form_at("/keys/{key_id}/revoke", ISSUERS, Tenant.REACH, keys.revoke_key),
    form_at("/keys/{key_id}/rotate", ISSUERS, Tenant.REACH, keys.rotate_key),
    *adoption_routes.PAGES,
    *savings_routes.PAGES,
    *alert_routes.PAGES,
    *audit_routes.PAGES,
    *outlook_routes.PAGES,
    *budget_request_routes.PAGES,
    *people_routes.PAGES,
    *statement_routes.PAGES,
    *invitation_routes.PAGES,
    Route("GET", "/me", Kind.PAGE, Auth.KEY_OR_SESSION, EVERYBODY, Tenant.OWN, me.me),
    Route("GET", "/k/{path_key}/me", Kind.PAGE, Auth.KEY_OR_SESSION, EVERYBODY, Tenant.OWN, me.me),
    Route("GET", "/events", Kind.API, Auth.SESSION, EVERYBODY, Tenant.SCOPE, events.events),
    Route("GET", "/login", Kind.PAGE, Auth.PUBLIC, NOBODY, Tenant.NOTHING, _sign_in),
    Route("POST", "/login", Kind.FORM, Auth.PUBLIC_FORM, NOBODY, Tenant.OWN, sessions.sign_in),
    *account_routes.SIGN_IN,
    Route(
        *("GET", "/login/oidc/{provider}", Kind.PAGE, Auth.PUBLIC),
        *(NOBODY, Tenant.NOTHING, sign_on.begin),
    ),
    Route(
        *("GET", "/login/oidc/{provider}/callback", Kind.PAGE, Auth.PUBLIC),
        *(NOBODY, Tenant.OWN, sign_on.finish),
    ),
    Route(
        *("GET", "/login/oidc/{provider}/logout", Kind.PAGE, Auth.PUBLIC),
        *(NOBODY, Tenant.NOTHING, sign_on.leave),
    ),
    Route(
        *("POST", "/logout", Kind.FORM, Auth.SESSION_FORM),
        *(EVERYBODY, Tenant.OWN, sessions.sign_out),
    ),
    Route("POST", "/theme", Kind.FORM, Auth.PUBLIC_FORM, NOBODY, Tenant.OWN, sessions.set_theme),
    Route("POST", "/zone", Kind.FORM, Auth.PUBLIC_FORM, NOBODY, Tenant.OWN, sessions.set_zone),
    *account_routes.PAGES,
    *BUDGET_PAGES,
)

API: Final = (
    api_get("/api/v1/usage", EVERYBODY, Tenant.SCOPE, usage_api.usage),
    api_get("/api/v1/calls", EVERYBODY, Tenant.SCOPE, calls_api.calls),
    api_get("/api/v1/calls/{call_id}", EVERYBODY, Tenant.SCOPE, calls_api.call),
    api_post("/api/v1/prices/reprice", ADMINS, Tenant.ORG, repricing_api.reprice),
    api_get("/api/v1/prices/rules", models.READERS, Tenant.ORG, price_rules_api.list_rules),
    api_post("/api/v1/prices/rules", models.BUYERS, Tenant.ORG, price_rules_api.make_rule),
    api_delete(
        "/api/v1/prices/rules/{rule_id}", models.BUYERS, Tenant.ORG, price_rules_api.end_rule
    ),
    api_get("/api/v1/limits", OVERSEERS, Tenant.ORG, rate_limits_api.list_limits),
    api_post("/api/v1/limits", ADMINS, Tenant.ORG, rate_limits_api.set_limit),
    api_delete("/api/v1/limits/{limit_id}", ADMINS, Tenant.ORG, rate_limits_api.remove_limit),
    *budget_request_routes.API,
    api_get("/api/v1/budgets", EVERYBODY, Tenant.SCOPE, budgets_api.list_budgets),
    api_post("/api/v1/budgets", budgets_api.KEEPERS, Tenant.ORG, budgets_api.make_budget),
    api_post("/api/v1/budget-replays", budgets_api.TRIERS, Tenant.ORG, budgets_api.replay_budget),
    api_get("/api/v1/budgets/{budget_id}", EVERYBODY, Tenant.SCOPE, budgets_api.get_budget),
    api_post(
        "/api/v1/budgets/{budget_id}", budgets_api.KEEPERS, Tenant.ORG, budgets_api.change_budget
    ),
    api_delete(
        "/api/v1/budgets/{budget_id}", budgets_api.KEEPERS, Tenant.ORG, budgets_api.end_budget
    ),
    api_post(
        "/api/v1/budgets/{budget_id}/top-up", budgets_api.KEEPERS, Tenant.ORG, budgets_api.top_up
    ),
    *adoption_routes.API,
    *digest_routes.API,
    *savings_routes.API,
    *alert_routes.API,
    *audit_routes.API,
    *outlook_routes.API,
    api_get("/api/v1/keys", EVERYBODY, Tenant.REACH, keys_api.list_keys),
    api_post("/api/v1/keys", ISSUERS, Tenant.REACH, keys_api.issue_key),
    api_get("/api/v1/keys/{key_id}", EVERYBODY, Tenant.REACH, keys_api.get_key),
    api_post("/api/v1/keys/{key_id}", ISSUERS, Tenant.REACH, keys_api.change_key),
    api_post("/api/v1/keys/{key_id}/rotate", ISSUERS, Tenant.REACH, keys_api.rotate_key),
    api_delete("/api/v1/keys/{key_id}", ISSUERS, Tenant.REACH, keys_api.revoke_key),
    *people_routes.API,
    *statement_routes.API,
    *invitation_routes.API,
    Route(
        *("GET", "/api/v1/me", Kind.API, Auth.KEY_OR_SESSION),
        *(EVERYBODY, Tenant.OWN, me.me_document),
    ),
    Route(
        *("GET", "/api/v1/openapi.json", Kind.API, Auth.PUBLIC),
        *(NOBODY, Tenant.NOTHING, _description),
    ),
)

OTHERS: Final = (
    Route(
        *("GET", "/static/{name:path}", Kind.PAGE, Auth.PUBLIC),
        *(NOBODY, Tenant.NOTHING, internal.static_file),
    ),
    Route("GET", "/favicon.ico", Kind.PAGE, Auth.PUBLIC, NOBODY, Tenant.NOTHING, internal.icon),
    Route(
        *("GET", "/internal/metrics", Kind.API, Auth.DIRECT),
        *(NOBODY, Tenant.MACHINE, internal.metrics),
    ),
    Route(
        *("GET", "/internal/health", Kind.API, Auth.DIRECT),
        *(NOBODY, Tenant.MACHINE, internal.health),
    ),
)

ROUTES: Final = (*LITELLM, *PAGES, *API, *SCIM, *OTHERS)

_ROLELESS: Final = frozenset({Auth.PUBLIC, Auth.PUBLIC_FORM, Auth.DIRECT, Auth.SCIM})
_FORMS: Final = frozenset({Auth.PUBLIC_FORM, Auth.SESSION_FORM})
_GUARDED: Final = _FORMS | {Auth.MANAGEMENT_WRITE, Auth.KEY_OR_SESSION_FORM}
_PATH: Final = re.compile(r"/|(?:/(?:[A-Za-z0-9_.-]+|\{[a-z_]+\}))*(?:/\{[a-z_]+:path\})?")
_READS: Final = "GET"
_SCIM_WRITES: Final = frozenset({"PUT", "PATCH"})
_WRITES: Final = frozenset({"POST", "DELETE"}) | _SCIM_WRITES


class IncompleteRoute(TypeError):
    """A line of the table that does not say everything, or contradicts itself."""


def require_complete(routes: Sequence[Route]) -> None:
    """Raise IncompleteRoute unless every route says all that must be known of it."""
    seen: set[tuple[str, str]] = set()
    for route in routes:
        fault = _fault(route)
        if not fault and (route.method, route.path) in seen:
            fault = "stands in the table twice"
        if fault:
            raise IncompleteRoute(f"{route.method} {route.path}: {fault}")
        seen.add((route.method, route.path))


def _fault(route: Route) -> str:
    """Say what is wrong with a route, "" if nothing is."""
    methods = _WRITES if route.kind is Kind.SCIM else _WRITES - _SCIM_WRITES
    if route.method != _READS and route.method not in methods:
        return "this method is not used here"
    if not _PATH.fullmatch(route.path):
        return "the path cannot be read"
    if bool(route.roles) == (route.auth in _ROLELESS):
        return "needs roles exactly where it needs somebody known"
    if not inspect.getdoc(route.handler):
        return "needs a handler that says what it does"
    return _fault_of_writes(route)


def _fault_of_writes(route: Route) -> str:
    """Say what is wrong with how a route is guarded against other sites' pages."""
    if (route.kind is Kind.SCIM) != (route.auth is Auth.SCIM):
        return "a SCIM token opens SCIM, and nothing else does"
    if route.auth is Auth.SCIM:
        return ""  # no browser sends such a token by itself
    if (route.method in _WRITES) != (route.auth in _GUARDED):
        return "what changes something needs a form's token or a key, and nothing else does"
    if (route.kind is Kind.FORM) != (route.auth in _FORMS):
        return "forms, and only they, are guarded as forms are"
    return ""


def is_on_loop(route: Route) -> bool:
    """Tell whether the handler makes its own response on the loop."""
    return inspect.iscoroutinefunction(route.handler)
