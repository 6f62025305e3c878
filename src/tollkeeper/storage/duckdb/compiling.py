"""Writes Ibis expressions as SQL of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import sqlglot
from ibis.backends.sql.compilers.duckdb import DuckDBCompiler

from tollkeeper.storage.bound_sql import BoundSql, bound_sql
from tollkeeper.storage.flattening import flattened
from tollkeeper.storage.narrowing import narrowed

if TYPE_CHECKING:
    import ibis.expr.types as ir


class _Compiler(DuckDBCompiler):  # type: ignore[misc]  # Ibis has no types
    """Ibis's own, but for what the engine has a faster word for."""

    __slots__ = ()

    def visit_ArgMax(  # noqa: N802 - Ibis's name
        self, op: ops.ArgMax, *, arg: Any, key: Any, where: Any
    ) -> Any:
        """Ask for the value at the largest key, which the engine else sorts each group for."""
        return self.agg.arg_max_null(arg, key, where=where)

    def visit_Substring(  # noqa: N802 - Ibis's name
        self, op: ops.Substring, *, arg: Any, start: Any, length: Any
    ) -> Any:
        """Cut from a place that is known without asking of each text whether it lies before the
        text's end: the engine then cuts each different text once."""
        if isinstance(op.start, ops.Literal) and op.start.value >= 0 and length is not None:
            return self.f.substring(arg, op.start.value + 1, length)
        return super().visit_Substring(op, arg=arg, start=start, length=length)


def compiled(expression: ir.Table) -> BoundSql:
    """Give the SQL of an expression, with placeholders for its bound slots."""
    compiler = _Compiler()
    text = flattened(compiler.to_sqlglot(narrowed(expression))).sql(
        dialect=compiler.dialect, unsupported_level=sqlglot.ErrorLevel.RAISE
    )
    return bound_sql(text, lambda name: f"${name}")
