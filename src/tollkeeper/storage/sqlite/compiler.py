"""Ibis expressions as SQLite's SQL, exact to the last digit.

Tables are declared with the types that other engines have, and hold whole numbers: amounts are
nano-dollars, times are microseconds since 1970. What Ibis' own compiler would turn into texts or
floating point is written anew here.

There are two compilers. What ``Compiler`` writes is computed by SQLite itself, and fails where
a number needs more than 64 bits: nothing is ever rounded. ``WideCompiler`` writes the same
questions with the functions of ``wide_numbers``.
"""

# ruff: noqa: N802 - methods have the names that Ibis looks for

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.sqlite import SQLiteCompiler

from tollkeeper.storage.bound_sql import BoundSql, bound_sql
from tollkeeper.storage.flattening import flattened
from tollkeeper.storage.narrowing import narrowed
from tollkeeper.storage.sqlite.deep_queries import named_where_deep
from tollkeeper.storage.sqlite.finer_parts import NUMBER
from tollkeeper.storage.sqlite.finer_quarter_hours import JOINED, KINDS, TABLE
from tollkeeper.storage.sqlite.functions import AS_BLOB
from tollkeeper.storage.sqlite.partial_sums import added_up_by_part
from tollkeeper.storage.sqlite.wide_numbers import NANOS

if TYPE_CHECKING:
    from datetime import datetime

    import ibis.expr.types as ir

_AT: Final = {"tk_at_largest": sge.Max, "tk_at_smallest": sge.Min}
_TRUE_WORDS: Final = ("true", "t", "1", "yes")
_EPOCH_ORDINAL: Final = 719_163


def compiled(expression: ir.Table, *, wide: bool) -> BoundSql:
    """Write a query, with a placeholder for each bound slot."""
    compiler = WideCompiler() if wide else Compiler()
    query = flattened(compiler.to_sqlglot(narrowed(added_up_by_part(narrowed(expression)))))
    text = named_where_deep(query).sql(
        dialect=compiler.dialect, unsupported_level=sqlglot.ErrorLevel.RAISE
    )
    return bound_sql(text, lambda name: f":{name}")


def micros_of(moment: datetime) -> int:
    """Give the epoch microseconds of a time: naive ones are UTC."""
    days = moment.toordinal() - _EPOCH_ORDINAL
    seconds = (days * 24 + moment.hour) * 3_600 + moment.minute * 60 + moment.second
    offset = moment.utcoffset()
    shift = 0 if offset is None else round(offset.total_seconds())
    return (seconds - shift) * 1_000_000 + moment.microsecond


