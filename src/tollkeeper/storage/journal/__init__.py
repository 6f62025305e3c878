"""The journal: append-only segment files between the gateway and the ledger."""
