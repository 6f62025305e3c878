"""Lets each part of a union be added up by itself, before the parts are put together.

Sums and single entries are a union, which SQLite hands on row by row to whoever groups it. Grouped
where they are read, a part's rows need not be handed on, and what is put together is little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import ibis.expr.operations as ops

from tollkeeper.storage.sqlite.finer_parts import (
    NUMBER,
    finer_part,
    moved,
    number_of,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir

_TIMES: Final = 2
"""Where there are so many further groups, numbers that stand for the same become one before."""

_PASS_ON: Final = (ops.Filter, ops.Project)
_SUBQUERIES: Final = (ops.ScalarSubquery, ops.InSubquery, ops.ExistsSubquery)
_AT: Final[Mapping[type[Any], type[Any]]] = {ops.ArgMax: ops.Max, ops.ArgMin: ops.Min}
"""What gives the value of a column at an end of another, and what gives that end."""

_FINAL: Final[Mapping[type[Any], type[Any]]] = {
    ops.Sum: ops.Sum,
    ops.Max: ops.Max,
    ops.Min: ops.Min,
    ops.Count: ops.Sum,
    ops.CountStar: ops.Sum,
}
"""How what a reduction gives for each part becomes what it gives for all of them."""


def added_up_by_part(expression: ir.Table) -> ir.Table:
    """Give an expression with the same answer that groups each part of a union by itself."""
    root = expression.op()
    found: ir.Table = root.replace(_replaced).to_expr()
    return found


def _replaced(node: ops.Node, changed: Mapping[str, Any] | None) -> ops.Node:
    if changed is not None:
        given = dict(zip(node.__argnames__, node.__args__, strict=True)) | dict(changed)
        node = node.__recreate__(given)
    if not isinstance(node, ops.Aggregate):
        return node
    node = _asking_lists(node)
    union = _union_below(node)
    reductions = list(_reductions(node))
    if union is None or not all(map(_is_made_of_parts, reductions)):
        return node
    parts = [_by_number(_partial(node.replace({union: part}))) for part in _parts(union)]
    together = parts[0]
    for part in parts[1:]:
        together = ops.Union(together, part, distinct=False)
    of_parts = {
        each: ops.Field(together, f"part_{number}") for number, each in enumerate(reductions)
    }
    finals = {each: _final(each, of_parts) for each in reductions}
    return ops.Aggregate(
        together,
        {name: ops.Field(together, name) for name in node.groups},
        {name: value.replace(finals) for name, value in node.metrics.items()},
    )


def _asking_lists(node: Any) -> Any:
    """Ask each row whether it is in a list that is bound, where rows are joined with such a list.

    As a join it would stand between whoever groups the rows of a union and those who read them.
    """
    joins, below = {}, node.parent
    while isinstance(below, (*_PASS_ON, ops.JoinChain)):
        if isinstance(below, ops.JoinChain):
            joins[below] = _asking_list(below)
            below = below.first
        below = below.parent
    if not joins or None in joins.values() or not isinstance(below, ops.Union):
        return node
    for join, asking in reversed(joins.items()):
        node = node.replace({join: asking})
    return node


def _asking_list(node: Any) -> Any:
    """Give what a join of rows with a list keeps of them; None for any other join."""
    link = node.rest[0]
    listed = link.table.parent
    plain = len(node.rest) == 1 and link.how == "semi" and isinstance(listed, ops.DummyTable)
    if not plain or not all(isinstance(each, ops.Equals) for each in link.predicates):
        return None
    rows = node.first.parent
    (same,) = link.predicates
    kept = ops.Filter(rows, (ops.InSubquery(listed, moved(same.left, node.first, rows)),))
    return ops.Project(
        kept, {name: moved(value, node.first, kept) for name, value in node.values.items()}
    )


def _is_made_of_parts(reduction: ops.Node) -> bool:
    return type(reduction) in _FINAL or (type(reduction) in _AT and reduction.where is None)


def _end(reduction: Any) -> Any:
    """Give the end of a column that a value stands beside."""
    return _AT[type(reduction)](reduction.key)


def _final(reduction: Any, of_parts: Mapping[Any, Any]) -> Any:
    if type(reduction) in _AT:
        return type(reduction)(of_parts[reduction], of_parts[_end(reduction)])
    return _FINAL[type(reduction)](of_parts[reduction])


def _by_number(node: Any) -> Any:
    """Group rows of finer sums by the numbers of what they are grouped by.

    What these stand for is looked up for the groups that are found, of which several may be alike.
    """
    finer = finer_part(node.parent)
    if finer is None or any(isinstance(each, ops.CountStar) for each in node.metrics.values()):
        return node
    groups = {name: finer.value(value) for name, value in node.groups.items()}
    metrics = {name: finer.value(value) for name, value in node.metrics.items()}
    of_tables = finer.by_table(groups)
    numbered = {name for names in of_tables.values() for name in names}
    others = {name: value for name, value in groups.items() if name not in numbered}
    by_table = {table: {name: groups[name] for name in of_tables[table]} for table in of_tables}
    chain = finer.chain
    many = len(others) >= _TIMES and not finer.by_session
    for table, values in by_table.items() if many else ():
        chain = finer.with_first_alike(chain, table, values)
    numbers = {number_of(table): ops.Field(chain, number_of(table)) for table in of_tables}
    kept = ops.Filter(chain, [moved(each, finer.chain, chain) for each in finer.predicates])

    def of_kept(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: moved(each, finer.chain, kept) for name, each in values.items()}

    numbers = {name: ops.Field(kept, name) for name in numbers}
    found = ops.Aggregate(kept, {**numbers, **of_kept(others)}, of_kept(metrics)).to_expr()
    for table, values in by_table.items():
        of_table = finer.meaning(table, values).to_expr()
        found = found.join(of_table, found[number_of(table)] == of_table[NUMBER]).drop(NUMBER)
    return found.select(*node.schema).op()


def _partial(node: ops.Aggregate) -> ops.Aggregate:
    """Give the reductions of one part's groups, as columns of their own."""
    metrics = {f"part_{number}": each for number, each in enumerate(_reductions(node))}
    return ops.Aggregate(node.parent, node.groups, metrics)