class Compiler(SQLiteCompiler):  # type: ignore[misc]  # Ibis has no types
    """Writes what SQLite computes by itself."""

    __slots__ = ()

    SIMPLE_OPS: ClassVar[dict[Any, str]] = {}  # with them Ibis would put its own methods over ours
    UNSUPPORTED_OPS: ClassVar[tuple[Any, ...]] = ()

    # ------------------------------------------------------------- values

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: dt.DataType) -> Any:
        if dtype.is_decimal():
            return sge.convert(int(Decimal(value).scaleb(9)))
        if dtype.is_timestamp():
            return sge.convert(micros_of(value))
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Cast(self, op: Any, *, arg: Any, to: dt.DataType) -> Any:
        given = op.arg.dtype
        if given.is_decimal() and to.is_floating():
            return self.dollars(arg)
        if given.is_decimal() and to.is_integer():
            return self.nanos(op.arg, arg)
        if to.is_decimal():
            if given.is_decimal() or given.is_null():
                return arg
            raise NotImplementedError(f"a cast of {given} to {to}")
        if given.is_string() and to.is_boolean():
            return sge.paren(self.f.lower(arg).isin(*_TRUE_WORDS))
        if (given.is_boolean() or given.is_integer()) and (to.is_integer() or to.is_boolean()):
            return arg
        if to.is_timestamp():
            return arg
        return super().visit_Cast(op, arg=arg, to=to)

    def dollars(self, nanos: Any) -> Any:
        """Write an amount as floating point, rounded once as other engines do."""
        whole = self.cast(_divided(nanos, sge.convert(NANOS)), dt.float64)
        rest = self.cast(self.binop(sge.Mod, nanos, sge.convert(NANOS)), dt.float64)
        return sge.paren(
            self.binop(sge.Add, whole, _divided(rest, sge.Literal.number(f"{NANOS}.0")))
        )

    def nanos(self, amount: Any, arg: Any) -> Any:
        """Write an amount as nano-dollars: what it is multiplied to, to become a whole number."""
        whole = isinstance(amount, ops.Multiply) and isinstance(amount.right, ops.Literal)
        if not whole or amount.right.value != NANOS:
            raise NotImplementedError("an amount is a whole number of nano-dollars only")
        while isinstance(arg, sge.Paren):
            arg = arg.this
        left = arg.this
        while isinstance(left, sge.Paren):
            left = left.this
        return left

    def visit_ExtractEpochSeconds(self, op: Any, *, arg: Any) -> Any:
        return sge.paren(_divided(arg, sge.Literal.number("1000000.0")))

    def visit_TimestampDelta(self, op: Any, *, part: Any, left: Any, right: Any) -> Any:
        if str(part.this).lower() != "microsecond":
            raise NotImplementedError(f"a difference of times in {part}")
        return self.binop(sge.Sub, left, right)

    def visit_Modulus(self, op: Any, *, left: Any, right: Any) -> Any:
        return self.binop(sge.Mod, left, right)

    def visit_StartsWith(self, op: Any, *, arg: Any, start: Any) -> Any:
        return self.f.substr(arg, 1, self.f.length(start)).eq(start)

    def visit_HexDigest(self, op: Any, *, arg: Any, how: str) -> Any:
        if how != "md5":
            raise NotImplementedError(f"a digest by {how}")
        return self.f.anon.tk_md5(arg)

    # ------------------------------------------------------------- two numbers

    def _compare(self, sign: Any, op: Any, left: Any, right: Any) -> Any:
        """Compare two values, whole numbers with amounts as well."""
        kinds = (op.left.dtype, op.right.dtype)
        if kinds[0].is_decimal() and kinds[1].is_integer():
            right = self.binop(sge.Mul, right, sge.convert(NANOS))
        elif kinds[0].is_integer() and kinds[1].is_decimal():
            left = self.binop(sge.Mul, left, sge.convert(NANOS))
        return self.compare(sign, kinds, left, right)

    def compare(self, sign: Any, kinds: tuple[dt.DataType, ...], left: Any, right: Any) -> Any:
        """Write a comparison of two values of one scale."""
        return self.binop(sign, left, right)

    def visit_Greater(self, op: Any, *, left: Any, right: Any) -> Any:
        return self._compare(sge.GT, op, left, right)

    def visit_GreaterEqual(self, op: Any, *, left: Any, right: Any) -> Any:
        return self._compare(sge.GTE, op, left, right)

    def visit_Less(self, op: Any, *, left: Any, right: Any) -> Any:
        return self._compare(sge.LT, op, left, right)

    def visit_LessEqual(self, op: Any, *, left: Any, right: Any) -> Any:
        return self._compare(sge.LTE, op, left, right)

    def visit_Equals(self, op: Any, *, left: Any, right: Any) -> Any:
        return self._compare(sge.EQ, op, left, right)

    def visit_NotEquals(self, op: Any, *, left: Any, right: Any) -> Any:
        return self._compare(sge.NEQ, op, left, right)

    def visit_Add(self, op: Any, *, left: Any, right: Any) -> Any:
        if _is_of_sums(op):
            return self.f.anon.tk_exact_sum(left, right)
        return self.binop(sge.Add, left, right)

    def visit_Subtract(self, op: Any, *, left: Any, right: Any) -> Any:
        if _is_of_sums(op):
            return self.f.anon.tk_exact_difference(left, right)
        return self.binop(sge.Sub, left, right)

    # ------------------------------------------------------------- many rows

    def visit_ArgMax(self, op: Any, *, arg: Any, key: Any, where: Any) -> Any:
        return self.agg.tk_at_largest(arg, key, where=where)

    def visit_ArgMin(self, op: Any, *, arg: Any, key: Any, where: Any) -> Any:
        return self.agg.tk_at_smallest(arg, key, where=where)

    def visit_BitOr(self, op: Any, *, arg: Any, where: Any) -> Any:
        return self.agg.tk_all_bits(arg, where=where)

    def visit_Aggregate(self, op: Any, *, parent: Any, groups: Any, metrics: Any) -> Any:
        """Take the value of a column at the largest key from SQLite itself, where it can tell.

        In the one row that holds the largest (or smallest) of a group it finds the columns that
        stand beside it, if no other end is asked for.
        """
        metrics = {name: _as_blob(each) for name, each in metrics.items()}
        found = [each for each in metrics.values() for each in each.find_all(sge.Func, sge.Filter)]
        ends = [each for each in found if isinstance(each, (sge.Max, sge.Min))]
        at = [each for each in found if isinstance(each, sge.Anonymous) and each.name in _AT]
        alike = {(each.name, each.expressions[1].sql()) for each in at}
        filtered = any(isinstance(each, sge.Filter) and each.this in at for each in found)
        if len(alike) == 1 and not filtered and all(_is_end(each, at[0]) for each in ends):
            for each in at:
                value, key = each.expressions
                end = _AT[each.name](this=key)
                plain = self.if_(end.is_(sge.null()), sge.null(), value)
                metrics = {
                    name: plain.copy()
                    if metric is each
                    else metric.transform(lambda it, old=each, new=plain: new if it is old else it)
                    for name, metric in metrics.items()
                }
        return super().visit_Aggregate(op, parent=parent, groups=groups, metrics=metrics)

    def visit_JoinChain(self, op: Any, *, first: Any, rest: Any, values: Any) -> Any:
        """Look rows up in the other table, read once, where one column has to be in it.

        What the numbers of finer sums stand for is looked for in the order that is written, and
        only where something of it is asked for.
        """
        kept, found = [], []
        if _name(first) in {KINDS, TABLE}:
            rest = _in_this_order(rest, values)
        for link in rest:
            join = link.this if isinstance(link, sge.Alias) else link
            on = join.args.get("on")
            plain = isinstance(on, sge.EQ | sge.Is | sge.NullSafeEQ) and isinstance(
                on.this, sge.Column
            )
            if join.kind.upper() == "SEMI" and plain:
                found.append(_is_among(on, join.this))
            else:
                kept.append(link)
        made = super().visit_JoinChain(op, first=first, rest=kept, values=values)
        return made.where(*found, copy=False) if found else made

    def visit_DummyTable(self, op: Any, *, values: Any) -> Any:
        """Write a list that is bound as a JSON array as a table of its values."""
        ((name, value),) = values.items()
        if not isinstance(value, sge.Explode):
            return super().visit_DummyTable(op, values=values)
        each = sge.column("value").as_(name, quoted=True)
        return sqlglot.select(each, copy=False).from_(self.f.anon.json_each(value.this))


