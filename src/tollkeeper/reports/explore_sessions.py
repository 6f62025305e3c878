"""The first groups by session, in steps: too many for one query.

Sessions of one row and those of several are ordered and counted by themselves, and by numbers in
place of texts; all that is shown is then asked of the few that come first. Calls likewise: see
``explore_calls``.

What these few have by step is known then as well, so that all others follow from everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from tollkeeper.domain.beside import Beside
from tollkeeper.ports import Ledger
from tollkeeper.reports import explore_session_queries as queries
from tollkeeper.reports.explore_session_queries import (
    NUMBER,
    SHOWN,
    SHOWN_NONE,
    Absent,
    ShownShape,
    many_column,
)
from tollkeeper.reports.explore_spans import AMONG, PivotShape
from tollkeeper.reports.explore_values import without
from tollkeeper.reports.measures import ADDITIVE, MEASURES, Kind, Value, known
from tollkeeper.reports.usage_queries import GroupShape

SPARE: Final = 100
"""So many more groups are read than are shown: some weigh as much as the last of these.

Of more than these the texts are asked for, of all."""

Row = Mapping[str, Any]
NOTHING_APART: Final[Mapping[str, int]] = {}
_SESSIONS: Final = "sessions"


class FirstSessions(NamedTuple):
    """The first groups in order. With them, where nothing but sessions does not add up, how many
    of these are in no other group than the first, as ``sessions_now`` and ``sessions_before``:
    what is left of all sessions without them is in other groups. ``shown`` is set aside.
    """

    rows: list[dict[str, Any]]
    apart: Mapping[str, int]
    shown: ShownShape


def first_sessions(
    ledger: Ledger,
    shape: PivotShape,
    times: GroupShape | None,
    values: Mapping[str, object],
    beside: Beside,
) -> FirstSessions:
    """Give the rows that ``pivoted`` gives, where groups are ``of_many``."""
    by_text = shape.sort == "name"
    count = beside(partial(ledger.run, queries.counted_single_rows(ledger, shape), values))
    several, single = _found(ledger, shape, values, beside, by_text=by_text)
    found = in_order((*several, *single), shape if by_text else None)
    if not by_text and _may_miss(found, (several, single), shape.limit):
        by_text = True
        several, single = _found(ledger, shape, values, beside, by_text=by_text)
        found = in_order((*several, *single), shape)
    kept = found[: shape.limit] if by_text else likely(found, shape.limit)
    session = many_column(shape)
    among = list({row[session] for row in kept})
    shown = ShownShape(shape._replace(limit=1), times, by_text, None in among)
    values = {**values, AMONG: among}
    ledger.set_aside(SHOWN, queries.rows_shown(ledger, shown), values)
    if shown.or_none:
        ledger.set_aside(SHOWN_NONE, queries.rows_shown(ledger, shown, none=True), values)
    (counted,) = count()
    groups = counted["groups_"] + (several[0]["groups_"] if several else 0)
    rows, others = shown_rows(ledger, shown, kept, groups, values)
    first, others = rows[: shape.limit], [*rows[shape.limit :], *others]
    return FirstSessions(first, _apart(first, others, session), shown)


def shown_rows(
    ledger: Ledger,
    shown: ShownShape,
    kept: Sequence[Row],
    groups: int,
    values: Mapping[str, object],
) -> tuple[list[dict[str, Any]], Sequence[Row]]:
    """Give what is set aside of the groups that are ``kept``, in order, and of all others of these.

    ``groups`` is how many there are in all.
    """
    many, names = many_column(shown.pivot), names_of_groups(shown.pivot)
    weighed = {tuple(row[name] for name in names): row for row in kept}
    keys = [NUMBER if name == many and not shown.by_text else name for name in names]
    first, others = [], []
    for row in ledger.run(queries.pivoted_shown(ledger, shown), values):
        row["groups_"] = groups
        its = weighed.get(tuple(row[key] for key in keys))
        if its is None:
            others.append(row)
        else:
            first.append((weights(its), _texts(row, names), row))
    return [row for *_, row in sorted(first, key=lambda each: each[:2])], others


def _found(
    ledger: Ledger,
    shape: PivotShape,
    values: Mapping[str, object],
    beside: Beside,
    *,
    by_text: bool,
) -> tuple[list[Row], list[Row]]:
    """Give the first groups in order, and some more: of several rows, and of single ones."""
    shape = shape._replace(limit=shape.limit + SPARE)
    several = beside(
        partial(ledger.run, queries.kept_of_several_rows(ledger, shape, by_text), values)
    )
    single: list[Row] = []
    if queries.begins_now(shape):
        single += ledger.run(queries.kept_of_single_rows_now(ledger, shape, by_text), values)
    if len(single) < shape.limit:
        single = [*ledger.run(queries.kept_of_single_rows(ledger, shape, by_text), values)]
    return list(several()), single


def likely(found: Sequence[Row], limit: int) -> Sequence[Row]:
    """Give the groups that come first, and those that weigh as much as the last of them.

    Whose text comes first among these is known when they are read.
    """
    if len(found) <= limit:
        return found
    last = sorted(map(weights, found))[limit - 1]
    return [row for row in found if weights(row) <= last]


def _may_miss(found: Sequence[Row], lists: Iterable[Sequence[Row]], limit: int) -> bool:
    """Tell whether there may be more groups than were read that weigh as much as the last one."""
    if len(found) <= limit:
        return False
    last = weights(found[limit - 1])
    return any(len(each) >= limit + SPARE and weights(each[-1]) <= last for each in lists)


def in_order(rows: Iterable[Row], by_texts_of: PivotShape | None) -> list[Row]:
    """Sort groups by weight and, if a shape is given, by the texts of its groups."""
    names = names_of_groups(by_texts_of) if by_texts_of else []
    return sorted(rows, key=lambda row: (weights(row), _texts(row, names)))


def names_of_groups(shape: PivotShape) -> list[str]:
    """List the columns of groups."""
    return [f"group_{index}" for index in range(len(shape.groups.group_by))]


def weights(row: Row) -> tuple[object, ...]:
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


# ---------------------------------------------------------------------- steps


def steps_follow(shown: ShownShape) -> bool:
    """Tell whether what all others have by step can follow from everything and these few."""
    counts = set() if shown.by_text else {_SESSIONS}
    return shown.times is not None and all(
        MEASURES[name].kind in ADDITIVE or name in counts for name in shown.pivot.measures
    )


def first_by_step(
    ledger: Ledger,
    shown: ShownShape,
    absent: Absent,
    slots: Mapping[str, object],
    whole: Iterable[Row],
) -> list[dict[str, Any]] | None:
    """Give the measures of some groups by step, and of all others after the last.

    As ``explore_queries.by_step`` gives them; ``whole`` are those of everything. None where it does
    not say whether an amount of all others is 0 or not known.
    """
    rows = ledger.run(queries.steps_shown(ledger, shown, absent), slots)
    places = len(absent)
    first = [row for row in rows if row[queries.PLACE] < places]
    alone: dict[int, int] = {}
    if _SESSIONS in shown.pivot.measures:
        query = queries.sessions_of_these_alone(ledger, shown, absent)
        alone = {row["group_0"]: row[_SESSIONS] for row in ledger.run(query, slots)}
    found = list(first)
    for row in whole:
        step = row["group_0"]
        parts = [each for each in first if each["group_0"] == step]
        rest = _rest(row, parts, shown.pivot.measures, alone.get(step, 0))
        if rest is None:
            return None
        found.append({"group_0": step, queries.PLACE: places, **rest})
    return found


def _rest(
    whole: Row, parts: Sequence[Row], measures: Sequence[str], alone: int
) -> dict[str, Value] | None:
    entries = whole["entries"] - sum(row["entries"] for row in parts)
    rest: dict[str, Value] = {}
    for name in measures:
        if name == _SESSIONS:
            rest[name] = whole[name] - alone
            continue
        found = without(whole[name], [row[name] for row in parts])
        if MEASURES[name].kind is Kind.MONEY and entries and found == 0:
            return None
        rest[name] = known(name, found, entries)
    return rest
