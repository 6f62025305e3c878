"""The API described for programs: OpenAPI 3.1, made from the table of routes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tollkeeper import __version__
from tollkeeper.console.access import FORM_HEADER, Auth
from tollkeeper.console.api import audit, calls, digest, keys, usage
from tollkeeper.console.api.adoption import FORMATS as ADOPTION_FORMATS
from tollkeeper.console.api.adoption import adoption_schemas
from tollkeeper.console.api.alert_schemas import alert_schemas
from tollkeeper.console.api.budget_schemas import budget_schemas
from tollkeeper.console.api.changes import FORMATS as CHANGES_FORMATS
from tollkeeper.console.api.changes import changes_schemas
from tollkeeper.console.api.forecast import forecast_schemas
from tollkeeper.console.api.people_schemas import people_schemas
from tollkeeper.console.api.reading import LIMIT, LIMIT_MAX, PAGING
from tollkeeper.console.api.savings import FORMATS as SAVINGS_FORMATS
from tollkeeper.console.api.savings import savings_schemas
from tollkeeper.console.api.schemas import COUNT, TEXT, Schema, components, named, page_of
from tollkeeper.console.api.statements import FORMATS as STATEMENT_FORMATS
from tollkeeper.console.api.statements import statement_schemas
from tollkeeper.console.problems import PROBLEM_TYPE
from tollkeeper.reports import parameters
from tollkeeper.reports.dimensions import COLUMNS, TIMES
from tollkeeper.reports.measures import MEASURES

JSON: Final = "application/json"
_CSV: Final = "text/csv"
_PARQUET: Final = "application/vnd.apache.parquet"
_PARAMETER: Final = re.compile(r"\{([a-z_]+)(?::path)?\}")


class Described(NamedTuple):
    """A route as this document needs it."""

    method: str
    path: str
    auth: Auth
    handler: object


class Operation(NamedTuple):
    """What the table does not say of a route. ``formats`` are answers besides JSON."""

    name: str
    query: Sequence[str]
    answer: Schema
    formats: Sequence[str] = ()
    body: str = ""
    status: int = 200
    headers: Sequence[str] = ()


OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("GET", "/api/v1/usage"): Operation(
        "usage", parameters.USAGE, named("Usage"), formats=(_CSV, _PARQUET)
    ),
    ("GET", "/api/v1/calls"): Operation(
        "listCalls", parameters.CALLS, page_of("calls", "CallRow"), formats=(_CSV,)
    ),
    ("GET", "/api/v1/calls/{call_id}"): Operation("getCall", (), named("Call")),
    ("POST", "/api/v1/prices/reprice"): Operation(
        "reprice", (), named("RepricingStep"), body="RepricingBody"
    ),
    ("GET", "/api/v1/prices/rules"): Operation(
        "listPriceRules", PAGING, page_of("rules", "PriceRule")
    ),
    ("POST", "/api/v1/prices/rules"): Operation(
        "makePriceRule", (), named("PriceRule"), body="NewPriceRuleBody", status=201
    ),
    ("DELETE", "/api/v1/prices/rules/{rule_id}"): Operation("endPriceRule", (), named("PriceRule")),
    ("GET", "/api/v1/limits"): Operation("listRateLimits", PAGING, page_of("limits", "RateLimit")),
    ("POST", "/api/v1/limits"): Operation(
        "setRateLimit", (), named("RateLimit"), body="RateLimitBody", status=201
    ),
    ("DELETE", "/api/v1/limits/{limit_id}"): Operation("removeRateLimit", (), named("RateLimit")),
    ("GET", "/api/v1/budgets"): Operation("listBudgets", PAGING, page_of("budgets", "Budget")),
    ("POST", "/api/v1/budgets"): Operation(
        *("makeBudget", (), named("Budget")),
        body="NewBudgetBody",
        status=201,
        headers=(keys.IDEMPOTENCY_KEY,),
    ),
    ("POST", "/api/v1/budget-replays"): Operation(
        "replayBudget", (), named("BudgetReplay"), body="ReplayBody"
    ),
    ("GET", "/api/v1/budgets/{budget_id}"): Operation("getBudget", (), named("Budget")),
    ("POST", "/api/v1/budgets/{budget_id}"): Operation(
        "changeBudget", (), named("Budget"), body="ChangedBudgetBody"
    ),
    ("DELETE", "/api/v1/budgets/{budget_id}"): Operation("endBudget", (), named("Budget")),
    ("POST", "/api/v1/budgets/{budget_id}/top-up"): Operation(
        "topUpBudget", (), named("Budget"), body="TopUpBody"
    ),
    ("GET", "/api/v1/adoption"): Operation(
        "adoption", parameters.ADOPTION, named("Adoption"), formats=(_CSV,)
    ),
    ("GET", "/api/v1/digest"): Operation("digest", digest.PARAMETERS, named("Digest")),
    ("GET", "/api/v1/forecast"): Operation("forecast", parameters.FORECAST, named("Forecast")),
    ("GET", "/api/v1/changes"): Operation(
        "changes", parameters.CHANGES, named("Changes"), formats=(_CSV,)
    ),
    ("GET", "/api/v1/savings"): Operation(
        "savings", parameters.SAVINGS, named("Savings"), formats=(_CSV,)
    ),
    ("GET", "/api/v1/statements"): Operation("listStatements", (), named("StatementMonths")),
    ("GET", "/api/v1/statements/{month}"): Operation(
        "getStatements", ("format",), named("Statement"), formats=(_CSV, _PARQUET)
    ),
    ("GET", "/api/v1/statements/{month}/{team:path}"): Operation(
        "getStatement", ("format",), named("Statement"), formats=(_CSV, _PARQUET)
    ),
    ("POST", "/api/v1/statements/{month}/close"): Operation("closeMonth", (), named("Statement")),
    ("GET", "/api/v1/audit"): Operation(
        "listAuditEntries", audit.PARAMETERS, page_of("entries", "AuditEntry")
    ),
    ("GET", "/api/v1/alerts"): Operation("listAlerts", PAGING, page_of("alerts", "Alert")),
    ("POST", "/api/v1/alerts/{alert_id}/acknowledge"): Operation(
        "acknowledgeAlert", (), named("Alert")
    ),
    ("GET", "/api/v1/alerts/channels"): Operation(
        "listChannels", PAGING, page_of("channels", "Channel")
    ),
    ("POST", "/api/v1/alerts/channels/{channel}/test"): Operation(
        "testChannel", (), named("DeliveryOutcome")
    ),
    ("GET", "/api/v1/alerts/deliveries"): Operation(
        "listDeliveries", PAGING, page_of("deliveries", "Delivery")
    ),
    ("GET", "/api/v1/alerts/rules"): Operation(
        "listAlertRules", PAGING, page_of("rules", "AlertRule")
    ),
    ("GET", "/api/v1/budgets/requests"): Operation(
        "listBudgetRequests", PAGING, page_of("requests", "BudgetRequest")
    ),
    ("POST", "/api/v1/budgets/requests"): Operation(
        *("askForMore", (), named("BudgetRequest")),
        body="AskBody",
        status=201,
        headers=(keys.IDEMPOTENCY_KEY,),
    ),
    ("GET", "/api/v1/budgets/requests/{request_id}"): Operation(
        "getBudgetRequest", (), named("BudgetRequest")
    ),
    ("POST", "/api/v1/budgets/requests/{request_id}/approve"): Operation(
        "approveBudgetRequest", (), named("BudgetRequest"), body="ApproveBody"
    ),
    ("POST", "/api/v1/budgets/requests/{request_id}/decline"): Operation(
        "declineBudgetRequest", (), named("BudgetRequest"), body="DeclineBody"
    ),
    ("GET", "/api/v1/budgets/{budget_id}/raises"): Operation(
        "listBudgetRaises", PAGING, page_of("raises", "BudgetRaise")
    ),
    ("POST", "/api/v1/budgets/raises/{raise_id}/end"): Operation(
        "endBudgetRaise", (), named("BudgetRaise"), body="EndRaiseBody"
    ),
    ("POST", "/api/v1/budgets/{budget_id}/overdraft"): Operation(
        "takeOverdraft", (), named("BudgetRaise"), body="OverdraftBody"
    ),
    ("POST", "/api/v1/budgets/{budget_id}/overdraft/allow"): Operation(
        "allowOverdraft", (), named("AllowedOverdraft"), body="AllowOverdraftBody"
    ),
    ("GET", "/api/v1/keys"): Operation("listKeys", PAGING, page_of("keys", "Key")),
    ("POST", "/api/v1/keys"): Operation(
        *("issueKey", (), named("IssuedKey")),
        body="NewKeyBody",
        status=201,
        headers=(keys.IDEMPOTENCY_KEY,),
    ),
    ("GET", "/api/v1/keys/{key_id}"): Operation("getKey", (), named("Key")),
    ("POST", "/api/v1/keys/{key_id}"): Operation(
        "changeKey", (), named("Key"), body="KeyChangeBody"
    ),
    ("POST", "/api/v1/keys/{key_id}/rotate"): Operation(
        *("rotateKey", (), named("IssuedKey")),
        body="RotationBody",
        headers=(keys.IDEMPOTENCY_KEY,),
    ),
    ("DELETE", "/api/v1/keys/{key_id}"): Operation("revokeKey", (), named("Key")),
    ("GET", "/api/v1/teams"): Operation("listTeams", PAGING, page_of("teams", "Team")),
    ("POST", "/api/v1/teams"): Operation(
        "addTeam", (), named("Team"), body="NewTeamBody", status=201
    ),
    ("POST", "/api/v1/teams/{team_id}"): Operation(
        "changeTeam", (), named("Team"), body="TeamBody"
    ),
    ("GET", "/api/v1/users"): Operation("listUsers", PAGING, page_of("users", "User")),
    ("GET", "/api/v1/invitations"): Operation(
        "listInvitations", PAGING, page_of("invitations", "Invitation")
    ),
    ("POST", "/api/v1/invitations"): Operation(
        "invite", (), named("MadeInvitation"), body="InvitationBody", status=201
    ),
    ("POST", "/api/v1/invitations/{invitation_id}/resend"): Operation(
        "resendInvitation", (), named("MadeInvitation")
    ),
    ("DELETE", "/api/v1/invitations/{invitation_id}"): Operation(
        "revokeInvitation", (), named("Invitation")
    ),
    ("POST", "/api/v1/users"): Operation(
        "addUser", (), named("User"), body="NewUserBody", status=201
    ),
    ("POST", "/api/v1/users/{user_id}"): Operation(
        "changeUser", (), named("User"), body="UserBody"
    ),
    ("DELETE", "/api/v1/users/{user_id}/password"): Operation("endPassword", (), named("User")),
    ("GET", "/api/v1/me"): Operation(
        *("me", ("tz", "format", "call"), named("Me")), formats=("text/plain",)
    ),
    ("GET", "/api/v1/openapi.json"): Operation("describe", (), {"type": "object"}),
}

_PERIODS: Final = "today, yesterday, week, month, last_month, year, or a number of h or d: 30d"
_QUERY: Final[Mapping[str, tuple[Schema, str]]] = {
    "metrics": (TEXT, f"What to sum up, with commas: {', '.join(MEASURES)}."),
    "group_by": (
        TEXT,
        f"With commas, at most four of: {', '.join((*TIMES, *COLUMNS))}, tag:<key>.",
    ),
    "period": (TEXT, f"A stretch that ends now: {_PERIODS}. Not together with from."),
    "from": (TEXT, "Beginning, a day or a time in ISO 8601; belongs to it."),
    "to": (TEXT, "End, a day (which belongs to it) or a time (which does not)."),
    "by": (TEXT, f"One of {', '.join(COLUMNS)}, tag:<key>."),
    "before_from": (TEXT, "Beginning of what is compared with; without it the period before."),
    "before_to": (TEXT, "End of what is compared with."),
    "tz": (TEXT, "IANA time zone in which days begin."),
    "filter": (TEXT, "dimension:value, several with commas: team:core,-model:gpt-4.1."),
    "order": (TEXT, "Names from metrics or group_by, with - before a name for descending."),
    "limit": ({"type": "integer", "minimum": 1}, "How many rows at most."),
    "cursor": (TEXT, "next_cursor of the page before."),
    "finished_after": (TEXT, "Only calls that ended after this moment, in ISO 8601."),
    "format": (TEXT, "How to answer."),
    "team": (TEXT, "This team alone."),
    "from_model": (TEXT, "Whose calls to move: provider/model, or provider/*; without it all."),
    "to_model": (TEXT, "The model to move them to: provider/model."),
    "week": (TEXT, "A week that is over, by ISO 8601: 2026-W47."),
    "actor": (TEXT, "Who did it: a name or an id, or a kind such as key."),
    "action": (TEXT, "What was done, such as key.issue, or its part before the dot."),
    "target_kind": (TEXT, "What kind of thing it was done to, such as budget."),
    "target": (TEXT, "The id of what it was done to."),
    "call": (TEXT, "A call's id: what it was attributed to, once it is in the ledger."),
}
_FORMATS: Final[Mapping[str, Sequence[str]]] = {
    "usage": usage.FORMATS,
    "listCalls": calls.FORMATS,
    "adoption": ADOPTION_FORMATS,
    "getStatements": STATEMENT_FORMATS,
    "getStatement": STATEMENT_FORMATS,
    "savings": SAVINGS_FORMATS,
    "changes": CHANGES_FORMATS,
    "me": ("json", "line"),
}
_SECURITY: Final[Mapping[Auth, list[dict[str, list[str]]]]] = {
    Auth.PUBLIC: [],
    Auth.MANAGEMENT: [{"adminKey": []}, {"session": []}],
    Auth.MANAGEMENT_WRITE: [{"adminKey": []}, {"session": [], "formToken": []}],
    Auth.KEY_OR_SESSION: [{"virtualKey": []}, {"session": []}],
    Auth.KEY_OR_SESSION_FORM: [{"virtualKey": []}, {"session": [], "formToken": []}],
}


def openapi(routes: Iterable[Described], address: str, cookie: str) -> dict[str, Any]:
    """Describe routes. ``address`` is where this deployment is, ``cookie`` its session's.

    Raises LookupError for a route of which ``OPERATIONS`` says nothing.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, OPERATIONS[route.method, route.path])
        path = route.path.replace(":path}", "}")
        paths.setdefault(path, {})[route.method.lower()] = operation
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollkeeper",
            "version": __version__,
            "description": "Who spent what, on which model, for which feature.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": address}],
        "paths": paths,
        "components": {
            "schemas": components()
            | people_schemas()
            | budget_schemas()
            | alert_schemas()
            | adoption_schemas()
            | statement_schemas()
            | savings_schemas()
            | changes_schemas()
            | forecast_schemas()
            | digest.digest_schemas()
            | audit.audit_schemas(),
            "securitySchemes": {
                "adminKey": {**bearer, "description": "A management key, tk_admin_…."},
                "virtualKey": {**bearer, "description": "A virtual key, tk_live_…."},
                "session": {"type": "apiKey", "in": "cookie", "name": cookie},
                "formToken": {"type": "apiKey", "in": "header", "name": FORM_HEADER},
            },
            "responses": {
                "Problem": {
                    "description": "Why it did not work (RFC 9457).",
                    "content": {PROBLEM_TYPE: {"schema": named("Problem")}},
                }
            },
        },
    }


def _operation(route: Described, operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {JSON: {"schema": operation.answer}}
    content |= {media_type: {} for media_type in operation.formats}
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": (inspect.getdoc(route.handler) or "").partition("\n")[0].rstrip("."),
        "security": _SECURITY[route.auth],
        "parameters": [
            *(_in_path(name) for name in _PARAMETER.findall(route.path)),
            *(_in_query(name, operation) for name in operation.query),
            *(_in_header(name) for name in operation.headers),
        ],
        "responses": {
            str(operation.status): {"description": "Done.", "content": content},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if operation.body:
        found["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": named(operation.body)}},
        }
    return found


def _in_path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": TEXT}


def _in_header(name: str) -> Schema:
    schema = {"type": "string", "minLength": 1, "maxLength": 255}
    text = "The same request may be sent again with the same text, and is done once."
    return {"name": name, "in": "header", "schema": schema, "description": text}


def _in_query(name: str, operation: Operation) -> Schema:
    schema, text = _QUERY[name]
    if name == "format":
        schema = {"enum": list(_FORMATS[operation.name])}
    elif operation.query is PAGING and name == "limit":
        schema = {**COUNT, "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT}
    return {"name": name, "in": "query", "schema": schema, "description": text}
