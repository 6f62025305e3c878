"""Leaves columns that nobody asks for out of a query, before it is written as SQL.

An engine finds out by itself what it does not have to read, but only after it has looked up every
column in every part of a union: where sums and single entries are put together, each with some
sixty columns, that took twice as long as all else that it does before it reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import ibis.expr.operations as ops

if TYPE_CHECKING:
    import ibis.expr.types as ir

_PASS_ON: Final = (ops.Filter, ops.Sort, ops.Limit, ops.Reference)
"""Relations that have the columns of their parent."""

_CHOOSE: Final = (ops.Project, ops.JoinChain)
"""Relations that say what their columns are; those that nobody asks for are taken out."""


def narrowed(expression: ir.Table) -> ir.Table:
    """Give an expression with the same answer that names no more columns than it needs."""
    root = expression.op()
    found: ir.Table = root.replace(partial(_narrow, _asked(root))).to_expr()
    return found


class _Asked:
    """Which columns of each relation are asked for, and which values are made at all."""

    def __init__(self) -> None:
        self.columns: defaultdict[ops.Node, set[str]] = defaultdict(set)
        self.values: set[ops.Node] = set()

    def ask(self, node: ops.Node, names: Iterable[str] | None = None) -> None:
        """Ask a relation for columns (None: for all that it has), or for a value."""
        if isinstance(node, ops.Relation):
            self.columns[node].update(node.schema if names is None else names)
        else:
            self.values.add(node)


def _asked(root: ops.Node) -> Mapping[ops.Node, set[str]]:
    """Ask from the answer downwards: whoever asks comes before what it asks."""
    asked = _Asked()
    asked.ask(root)
    for node in reversed(root.find(ops.Node, ordered=True)):
        if isinstance(node, ops.Field):
            if node in asked.values:
                asked.ask(node.rel, (node.name,))
        elif not isinstance(node, ops.Relation):
            if node in asked.values:
                for child in node.__children__:
                    asked.ask(child, () if isinstance(node, ops.JoinLink) else None)
        elif node in asked.columns:
            # A row is one even where only the number of rows is asked for.
            names = asked.columns[node] = asked.columns[node] or {next(iter(node.schema))}
            _ask_below(asked, node, names)
    return asked.columns


def _ask_below(asked: _Asked, node: ops.Relation, names: set[str]) -> None:
    """Ask for what one relation needs to give some of its columns."""
    children: Iterable[ops.Node] = node.__children__
    if isinstance(node, _CHOOSE):
        dropped = {value for name, value in node.values.items() if name not in names}
        kept = {value for name, value in node.values.items() if name in names}
        children = [child for child in children if child in kept or child not in dropped]
    elif isinstance(node, _PASS_ON) or (isinstance(node, ops.Union) and not node.distinct):
        for child in children:
            asked.ask(child, names)
        return
    for child in children:
        asked.ask(child, () if isinstance(node, (*_CHOOSE, ops.Aggregate)) else None)


def _narrow(
    asked: Mapping[ops.Node, set[str]], node: ops.Node, changed: Mapping[str, Any] | None
) -> ops.Node:
    """Make a node anew of what was made of its children (None where they are as they were)."""
    if isinstance(node, ops.Field):
        rel = node.rel if changed is None else changed["rel"]
        # Nobody makes a value of a column that is not asked for.
        return node if node.name not in rel.schema else ops.Field(rel, node.name)
    given = dict(zip(node.__argnames__, node.__args__, strict=True)) | dict(changed or {})
    if isinstance(node, _CHOOSE) and node in asked:
        given["values"] = {
            name: value for name, value in given["values"].items() if name in asked[node]
        }
    elif isinstance(node, ops.Union) and node in asked:
        names = [name for name in node.schema if name in asked[node]]
        given |= {side: _only(given[side], names) for side in ("left", "right")}
    elif changed is None:
        return node
    return node.__recreate__(given)


def _only(table: ops.Relation, names: list[str]) -> ops.Relation:
    """Give a table with some of its columns, in this order."""
    if list(table.schema) == names:
        return table
    return ops.Project(table, {name: ops.Field(table, name) for name in names})
