"""Calls that cost nothing: model listings, moderations, and what tools ask before they work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.sandbox.asked import read_object, text_at
from tollkeeper.sandbox.reply import Identity, Reply, json_reply
from tollkeeper.wire import refusals
from tollkeeper.wire.credentials import HeaderLookup
from tollkeeper.wire.endpoints import Match
from tollkeeper.wire.models import ListedModel, model_body, models_body, models_dialect

MODELS: Final = ("echo",)
"""The models that are listed. Any other name is answered as well."""

NAMES: Final = (
    "models",
    "moderations",
    "hello",
    "responses/websocket",
    "code-assist",
    "chatgpt",
)
_OWNER: Final = "sandbox"
_JSON: Final = b"content-type: application/json\r\n"
_CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_TIER: Final = {"id": "standard-tier", "name": "Sandbox", "isDefault": True}
_CODE_ASSIST: Final[Mapping[str, dict[str, Any]]] = {
    "loadCodeAssist": {
        "currentTier": _TIER,
        "allowedTiers": [_TIER],
        "cloudaicompanionProject": _OWNER,
    },
    "onboardUser": {
        "name": "operations/sandbox",
        "done": True,
        "response": {"cloudaicompanionProject": {"id": _OWNER}},
    },
    "retrieveUserQuota": {"buckets": []},
    "listExperiments": {"experimentIds": [], "flags": []},
}


def side_call_reply(
    match: Match, body: bytes, query: str, header: HeaderLookup, identity: Identity, headers: bytes
) -> Reply:
    """Answer one of them."""
    match match.endpoint.name:
        case "models":
            return _models(match, query, header, headers)
        case "moderations":
            return _moderation(body, identity, headers)
        case "responses/websocket":
            refused = refusals.upgrade_required()
            return Reply(refused.status, refused.headers, (refused.body,))
        case "code-assist":
            verb = match.upstream_path.rpartition(":")[2]
            return json_reply(_CODE_ASSIST.get(verb, {}), headers=headers)
    return json_reply({}, headers=headers)


def _models(match: Match, query: str, header: HeaderLookup, headers: bytes) -> Reply:
    dialect = models_dialect(match, header)
    if match.model:
        listed = ListedModel(match.model, _OWNER)
        return Reply(200, _JSON + headers, (model_body([listed], match.model, dialect),))
    listing = [ListedModel(model, _OWNER) for model in MODELS]
    return Reply(200, _JSON + headers, (models_body(listing, dialect, query),))


def _moderation(body: bytes, identity: Identity, headers: bytes) -> Reply:
    asked = read_object(body)
    given = asked.get("input")
    number = len(given) if isinstance(given, list) else 1
    result = {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
    model = text_at(asked, "model") or "omni-moderation-latest"
    state = {"id": identity.id("modr-"), "model": model, "results": [result] * number}
    return json_reply(state, model=model, headers=headers)
