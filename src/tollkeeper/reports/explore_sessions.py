"""The first groups by session or call, in steps: too many for one query.

Sessions of one row and those of several are ordered and counted by themselves, and by numbers in
place of texts; all that is shown is then asked of the few that come first. Calls likewise: which
have several rows is found out by hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollkeeper.ports import Ledger
from tollkeeper.reports import explore_session_queries as queries
from tollkeeper.reports.explore_session_queries import NUMBER, many_column, many_of
from tollkeeper.reports.explore_spans import AMONG, CALL, CALLS, PivotShape

Row = Mapping[str, Any]
NOTHING_APART: Final[Mapping[str, int]] = {}
_SESSIONS: Final = "sessions"


def first_sessions(
    ledger: Ledger, shape: PivotShape, values: Mapping[str, object]
) -> tuple[list[dict[str, Any]], Mapping[str, int]]:
    """Give the rows that ``pivoted`` gives, where groups are ``of_many``.

    With them, where nothing but sessions does not add up, how many of these are in no other group
    than the first, as ``sessions_now`` and ``sessions_before``: what is left of all sessions
    without them is in other groups.
    """
    of_calls = many_of(shape) == CALL
    if of_calls:
        ledger.set_aside(CALLS, queries.calls_of_several(ledger, shape), values)
    by_text = of_calls or shape.sort == "name" or not ledger.sets_aside()
    found, groups = _found(ledger, shape, values, by_text=by_text)
    last = found[shape.limit - 1 : shape.limit + 1]
    if not by_text and len(last) > 1 and _weights(last[0]) == _weights(last[1]):
        by_text = True  # the one whose text comes first is in
        found, groups = _found(ledger, shape, values, by_text=by_text)
    names = [f"group_{index}" for index in range(len(shape.groups.group_by))]
    session = many_column(shape)
    kept = {tuple(row[name] for name in names): row for row in found[: shape.limit]}
    keys = [NUMBER if name == session and not by_text else name for name in names]
    among = list({row[session] for row in kept.values()})
    query = queries.pivoted_among(ledger, shape._replace(limit=1), by_text, None in among)
    every = ledger.run(query, {**values, AMONG: among})
    first, others = [], []
    for row in every:
        row["groups_"] = groups
        weighed = kept.get(tuple(row[key] for key in keys))
        if weighed is None:
            others.append(row)
        else:
            first.append((_weights(weighed), _texts(row, names), row))
    rows = [row for *_, row in sorted(first, key=lambda each: each[:2])]
    return rows, NOTHING_APART if of_calls else _apart(rows, others, session)


def _found(
    ledger: Ledger, shape: PivotShape, values: Mapping[str, object], *, by_text: bool
) -> tuple[list[Row], int]:
    """Give the first groups in order, and one more, and how many there are in all."""
    shape = shape._replace(limit=shape.limit + 1)
    several = ledger.run(queries.kept_of_several_rows(ledger, shape, by_text), values)
    (single,) = ledger.run(queries.counted_single_rows(ledger, shape), values)
    groups = single["groups_"] + (several[0]["groups_"] if several else 0)
    found = [*several, *ledger.run(queries.kept_of_single_rows(ledger, shape, by_text), values)]
    names = [f"group_{index}" for index in range(len(shape.groups.group_by))] if by_text else []
    return sorted(found, key=lambda row: (_weights(row), _texts(row, names))), groups


def _weights(row: Row) -> tuple[object, ...]:
    """Give the place by weight, if there are weights: what is not known comes last."""
    weights = [row[name] for name in ("order_", "requests_now") if "order_" in row]
    return tuple((weight is None, -(weight or 0)) for weight in weights)


def _texts(row: Row, names: Sequence[str]) -> tuple[object, ...]:
    keys = [row[name] for name in names]
    return tuple((key is None, "" if key is None else key) for key in keys)


def _apart(first: Sequence[Row], others: Sequence[Row], session: str) -> Mapping[str, int]:
    """Count the sessions that are in some of the first groups and in no others."""
    counted = [f"{_SESSIONS}_now", f"{_SESSIONS}_before"]
    if not first or counted[0] not in first[0]:
        return NOTHING_APART
    return {
        name: len(
            {row[session] for row in first if row[name]}
            - {row[session] for row in others if row[name]}
        )
        for name in counted
    }
