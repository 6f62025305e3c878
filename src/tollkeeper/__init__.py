"""Tollkeeper: a self-hosted LLM gateway, cost ledger and dashboard."""

__version__ = "0.1.0"
