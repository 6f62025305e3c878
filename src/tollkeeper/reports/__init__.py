"""What the pages say: read-only questions to the ledger, each answered by a frozen dataclass."""
