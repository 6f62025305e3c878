"""Adapters behind the ports that keep things: journal, store, ledger engines."""
