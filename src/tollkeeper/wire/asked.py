"""What a request itself says of its price, where no reply does: characters, pictures, sizes.

Speech is billed by the characters that are spoken, older pictures by their number, size and
quality. The reply is sound, or names none of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.wire.field_values import text_or_nothing
from tollkeeper.wire.json_object import Members, string_of

READERS: Final = frozenset({"openai_images", "openai_speech"})
"""The kinds of calls whose requests are looked at."""

_WORD: Final = re.compile(r"[a-z0-9][a-z0-9._:x-]{0,31}")
_DALL_E: Final = "dall-e"
_DALL_E_TERMS: Final = {"quality": "standard", "size": "1024x1024"}
_AS_THE_MODEL_LIKES: Final = "auto"


class Asked(NamedTuple):
    """Quantities that a request fixes, and terms of their price (see ``domain.usage``)."""

    units: Mapping[str, int] = u.NO_QUANTITIES
    terms: str = ""


NOTHING: Final = Asked()


def asked_in_json(reader: str, members: Members, model: str, choices: int) -> Asked:
    """Read what a JSON request asks for."""
    if reader != "openai_speech":
        fields = {name: text_or_nothing(members.get(name)) for name in _DALL_E_TERMS}
        return _pictures(fields, model, choices)
    spoken = members.get("input")
    try:
        characters = len(string_of(bytes(spoken))) if spoken is not None else 0
    except ValueError:
        return NOTHING  # the provider will refuse it
    return Asked({u.INPUT_CHARACTERS: characters}) if characters else NOTHING


def asked_in_form(reader: str, fields: Mapping[str, str], model: str, choices: int) -> Asked:
    """Read what a form asks for."""
    return _pictures(fields, model, choices) if reader == "openai_images" else NOTHING


def _pictures(fields: Mapping[str, str], model: str, choices: int) -> Asked:
    # Where the path names the model, this may be DALL-E too; other models know no such terms.
    terms = dict(_DALL_E_TERMS) if not model or _DALL_E in model.lower() else {}
    for name in _DALL_E_TERMS:
        word = fields.get(name, "").lower()
        if word != _AS_THE_MODEL_LIKES and _WORD.fullmatch(word):
            terms[name] = word
    said = " ".join(f"{name}={terms[name]}" for name in sorted(terms))
    return Asked({u.IMAGES: choices}, said)
