"""What is asked of finer sums, in terms of the join that gives their rows.

Between whoever asks and that join stand tables that only pass columns on. Without them it can be
told what a value is made of: of a kind of entries, of a label, or of the sums of each row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import ibis.expr.operations as ops

from tollkeeper.storage.sqlite.finer_quarter_hours import KINDS, TABLE

LABELS: Final = "labels"
NUMBERED: Final = {KINDS: "kind", LABELS: "label"}
"""Tables, and the column of finer sums that has the number of one of their rows."""

NUMBER: Final = "number"
_FIRST: Final = "first_alike_"
_LABEL: Final = "label_of_row_"
_BEGAN: Final = "started_at"
_READ_BY: Final = "kind_read_"
_SESSION: Final = "session"
PASS_ON: Final = (ops.Filter, ops.Project)


class FinerPart:
    """The join that gives rows of finer sums, and what these have to be, by its columns.

    ``chain`` has the numbers of rows of ``NUMBERED`` tables as further columns. ``began`` is when
    a row's quarter-hour begins, ``read_by`` the number of the kinds in the order they are read in.
    """

    def __init__(self, joined: Any, predicates: Sequence[Any]) -> None:
        self._joined = joined
        self._give_chain(joined)
        self.predicates = [self._looked_up(self.value(each)) for each in predicates]
        sessions = [named for each in predicates if (named := self._of_sessions(self.value(each)))]
        self.by_session = bool(sessions)
        if self.by_session:
            self._give_chain(self._sums_first())
            self.predicates = [self._looked_up(self.value(each)) for each in predicates]
            of_row = ops.Field(self.chain, _SESSION)
            self.predicates += [ops.InSubquery(each.rel, of_row) for each in sessions]

    def _give_chain(self, joined: Any) -> None:
        sums, kinds = self._table(TABLE), self._table(KINDS)
        numbers = {number_of(name): ops.Field(sums, of) for name, of in NUMBERED.items()}
        numbers[_LABEL] = ops.Field(sums, NUMBERED[LABELS])
        numbers |= {_BEGAN: ops.Field(sums, _BEGAN), _READ_BY: ops.Field(kinds, NUMBER)}
        numbers[_SESSION] = ops.Field(sums, _SESSION)
        self.chain = joined.copy(values={**joined.values, **numbers})
        self.began = ops.Field(self.chain, _BEGAN)
        self.read_by = ops.Field(self.chain, _READ_BY)

    def _of_sessions(self, predicate: Any) -> Any:
        """Give a predicate if it asks for the sessions in a list that is bound."""
        listed = isinstance(predicate, ops.InSubquery) and isinstance(predicate.rel, ops.DummyTable)
        if not listed or not isinstance(predicate.needle, ops.Field):
            return None
        made = _fields(self.chain.values[predicate.needle.name])
        return predicate if {each.name for each in made} == {_SESSION} else None

    def _sums_first(self) -> Any:
        """Read the rows of sums first, by an index, and the kinds that they are of then."""
        first, rest = self._joined.first, self._joined.rest
        place = next(at for at, each in enumerate(rest) if _name(each) == TABLE)
        sums = rest[place]
        kinds = ops.JoinLink("inner", first, sums.predicates)
        links = (*rest[:place], kinds, *rest[place + 1 :])
        return ops.JoinChain(sums.table, links, self._joined.values)

    def value(self, value: Any) -> Any:
        """Write a value by columns of the join, with nothing between them."""
        while True:
            between = {
                each: each.rel.values[each.name]
                if isinstance(each.rel, ops.Project)
                else ops.Field(each.rel.parent, each.name)
                for each in _fields(value)
                if isinstance(each.rel, PASS_ON)
            }
            if not between:
                return moved(value, self._joined, self.chain)
            value = _replaced(value, between)

    def number(self, table: str) -> Any:
        """Give the number of a row of a table."""
        return ops.Field(self.chain, number_of(table))

    def by_table(self, values: Mapping[str, Any]) -> dict[str, list[str]]:
        """Name the values that are of one of the numbered tables alone, by these."""
        found: dict[str, list[str]] = {}
        for name, value in values.items():
            tables = self._tables(value)
            if len(tables) == 1 and tables <= NUMBERED.keys():
                found.setdefault(tables.pop(), []).append(name)
        return found

    def of_times(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Give the values that follow from when the row's quarter-hour begins, or from nothing."""
        return {
            name: value
            for name, value in values.items()
            if all(each.name == _BEGAN for each in _fields(value))
        }

    def meaning_of_times(self, values: Mapping[str, Any], times: Any) -> Any:
        """Ask these values of a table of moments, which has one column, beside ``NUMBER``."""
        moment = ops.Cast(ops.Field(times, NUMBER), self.began.dtype)
        own = {
            name: _replaced(value, dict.fromkeys(_fields(value), moment))
            for name, value in values.items()
        }
        return ops.Project(times, {NUMBER: ops.Field(times, NUMBER), **own})

    def meaning(self, name: str, values: Mapping[str, Any]) -> Any:
        """Ask a numbered table for values that are made of it, beside ``NUMBER``."""
        table = self._table(name).parent
        own = {each: self._own(value, table) for each, value in values.items()}
        return ops.Project(table, {NUMBER: ops.Field(table, NUMBER), **own})

    def with_first_alike(self, chain: Any, name: str, values: Mapping[str, Any]) -> Any:
        """Put in the place of a number the first one for which these values are the same."""
        table = self._table(name).parent
        own = tuple(self._own(value, table) for value in values.values())
        number = ops.Field(table, NUMBER)
        first = ops.WindowFunction(ops.Min(number), group_by=own)
        firsts = ops.JoinReference(ops.Project(table, {NUMBER: number, _FIRST: first}))
        place = next(at for at, each in enumerate(chain.rest, 1) if _name(each) == TABLE)
        known = ops.Field(self._table(TABLE), NUMBERED[name])
        if name == KINDS:  # which are read before, so that this is looked up once for each
            place, known = 0, ops.Field(chain.first, NUMBER)
        link = ops.JoinLink("inner", firsts, (ops.Equals(known, ops.Field(firsts, NUMBER)),))
        values = {**chain.values, number_of(name): ops.Field(firsts, _FIRST)}
        return ops.JoinChain(chain.first, (*chain.rest[:place], link, *chain.rest[place:]), values)

    def _looked_up(self, predicate: Any) -> Any:
        """Ask each label once what it has to be, where a row has to be of certain labels.

        This is the label of the row itself, not the first one alike, which may be another.
        """
        if self._tables(predicate) != {LABELS}:
            return predicate
        labels = self._table(LABELS).parent
        chosen = ops.Filter(labels, (self._own(predicate, labels),))
        numbers = ops.Project(chosen, {NUMBER: ops.Field(chosen, NUMBER)})
        return ops.InSubquery(numbers, ops.Field(self.chain, _LABEL))

    def _table(self, name: str) -> Any:
        tables = (self._joined.first, *(each.table for each in self._joined.rest))
        return next(each for each in tables if getattr(each.parent, "name", "") == name)

    def _own(self, value: Any, table: Any) -> Any:
        values = self.chain.values
        own = {each: ops.Field(table, values[each.name].name) for each in _fields(value)}
        return _replaced(value, own)

    def _tables(self, value: Any) -> set[str]:
        return {
            of.rel.parent.name
            for each in _fields(value)
            for of in _fields(self.chain.values[each.name])
        }


def finer_part(node: Any) -> FinerPart | None:
    """Give the join that a table is read from; None where that is not of finer sums."""
    predicates: list[Any] = []
    while isinstance(node, PASS_ON):
        if isinstance(node, ops.Filter):
            predicates += node.predicates
        node = node.parent
    if not isinstance(node, ops.JoinChain) or getattr(node.first.parent, "name", "") != KINDS:
        return None
    return FinerPart(node, predicates)


def _name(link: Any) -> str:
    return getattr(link.table.parent, "name", "")


def number_of(table: str) -> str:
    """Name the column of a row's number in a table."""
    return f"{NUMBERED[table]}_number_"


def moved(value: Any, old: Any, new: Any) -> Any:
    """Write the same value of another relation with the same columns."""
    return _replaced(
        value, {each: ops.Field(new, each.name) for each in _fields(value) if each.rel == old}
    )


def _fields(value: Any) -> Iterable[Any]:
    found: Iterable[Any] = value.find(ops.Field, filter=ops.Value)
    return found


def _replaced(value: Any, others: Mapping[Any, Any]) -> Any:
    return others.get(value) or (value.replace(others, filter=ops.Value) if others else value)
