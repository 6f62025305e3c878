"""Reads tollkeeper.yaml and the environment; the only place that does."""
