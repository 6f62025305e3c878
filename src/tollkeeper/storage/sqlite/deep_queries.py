"""Makes an SQL text less deep: SQLite's parser stops where some fifteen queries are in each other.

A query that is too deep gets a name in front of the text, and SQLite reads it as if it stood where
it is used.
"""

from __future__ import annotations

from typing import Any, Final

import sqlglot.expressions as sge

_LEVELS: Final = 5
_NAME: Final = "level_"


def named_where_deep(query: Any) -> Any:
    """Move queries that are deep in others in front, each under a name of its own."""
    deep = [
        (level, each)
        for each in query.find_all(sge.Subquery)
        if each.alias and (level := _level(each)) and not level % _LEVELS
    ]
    for number, (_, each) in enumerate(sorted(deep, key=lambda it: -it[0])):
        name = f"{_NAME}{number}"
        query = query.with_(sge.to_identifier(name), as_=each.this.copy(), copy=False)
        each.replace(sge.to_table(name).as_(each.alias, quoted=True, table=True))
    return query


def _level(node: Any) -> int:
    """Count the queries around one that is read from."""
    found = 0
    while node.parent is not None:
        node = node.parent
        found += isinstance(node, (sge.Subquery, sge.Exists, sge.In))
    return found
