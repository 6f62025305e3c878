"""The first groups by session, in steps: there are so many that one query would take too long.

Sessions of one row and those of several are ordered and counted by themselves; all that is shown
is then asked of the few that come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tollkeeper.ports import Ledger
from tollkeeper.reports import explore_queries as queries
from tollkeeper.reports.explore_queries import PivotShape

Row = Mapping[str, Any]


def first_sessions(
    ledger: Ledger, shape: PivotShape, values: Mapping[str, object]
) -> list[dict[str, Any]]:
    """Give the rows that ``queries.pivoted`` gives, where groups are ``queries.of_many``."""
    several = ledger.run(queries.kept_of_several_rows(ledger, shape), values)
    (single,) = ledger.run(queries.counted_single_rows(ledger, shape), values)
    groups = single["groups_"] + (several[0]["groups_"] if several else 0)
    found = [*several, *ledger.run(queries.kept_of_single_rows(ledger, shape), values)]
    names = [f"group_{index}" for index in range(len(shape.groups.group_by))]
    found = sorted(found, key=lambda row: _place(row, names, shape))[: shape.limit]
    session = names[shape.groups.group_by.index("session")]
    among = list({row[session] for row in found})
    query = queries.pivoted_among(ledger, shape._replace(limit=1))
    by_key = {
        tuple(row[name] for name in names): row
        for row in ledger.run(query, {**values, queries.AMONG: among})
    }
    return [{**by_key[tuple(row[name] for name in names)], "groups_": groups} for row in found]


def _place(row: Row, names: list[str], shape: PivotShape) -> tuple[object, ...]:
    """Give the place in the order of ``queries``: what is not known comes last."""
    weights = () if shape.sort == "name" else (row["order_"], row["requests_now"])
    downwards = [(weight is None, -(weight or 0)) for weight in weights]
    keys = [row[name] for name in names]
    return *downwards, *((key is None, "" if key is None else key) for key in keys)
