"""Unions without levels between their parts: the same rows, and never more than that."""

from __future__ import annotations

from typing import Any

import ibis
import pytest
import sqlglot
import sqlglot.expressions as sge

from tollkeeper.storage.flattening import flattened

TABLES = [ibis.table({"a": "int64", "b": "string"}, name=f"t{number}") for number in range(6)]


def parsed_of(text: str) -> Any:
    return sqlglot.parse_one(text, dialect="sqlite")


def flat(text: str) -> str:
    return flattened(parsed_of(text)).sql(dialect="sqlite")


def depth(query: Any) -> int:
    return max(len(_subqueries_above(each)) for each in query.find_all(sge.Table))


def _subqueries_above(node: Any) -> list[Any]:
    found: list[Any] = []
    while node is not None:
        found += [node] if isinstance(node, sge.Subquery) else []
        node = node.parent
    return found


def test_parts_of_a_union_stand_side_by_side() -> None:
    parts = [table.filter(table.a > 1).select("b") for table in TABLES]
    query = ibis.to_sql(ibis.union(*parts, distinct=False).count(), dialect="sqlite")
    parsed = parsed_of(query)
    before = depth(parsed)
    assert depth(flattened(parsed)) < before
    assert parsed.sql(dialect="sqlite").count("UNION ALL") == len(TABLES) - 1


@pytest.mark.parametrize(
    ("nested", "bare"),
    [
        (
            "SELECT * FROM (SELECT a FROM x) AS p UNION ALL SELECT * FROM (SELECT a FROM y) AS q",
            "SELECT a FROM x UNION ALL SELECT a FROM y",
        ),
        (
            "SELECT * FROM (SELECT * FROM (SELECT a FROM x WHERE a > 1) AS p) AS q"
            " UNION ALL SELECT b FROM y",
            "SELECT a FROM x WHERE a > 1 UNION ALL SELECT b FROM y",
        ),
        (
            "SELECT * FROM (SELECT a FROM x UNION ALL SELECT a FROM y) AS p"
            " UNION ALL SELECT a FROM z",
            "SELECT a FROM x UNION ALL SELECT a FROM y UNION ALL SELECT a FROM z",
        ),
    ],
)
def test_all_columns_of_a_query_are_that_query(nested: str, bare: str) -> None:
    assert flat(nested) == bare


@pytest.mark.parametrize(
    "kept",
    [
        "SELECT * FROM (SELECT a FROM x ORDER BY a LIMIT 3) AS p UNION ALL SELECT a FROM y",
        "SELECT * FROM (SELECT a FROM x) AS p WHERE a > 1 UNION ALL SELECT a FROM y",
        "SELECT * FROM (SELECT a FROM x) AS p CROSS JOIN z UNION ALL SELECT a FROM y",
        "SELECT DISTINCT * FROM (SELECT a FROM x) AS p UNION ALL SELECT a FROM y",
        "SELECT * FROM (SELECT a FROM x) AS p GROUP BY a UNION ALL SELECT a FROM y",
        "SELECT a FROM (SELECT a FROM x) AS p UNION ALL SELECT a FROM y",
        "SELECT * FROM x AS p UNION ALL SELECT a FROM y",
        "SELECT * FROM (SELECT a FROM x UNION SELECT a FROM z) AS p UNION ALL SELECT a FROM y",
        "SELECT * FROM (SELECT a FROM x) AS p UNION SELECT a FROM y",
    ],
)
def test_what_does_more_than_that_is_left(kept: str) -> None:
    assert flat(kept) == kept


@pytest.mark.parametrize(
    ("nested", "bare"),
    [
        (
            'SELECT "p"."a" FROM (SELECT * FROM "x" AS "t" WHERE "t"."b" = 1) AS "p"'
            ' WHERE "p"."a" > 1 OR "p"."a" < 0 ORDER BY "p"."c"',
            'SELECT "t"."a" FROM "x" AS "t" WHERE "t"."b" = 1 AND ("t"."a" > 1 OR "t"."a" < 0)'
            ' ORDER BY "t"."c"',
        ),
        (
            'SELECT COUNT(*), "p"."a" IN (SELECT "q"."a" FROM "y" AS "q") FROM'
            ' (SELECT * FROM "x" AS "t") AS "p" GROUP BY 2',
            'SELECT COUNT(*), "t"."a" IN (SELECT "q"."a" FROM "y" AS "q") FROM "x" AS "t"'
            " GROUP BY 2",
        ),
    ],
)
def test_who_chooses_columns_reads_the_table_itself(nested: str, bare: str) -> None:
    assert flat(nested) == bare


@pytest.mark.parametrize(
    "query",
    [
        'SELECT * FROM (SELECT * FROM "x" AS "t" WHERE "t"."b" = 1) AS "p"',
        'SELECT "p".* FROM (SELECT * FROM "x" AS "t" WHERE "t"."b" = 1) AS "p"',
        'SELECT "p"."a" FROM (SELECT * FROM "x" AS "t" LIMIT 1) AS "p"',
        'SELECT "p"."a" FROM (SELECT "t"."a" FROM "x" AS "t" WHERE "t"."b" = 1) AS "p"',
        'SELECT "p"."a" FROM (SELECT * FROM "x" AS "t") AS "p"'
        ' JOIN "y" AS "q" ON "p"."a" = "q"."a"',
        'SELECT "p"."a" IN (SELECT "t"."a" FROM "y" AS "t" WHERE "t"."b" = "p"."b") FROM'
        ' (SELECT * FROM "x" AS "t") AS "p"',
    ],
)
def test_other_queries_of_a_table_stay_as_they_are(query: str) -> None:
    assert flat(query) == query
