"""Writes unions without the levels that Ibis puts between their parts.

Each part of a union comes as all columns of a query, which is one level more to read for
whoever parses it and to look columns up in; SQLite's parser is full after a hundred.
"""

from __future__ import annotations

from typing import Any, Final

import sqlglot.expressions as sge

_PLAIN: Final = frozenset({"kind", "expressions", "from", "from_"})
"""What a query has that does nothing but give all columns of another."""

_OF_ITS_OWN: Final = ("order", "limit", "offset", "with", "with_")
"""What a part of a union cannot have."""


def flattened(query: sge.Expression) -> sge.Expression:
    """Give a query in which the parts of unions stand side by side. It is changed in place."""
    for union in query.find_all(sge.Union):
        if not union.args.get("distinct"):
            for side in ("this", "expression"):
                union.set(side, _bare(union.args[side]))
    return query


def _bare(part: Any) -> Any:
    """Give what a part of a union reads all columns of, where that can stand there itself."""
    while (inner := _all_of(part)) is not None:
        part = inner
    return part


def _all_of(part: Any) -> Any:
    if not isinstance(part, sge.Select):
        return None
    given = {name for name, value in part.args.items() if value}
    source = part.args.get("from_") or part.args.get("from")
    stars = part.expressions
    if given - _PLAIN or source is None or len(stars) != 1 or not isinstance(stars[0], sge.Star):
        return None
    inner = source.this.this if isinstance(source.this, sge.Subquery) else None
    if isinstance(inner, sge.Union) and inner.args.get("distinct"):
        return None
    if isinstance(inner, sge.Select | sge.Union) and not any(map(inner.args.get, _OF_ITS_OWN)):
        return inner
    return None
