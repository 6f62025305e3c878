"""The ledger in DuckDB: one file, one process, one writer and any number of readers."""
