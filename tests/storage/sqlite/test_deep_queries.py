"""A query as deep as it may be is written so that SQLite can read it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlglot

from tollkeeper.storage.sqlite.deep_queries import named_where_deep


def test_queries_of_any_depth_can_be_read() -> None:
    text = "SELECT a, b FROM t WHERE a < 3"
    for level in range(40):
        text = f"SELECT a, b + 1 AS b FROM ({text}) AS x{level % 7} WHERE a > 0"  # noqa: S608
    text = f"SELECT a FROM t AS o WHERE EXISTS (SELECT 1 FROM ({text}) AS i WHERE i.a = o.a)"  # noqa: S608
    query = sqlglot.parse_one(text, dialect="sqlite")
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a, b)")
        connection.execute("INSERT INTO t VALUES (1, 2), (2, 2), (3, 4)")
        with pytest.raises(sqlite3.OperationalError, match="parser stack overflow"):
            connection.execute(text)
        found = named_where_deep(query).sql(dialect="sqlite")
        assert connection.execute(found).fetchall() == [(1,), (2,)]
