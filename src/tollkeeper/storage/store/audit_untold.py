"""Changes of the store of which the audit log says nothing, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

UNTOLD: Final[Mapping[str, str]] = {
    "add_audit": "is the log itself",
    "use_login_link": "only leads to a session, which is told of",
    "use_identity": "notes when somebody came in, whose session is told of",
    "spend_state": "is a step of a sign-in",
    "replace_password": "keeps the same password under a newer hash",
    "touch_session": "notes that a session is in use",
    "forget_sign_ins": "deletes links and sessions that are of no use any more",
    "probe": "changes nothing that anybody reads",
    "keep_pricing_run": "is a look for prices by itself; what it books is told of",
    "add_alert": "is found by the server; who is told of it stands with the alert",
    "forget_alerts": "deletes alerts that are long over",
    "add_message": "is a message on its way out",
    "address": "is a message on its way out",
    "claim": "is a message on its way out",
    "settle": "is a message on its way out",
    "digest": "is a message on its way out",
    "set_channel": "is how a channel did lately",
    "forget_messages": "deletes messages that are long sent",
}
"""Methods that write and leave no entry, each with the reason. Reviewed, and held by a test."""
