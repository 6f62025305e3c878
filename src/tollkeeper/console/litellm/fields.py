"""Reads the bodies of LiteLLM's calls, field by field.

A field that is read becomes something of ours. One that can be left out without giving anybody
more than was meant is named in the answer's ``tollkeeper_notes``; every other one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.litellm_terms import nanos_of

NOTED: Final[Mapping[str, str]] = {
    "soft_budget": "alerts are set with alert_at on the budget itself",
    "send_invite_email": "no mail is sent; make a sign-in link with: tollkeeper users link EMAIL",
    "organization_id": "there is one organisation here",
    "spend": "what is spent follows from the calls alone",
    "allowed_cache_controls": "nothing is cached here",
    "rpm_limit_type": "limits are taken as they are",
    "tpm_limit_type": "limits are taken as they are",
    "created_by": "who makes something is known from the key that asks",
    "updated_by": "who makes something is known from the key that asks",
    "litellm_changed_by": "who makes something is known from the key that asks",
}
"""Fields that are left out, and why nothing is lost or opened by it."""

REFUSED: Final[Mapping[str, str]] = {
    "key": "a key's text is made here, because it carries a checksum",
    "blocked": "make it first, then switch it off: revoke the key, deactivate team or person",
    "model_max_budget": "make a budget on the model instead (docs/budgets.md)",
    "model_rpm_limit": "make a rate limit on the model: tollkeeper limits set",
    "model_tpm_limit": "make a rate limit on the model: tollkeeper limits set",
    "aliases": "names of models stand in tollkeeper.yaml, under models",
    "model_aliases": "names of models stand in tollkeeper.yaml, under models",
    "team_member_budget": "make a budget on each user instead (docs/budgets.md)",
    "permissions": "keys have no permissions beside models, budget and expiry",
    "allowed_routes": "keys have no routes; bound their models",
    "object_permission": "there are no such objects here",
    "guardrails": "there are no guardrails here",
    "policies": "there are no policies here",
    "enforced_params": "no parameters are enforced here",
    "config": "a key has no configuration of its own",
}
"""Fields whose absence would let somebody do more than was meant, and what to do instead."""

ALL_MODELS: Final = frozenset({"*", "all-proxy-models", "all-team-models"})
_NO_DOCUMENT: Final = "has no counterpart here; docs/litellm.md lists what is read"


class Fields:
    """What a body says, taken piece by piece; ``notes`` says what was left out."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        # None, "", [], {} and false say nothing; 0 is a limit.
        self._left = {
            name: value
            for name, value in body.items()
            if value is not None and value is not False and value not in ("", [], {})
        }
        self.notes: list[str] = []

    def text(self, name: str) -> str:
        """Take a text, "" where there is none."""
        value = self._left.pop(name, "")
        if not isinstance(value, str):
            raise _bad(name, "is a text")
        return value.strip()

    def amount(self, name: str) -> int | None:
        """Take an amount of USD as nano-dollars."""
        value = self._left.pop(name, None)
        return None if value is None else nanos_of(value, name)

    def count(self, name: str) -> int | None:
        """Take a whole number above zero."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        if type(value) is not int or value < 1:
            raise _bad(name, "is a whole number above zero")
        return value

    def texts(self, name: str) -> list[str]:
        """Take a list of texts."""
        value = self._left.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise _bad(name, "is a list of texts")
        return [each.strip() for each in value]

    def texts_or_objects(self, name: str, inner: str) -> list[str]:
        """Take a list of texts, or of objects that have the text as ``inner``."""
        value = self._left.pop(name, [])
        found = value if isinstance(value, list) else [value]
        texts = [each.get(inner) if isinstance(each, dict) else each for each in found]
        if not all(isinstance(each, str) for each in texts):
            raise _bad(name, "is a list of texts")
        return [str(each).strip() for each in texts]

    def flag(self, name: str) -> bool:
        """Take true or false; false where there is none."""
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            raise _bad(name, "is true or false")
        return value

    def objects(self, name: str) -> list[Mapping[str, Any]]:
        """Take a list of objects; one object alone is a list of it."""
        value = self._left.pop(name, [])
        found = [value] if isinstance(value, dict) else value
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise _bad(name, "is a list of objects")
        return found

    def tags(self, name: str) -> dict[str, str]:
        """Take metadata as tags: what is no text becomes its JSON."""
        value = self._left.pop(name, {})
        if not isinstance(value, dict):
            raise _bad(name, "is an object")
        return {
            key: each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)
            for key, each in value.items()
        }

    def models(self, name: str) -> tuple[str, ...]:
        """Take the models that are allowed; none, or a word for all of them, is ()."""
        found = self.texts(name)
        if "no-default-models" in found:
            raise _bad(name, "'no-default-models' has no counterpart here; name the models")
        return () if ALL_MODELS & set(found) else tuple(found)

    def note(self, name: str, why: str) -> None:
        """Leave a field out, if it is there, and say so."""
        if self._left.pop(name, None) is not None:
            self.notes.append(f"{name} was left out: {why}")

    def done(self) -> None:
        """Note or refuse what nobody took. Raises BadRequest."""
        for name, why in NOTED.items():
            self.note(name, why)
        for name in self._left:
            raise _bad(name[:60], REFUSED.get(name, _NO_DOCUMENT), code="field_not_supported")


def require_no_models(fields: Fields, whose: str) -> None:
    """Refuse models where only a key can be bound to them."""
    if fields.models("models"):
        raise _bad("models", f"a {whose} has none here: give them to its keys")


def one_of(fields: Sequence[str], what: str) -> str:
    """Give the only one of a list, "" where it is empty. Raises BadRequest for more."""
    if len(fields) > 1:
        raise BadRequest(f"{what}: somebody belongs to one team here", code="one_team")
    return fields[0] if fields else ""


def _bad(name: str, why: str, code: str = "bad_field") -> BadRequest:
    return BadRequest(f"{name}: {why}", code=code)
