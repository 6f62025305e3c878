"""Queries as the engine has parsed them: reading a text takes it a quarter of all its planning."""

from __future__ import annotations

import duckdb


class ParsedQueries:
    """Remembers parsed queries, ``most`` of them at once. For threads: a parsed query stays as it
    is when it runs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[str, duckdb.Statement] = {}

    def of(self, cursor: duckdb.DuckDBPyConnection, text: str) -> duckdb.Statement:
        """Give the one statement of a text."""
        found = self._found.get(text)
        if found is None:
            (found,) = cursor.extract_statements(text)
            if len(self._found) >= self._most:
                self._found.clear()
            self._found[text] = found
        return found
