"""Timers: one table of jobs, each one service call."""