class WideCompiler(Compiler):
    """Writes questions about numbers of any width."""

    __slots__ = ()

    def dollars(self, nanos: Any) -> Any:
        return self.f.anon.tk_dollars(nanos)

    def visit_Cast(self, op: Any, *, arg: Any, to: dt.DataType) -> Any:
        if op.arg.dtype.is_integer() and to.is_floating():
            return self.f.anon.tk_real(arg)
        return super().visit_Cast(op, arg=arg, to=to)

    def compare(self, sign: Any, kinds: tuple[dt.DataType, ...], left: Any, right: Any) -> Any:
        if sign in {sge.EQ, sge.NEQ} or not all(_is_number(kind) for kind in kinds):
            return self.binop(sign, left, right)  # a number is written in one way only
        return self.binop(sign, self.f.anon.tk_compared(left, right), sge.convert(0))

    def visit_Add(self, op: Any, *, left: Any, right: Any) -> Any:
        if _is_of_numbers(op):
            return self.f.anon.tk_sum_of_two(left, right)
        return self.binop(sge.Add, left, right)

    def visit_Subtract(self, op: Any, *, left: Any, right: Any) -> Any:
        if _is_of_numbers(op):
            return self.f.anon.tk_difference(left, right)
        return self.binop(sge.Sub, left, right)

    def visit_Abs(self, op: Any, *, arg: Any) -> Any:
        return self.f.anon.tk_absolute(arg)

    def visit_Sum(self, op: Any, *, arg: Any, where: Any) -> Any:
        if op.arg.dtype.is_boolean():
            return super().visit_Sum(op, arg=arg, where=where)
        return self.agg.tk_sum(arg, where=where)

    def visit_Max(self, op: Any, *, arg: Any, where: Any) -> Any:
        if _is_number(op.arg.dtype):
            return self.agg.tk_largest(arg, where=where)
        return super().visit_Max(op, arg=arg, where=where)

    def visit_Min(self, op: Any, *, arg: Any, where: Any) -> Any:
        of_rows = isinstance(op.arg, ops.Field) and op.arg.name == NUMBER  # are never wide
        if _is_number(op.arg.dtype) and not of_rows:
            return self.agg.tk_smallest(arg, where=where)
        return super().visit_Min(op, arg=arg, where=where)

    def visit_SortKey(self, op: Any, *, arg: Any, ascending: bool, nulls_first: bool) -> Any:
        if op.arg.dtype.is_numeric() and not op.arg.dtype.is_boolean():
            arg = self.f.anon.tk_ordered(arg)
        return super().visit_SortKey(op, arg=arg, ascending=ascending, nulls_first=nulls_first)


