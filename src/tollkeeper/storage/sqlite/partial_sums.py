"""Lets each part of a union be added up by itself, before the parts are put together.

Sums and single entries are a union, which SQLite hands on row by row to whoever groups it. Grouped
where they are read, a part's rows need not be handed on, and what is put together is little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import ibis.expr.operations as ops

if TYPE_CHECKING:
    import ibis.expr.types as ir

_PASS_ON: Final = (ops.Filter, ops.Project)
_SUBQUERIES: Final = (ops.ScalarSubquery, ops.InSubquery, ops.ExistsSubquery)
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
    union = _union_below(node)
    reductions = list(_reductions(node))
    if union is None or any(type(each) not in _FINAL for each in reductions):
        return node
    parts = [_partial(node.replace({union: part})) for part in _parts(union)]
    together = parts[0]
    for part in parts[1:]:
        together = ops.Union(together, part, distinct=False)
    finals = {
        each: _FINAL[type(each)](ops.Field(together, f"part_{number}"))
        for number, each in enumerate(reductions)
    }
    return ops.Aggregate(
        together,
        {name: ops.Field(together, name) for name in node.groups},
        {name: value.replace(finals) for name, value in node.metrics.items()},
    )


def _partial(node: ops.Aggregate) -> ops.Aggregate:
    """Give the reductions of one part's groups, as columns of their own."""
    metrics = {f"part_{number}": each for number, each in enumerate(_reductions(node))}
    return ops.Aggregate(node.parent, node.groups, metrics)


def _reductions(node: ops.Aggregate) -> Iterator[ops.Node]:
    """List what is reduced, each once, in one order."""
    seen = {
        each: None
        for value in node.metrics.values()
        for each in value.find(ops.Reduction, filter=ops.Value)
    }
    yield from seen


def _union_below(node: ops.Aggregate) -> ops.Union | None:
    """Find the union whose rows are grouped, if nothing else that is asked for needs it."""
    below = node.parent
    while isinstance(below, _PASS_ON):
        values = below.predicates if isinstance(below, ops.Filter) else below.values.values()
        if any(
            value.find((*_SUBQUERIES, ops.WindowFunction), filter=ops.Value) for value in values
        ):
            return None
        below = below.parent
    plain = isinstance(below, ops.Union) and not below.distinct
    return below if plain else None


def _parts(relation: ops.Node) -> Iterator[ops.Node]:
    if isinstance(relation, ops.Union) and not relation.distinct:
        yield from _parts(relation.left)
        yield from _parts(relation.right)
    else:
        yield relation
