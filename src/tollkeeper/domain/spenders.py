"""What is known of calls by other ways than a call itself: whose they are, or will be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tollkeeper.domain.access import NO_TAGS


class Caller(NamedTuple):
    """A ``budgets.Spender`` of plain values; what is not known is empty."""

    org: str = ""
    team: str = ""
    user_id: str = ""
    key_id: str = ""
    tags: Mapping[str, str] = NO_TAGS
    model: str = ""
    provider: str = ""
    endpoint: str = ""
    tool: str = ""
    end_customer: str = ""
    session_id: str = ""