def _name(relation: Any) -> str:
    table = relation.this if isinstance(relation, sge.Alias) else relation
    return str(table.name) if isinstance(table, sge.Table) else ""


def _in_this_order(links: Any, values: Any) -> list[Any]:
    """Give the joins that are needed for some values. CROSS tells SQLite to keep the order."""
    asked = {each.table for value in values.values() for each in value.find_all(sge.Column)}
    found = []
    for link in links:
        if _name(link.this) not in JOINED or link.this.alias_or_name in asked:
            link.set("kind", "CROSS")
            found.append(link)
    return found


def _is_end(end: Any, at: Any) -> bool:
    """Tell whether an end is the one that a value is asked at."""
    key = at.expressions[1]
    return isinstance(end, _AT[at.name]) and bool(end.this.sql() == key.sql())


def _is_among(on: Any, others: Any) -> Any:
    """Write that a column's value is in the other table, where NULL may be like NULL."""
    value = on.expression
    among = on.this.isin(query=sqlglot.select(value.copy()).from_(others.copy()))
    if isinstance(on, sge.EQ):
        return among
    empty = sqlglot.select(
        sge.Exists(this=sqlglot.select("1").from_(others).where(value.is_(sge.null())))
    )
    return among.or_(on.this.copy().is_(sge.null()).and_(empty.subquery()))


def _as_blob(metric: Any) -> Any:
    """Write what puts BLOBs together: SQLite adds their bytes to a text, whatever they are."""
    if isinstance(metric, sge.Anonymous) and metric.name == AS_BLOB:
        text = sge.Anonymous(
            this="group_concat", expressions=[*metric.expressions, sge.convert("")]
        )
        return sge.cast(text, sge.DataType.Type.VARBINARY)
    return metric


def _divided(left: Any, right: Any) -> sge.Div:
    """Divide as SQLite does: whole numbers give whole ones."""
    return sge.Div(this=sge.paren(left), expression=right, typed=True, safe=True)


def _is_number(kind: dt.DataType) -> bool:
    return bool(kind.is_integer() or kind.is_decimal())


def _is_of_numbers(op: Any) -> bool:
    """Tell whether numbers are added that may be wide: not seconds, which are floating point."""
    if not (_is_number(op.left.dtype) and _is_number(op.right.dtype)):
        return False
    return not _is_of_seconds(op)


def _is_of_seconds(value: Any) -> bool:
    """Tell whether a value is made of seconds, here or where its columns are made."""
    for each in value.find((ops.ExtractEpochSeconds, ops.Field), filter=ops.Value):
        if isinstance(each, ops.ExtractEpochSeconds):
            return True
        table = each.rel
        sides = (table.left, table.right) if isinstance(table, ops.Union) else ()
        made = [ops.Field(side, each.name) for side in sides] or [table.values.get(each.name)]
        if any(one is not None and _is_of_seconds(one) for one in made):
            return True
    return False


def _is_of_sums(op: Any) -> bool:
    """Tell whether sums of many rows are added, which are few and may be large."""
    if not _is_of_numbers(op):
        return False
    return bool(op.find((ops.Sum, ops.Aggregate)))
