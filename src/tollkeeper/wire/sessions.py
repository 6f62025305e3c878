"""Session ids of coding agents: how they are written, and what may be kept of them."""

from __future__ import annotations

import re
from typing import Final

_SESSION_CHARS_MAX: Final = 128
# Claude Code writes JSON into the text; versions before 2.1 joined the parts by underscores.
_IN_JSON: Final = re.compile(r'"session_id"\s*:\s*"([^"\\]{1,128})"')
_JOINED: Final = re.compile(r"user_[0-9a-f]{64}_account_[0-9a-f-]*_session_([0-9a-f-]{36})")
_KIMI: Final = re.compile(r"session_[0-9a-f-]{36}")


def session_in_user_id(user_id: str) -> str:
    """Give the session id that an agent put into ``metadata.user_id``, "" if there is none.

    Then the text names a machine and a session, not an end customer.
    """
    if not user_id:
        return ""
    if user_id.startswith("{"):
        found = _IN_JSON.search(user_id)
        return usable_session(found[1]) if found else ""
    joined = _JOINED.fullmatch(user_id)
    if joined:
        return joined[1]
    return user_id if _KIMI.fullmatch(user_id) else ""


def usable_session(text: str) -> str:
    """Give a session id back if it can be stored and shown, else ""."""
    if len(text) > _SESSION_CHARS_MAX or not text.isascii() or not text.isprintable():
        return ""
    return text.strip()
