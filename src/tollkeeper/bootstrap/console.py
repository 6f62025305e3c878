"""The console process: pages, API, jobs."""

from __future__ import annotations
