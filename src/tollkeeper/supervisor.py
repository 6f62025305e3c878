"""Starts the gateway, the console and the sandbox, and keeps them running."""
