"""Turns the bound slots of a compiled query into the placeholders of an engine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from tollkeeper.ports import BOUND_PREFIX

_CALL: Final = re.compile(rf"\b{BOUND_PREFIX}[a-z]+\('([a-z][a-z0-9_]*)'\)", re.IGNORECASE)


class BoundSql(NamedTuple):
    """An SQL text with placeholders, and the names of the values that it needs."""

    text: str
    names: frozenset[str]


def bound_sql(compiled: str, placeholder: Callable[[str], str]) -> BoundSql:
    """Replace every ``tollkeeper_bound_…('name')`` by the engine's placeholder for it."""
    names: set[str] = set()

    def replace(match: re.Match[str]) -> str:
        names.add(match[1])
        return placeholder(match[1])

    return BoundSql(_CALL.sub(replace, compiled), frozenset(names))
