"""What is written in other words than Ibis's answers the same."""

from __future__ import annotations

import duckdb
import ibis
from ibis.backends.sql.compilers.duckdb import DuckDBCompiler

from tollkeeper.storage.duckdb.compiling import compiled

ROWS = """
CREATE TABLE rows AS FROM (VALUES
    ('a', 'first', 1), ('a', 'last', 3), ('a', 'middle', 2), ('b', NULL, 5), ('b', 'old', 4),
    ('c', 'é😀x', 1), ('d', '', 1)) AS found(team, name, moment)
"""


def test_the_newest_value_and_parts_of_texts_are_those_of_ibis() -> None:
    table = ibis.table({"team": "string", "name": "string", "moment": "int64"}, name="rows")
    late = table.moment > 1
    expression = table.group_by("team").agg(
        newest=table.name.argmax(table.moment),
        newest_late=table.name.argmax(table.moment, where=late),
        start=table.name.substr(0, 2).max(),
        later=table.name.substr(1, 3).max(),
        end=table.name.substr(-2, 2).max(),
        rest=table.name.substr(1).max(),
    )
    compiler = DuckDBCompiler()
    wordy = compiler.to_sqlglot(expression).sql(dialect=compiler.dialect)
    ours = compiled(expression).text
    assert "ARG_MAX_NULL" in ours
    with duckdb.connect(":memory:") as connection:
        connection.execute(ROWS)
        found = connection.execute(f"{ours} ORDER BY 1").fetchall()
        assert found == connection.execute(f"{wordy} ORDER BY 1").fetchall()
    assert found[1][1] is None
    assert found[2][3:5] == ("é😀", "😀x")