def _reductions(node: ops.Aggregate) -> Iterator[ops.Node]:
    """List what is reduced, each once, in one order, and the ends that values stand beside."""
    seen = {
        each: None
        for value in node.metrics.values()
        for each in value.find(ops.Reduction, filter=ops.Value)
    }
    yield from seen | {_end(each): None for each in seen if type(each) in _AT}


def parts_of(node: Any) -> list[Any]:
    """Give what is asked of a union as it is asked of each of its parts; as it is otherwise."""
    union = _union_below(node) if isinstance(node, _PASS_ON) else None
    return [node] if union is None else [node.replace({union: part}) for part in _parts(union)]


def _union_below(node: Any) -> ops.Union | None:
    """Find the union whose rows are grouped, if nothing else that is asked for needs it."""
    below = node.parent
    while isinstance(below, _PASS_ON):
        values = below.predicates if isinstance(below, ops.Filter) else below.values.values()
        if any(map(_needs_all, values)):
            return None
        below = below.parent
    plain = isinstance(below, ops.Union) and not below.distinct
    return below if plain else None


def _needs_all(value: Any) -> bool:
    """Tell whether a value is made of other rows than its own; a list that is bound is none."""
    return any(
        not isinstance(each, ops.InSubquery) or not isinstance(each.rel, ops.DummyTable)
        for each in value.find((*_SUBQUERIES, ops.WindowFunction), filter=ops.Value)
    )


def _parts(relation: ops.Node) -> Iterator[ops.Node]:
    if isinstance(relation, ops.Union) and not relation.distinct:
        yield from _parts(relation.left)
        yield from _parts(relation.right)
    else:
        yield relation
