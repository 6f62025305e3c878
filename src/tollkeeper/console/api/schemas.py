"""Shapes of the API's answers as JSON Schema, derived from what the answers are made of."""

from __future__ import annotations

import types
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from tollkeeper.console.api import budget_requests
from tollkeeper.console.api.invitations import InvitationBody
from tollkeeper.console.api.keys import KeyChangeBody, NewKeyBody, RotationBody
from tollkeeper.console.api.people import BODIES as PEOPLE_BODIES
from tollkeeper.console.api.price_rules import NewPriceRuleBody
from tollkeeper.console.api.rate_limits import RateLimitBody
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.budget_raises import RaiseKind, RequestState
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.price_table import Standing
from tollkeeper.domain.rate_limits import SCOPES
from tollkeeper.reports import repricing
from tollkeeper.reports.answers import ATTRIBUTED
from tollkeeper.reports.call_rows import CallRow

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
MONEY: Final[Schema] = {
    "type": ["string", "null"],
    "pattern": r"^-?[0-9]+\.[0-9]{9}$",
    "description": "USD as a decimal string with nine digits; null when it is not known.",
}
_PRICE: Final[Schema] = {"type": ["string", "null"], "pattern": r"^-?[0-9]+\.[0-9]+$"}
_NULL: Final = type(None)
_PLAIN: Final[Mapping[type, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
}
_NANOS: Final = "_nanos"
_PLACE: Final = "#/components/schemas/"


def or_null(schema: Schema) -> Schema:
    """Give a schema of one type that takes null as well."""
    return {**schema, "type": [schema["type"], "null"]}


def listed(schema: Schema) -> Schema:
    """Give the schema of a list."""
    return {"type": "array", "items": schema}


def exactly(properties: Mapping[str, Schema]) -> Schema:
    """Give the schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def mapping(values: Schema) -> Schema:
    """Give the schema of an object whose properties are not known beforehand."""
    return {"type": "object", "additionalProperties": values}


def named(name: str) -> Schema:
    """Refer to a schema of ``components``."""
    return {"$ref": _PLACE + name}


def components() -> dict[str, Schema]:
    """Give all named schemas."""
    _, bodies = msgspec.json.schema_components(
        [
            *budget_requests.BODIES,
            *PEOPLE_BODIES,
            InvitationBody,
            NewKeyBody,
            KeyChangeBody,
            RotationBody,
            NewPriceRuleBody,
            RateLimitBody,
        ],
        ref_template=_PLACE + "{name}",
    )
    return {
        **bodies,
        "Problem": _problem(),
        "CallRow": _call_row(),
        "Call": _call(),
        "Entry": _entry(),
        "PriceLine": _price_line(),
        "Usage": _usage(),
        "RepricingBody": _repricing_body(),
        "RepricingStep": _repricing_step(),
        "PriceRule": _price_rule(),
        "RateLimit": _rate_limit(),
        "BudgetRequest": _budget_request(),
        "BudgetRaise": _budget_raise(),
        "AllowedOverdraft": exactly({"budget": TEXT, "overdraft": TEXT}),
        "Key": _key(),
        "IssuedKey": exactly({"key": TEXT, **_key()["properties"]}),
        "Me": _me(),
    }


def page_of(name: str, schema: str) -> Schema:
    """Give the schema of one page of a list."""
    return exactly({name: listed(named(schema)), "next_cursor": or_null(TEXT)})


def _budget_request() -> Schema:
    """A request for more of a budget; amounts are texts with their unit."""
    decision = {"by": TEXT, "at": TIME, "via": TEXT, "note": TEXT}
    given = {"amount": or_null(TEXT), "until": or_null(TIME)}
    return exactly(
        {
            "id": TEXT,
            "budget": exactly({"id": TEXT, "name": TEXT}),
            "for": TEXT,
            "amount": TEXT,
            "until": TIME,
            "reason": TEXT,
            "asked_by": TEXT,
            "asked_at": TIME,
            "state": {"enum": list(RequestState)},
            "decision": or_null(exactly(decision | given)),
        }
    )


def _budget_raise() -> Schema:
    """So much more for one row of a budget, for a time."""
    return exactly(
        {
            "id": TEXT,
            "budget": exactly({"id": TEXT, "name": TEXT}),
            "for": TEXT,
            "amount": TEXT,
            "from": TIME,
            "until": TIME,
            "kind": {"enum": list(RaiseKind)},
            "by": TEXT,
            "request": or_null(TEXT),
            "ended": or_null(exactly({"by": TEXT, "at": TIME, "via": TEXT, "note": TEXT})),
        }
    )


def state() -> Schema:
    return {"enum": ["active", "off"]}


def _problem() -> Schema:
    """RFC 9457, with a stable ``code``."""
    properties: dict[str, Schema] = {
        "type": {"type": "string", "format": "uri"},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "code": TEXT,
    }
    optional = {"remedy": TEXT, "parameter": TEXT, "request_id": TEXT}
    found = exactly(properties | optional)
    return {**found, "required": list(properties)}


def _of_hint(hint: Any) -> Schema:
    """Give the schema of a field by its type."""
    if get_origin(hint) in {Union, types.UnionType}:
        (inner,) = (each for each in get_args(hint) if each is not _NULL)
        return MONEY if inner is Decimal else or_null(_of_hint(inner))
    if get_origin(hint) is not None and issubclass(get_origin(hint), Mapping):
        return mapping(_of_hint(get_args(hint)[1]))
    return dict(_PLAIN[hint])


def _call_row() -> Schema:
    """One attempt at a call, as ``CallRow`` has it."""
    found = {name: _of_hint(hint) for name, hint in get_type_hints(CallRow).items()}
    del found["started_at_us"]
    return exactly({"call_id": found.pop("call_id"), "started_at": TIME, **found})


def _entry() -> Schema:
    """A ledger entry, by the names of its columns, with how its cost came about."""
    found: dict[str, Schema] = {}
    for name, hint in get_type_hints(LedgerEntry).items():
        if name.endswith(_NANOS):
            found[name.removesuffix(_NANOS) + "_usd"] = MONEY
        else:
            found[name] = _of_hint(hint)
    del found["started_at_us"], found["corrected_at_us"]
    return exactly(
        found
        | {
            "started_at": TIME,
            "corrected_at": or_null(TIME),
            "usage_raw": {"description": "The provider's own usage object, null without one."},
            "quantities": mapping({"type": "integer"}),
            "price_source": TEXT,
            "price_standing": {"enum": ["", *Standing]},
            "lines": listed(named("PriceLine")),
        }
    )


def _price_line() -> Schema:
    return exactly(
        {
            "quantity": TEXT,
            "count": COUNT,
            "priced_as": TEXT,
            "price_usd": _PRICE,
            "per": {"type": "integer", "minimum": 1},
            "cost_usd": _PRICE,
        }
    )


def _call() -> Schema:
    money = dict.fromkeys(("cost_usd", "list_cost_usd", "saved_usd"), MONEY)
    entries = {"entries": listed(named("Entry")), "omitted": COUNT}
    return exactly({"call_id": TEXT, **money, "unpriced": COUNT, **entries})


def _period() -> dict[str, Schema]:
    return {"name": TEXT, "from": TIME, "to": TIME, "tz": TEXT}


def _usage() -> Schema:
    value: Schema = {"type": ["string", "integer", "number", "boolean", "null"]}
    basis = exactly({"requests": COUNT, "cost_usd": MONEY, "list_cost_usd": MONEY, "tokens": COUNT})
    return exactly(
        {
            "period": exactly(_period()),
            "rows": listed(mapping(value)),
            "totals": mapping(value),
            "basis": mapping(basis),
            "truncated": {"type": "boolean"},
        }
    )


def _price_rule() -> Schema:
    return exactly(
        {
            **dict.fromkeys(("id", "name", "provider", "model", "team", "reason"), TEXT),
            "state": {"enum": ["active", "planned", "ended"]},
            "usd": mapping(TEXT),
            "discount_bp": {"type": "integer", "minimum": -10_000, "maximum": 10_000},
            **dict.fromkeys(("since", "until"), or_null(TIME)),
            "created_at": TIME,
            "created_by": TEXT,
        }
    )


_LIMITS: Final = ("requests_per_minute", "tokens_per_minute", "parallel")


def _own_limit() -> Schema:
    each: Schema = {"type": "boolean"}
    said = dict.fromkeys(("name", "models"), TEXT) | {"scope": {"enum": list(SCOPES)}, "each": each}
    said |= {"source": {"enum": ["file", "store"]}}
    used = or_null(exactly({"requests": COUNT, "tokens": COUNT}))
    return exactly(said | dict.fromkeys(_LIMITS, or_null(COUNT)) | {"last_minute": used})


def _rate_limit() -> Schema:
    return exactly(
        {
            **dict.fromkeys(("id", "name", "match", "set_by"), TEXT),
            "source": {"enum": ["file", "store"]},
            "scope": {"enum": list(SCOPES)},
            "each": {"type": "boolean"},
            **dict.fromkeys(_LIMITS, or_null(COUNT)),
            "set_at": or_null(TIME),
        }
    )


def _repricing_body() -> Schema:
    flag: Schema = {"type": "boolean"}
    properties = dict.fromkeys(repricing.TEXTS, TEXT) | dict.fromkeys(repricing.FLAGS, flag)
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _repricing_step() -> Schema:
    texts = dict.fromkeys(("provider", "model", "why", "price_version_before"), TEXT)
    amounts = dict.fromkeys(
        ("cost_before_usd", "cost_after_usd", "difference_usd", "list_difference_usd"), MONEY
    )
    left = {"month": TEXT, "entries": COUNT, "difference_usd": MONEY}
    counts = dict.fromkeys(("seen", "corrected", "kept", "unpriced"), COUNT)
    return exactly(
        {
            "price_version": TEXT,
            "dry_run": {"type": "boolean"},
            "total": or_null(COUNT),
            **counts,
            "changes": listed(exactly({**texts, "entries": COUNT, **amounts})),
            "closed": listed(exactly(left)),
            "next_cursor": or_null(TEXT),
        }
    )


def _key_money() -> Schema:
    texts = ("id", "unit", "window", "mode", "limit", "spent", "held", "left")
    budget = exactly(dict.fromkeys(texts, TEXT) | {"resets_at": or_null(TIME)})
    use = {"cost_usd": MONEY, "tools": listed(TEXT), "last_used_at": or_null(TIME)}
    use |= dict.fromkeys(("requests", "unpriced"), COUNT)
    return {"budgets": listed(budget), "use": or_null(exactly(use))}


def _key() -> Schema:
    return exactly(
        {
            **dict.fromkeys(("id", "name", "created_by"), TEXT),
            **dict.fromkeys(("user", "team", "rotated_by"), or_null(TEXT)),
            **dict.fromkeys(("models", "providers", "networks"), listed(TEXT)),
            **dict.fromkeys(
                ("expires_at", "revoked_at", "rotated_at", "earlier_secret_until"), or_null(TIME)
            ),
            "role": {"enum": list(KeyKind)},
            "state": {"enum": ["active", "off", "expired", "revoked"]},
            "tags": mapping(TEXT),
            **_key_money(),
            "created_at": TIME,
        }
    )


def _me() -> Schema:
    identity = {name: or_null(TEXT) for name in ("team", "user_id", "user", "role")}
    key = exactly(
        {
            "id": TEXT,
            "name": TEXT,
            "models": listed(TEXT),
            "providers": listed(TEXT),
            "tags": mapping(TEXT),
            "expires_at": or_null(TIME),
        }
    )
    counts = ("requests", "refusals", "tokens_in", "tokens_out", "unpriced")
    spent = {"cost_usd": MONEY, "list_cost_usd": MONEY} | dict.fromkeys(counts, COUNT)
    return exactly(
        {
            "identity": exactly({"org": TEXT, **identity}),
            "key": {"anyOf": [key, {"type": "null"}]},
            "budgets": listed(named("OwnBudget")),
            "limits": listed(_own_limit()),
            "today": exactly(_period() | spent),
            "call": or_null(_own_call()),
        }
    )


def _own_call() -> Schema:
    """What one call of the caller was attributed to."""
    texts = [name for name in ATTRIBUTED if name != "status"]
    return exactly(
        {
            "call_id": TEXT,
            **dict.fromkeys(texts, TEXT),
            "status": COUNT,
            "cost_usd": MONEY,
            "list_cost_usd": MONEY,
            "cache_written_for": listed({"enum": ["5m", "1h"]}),
        }
    )
