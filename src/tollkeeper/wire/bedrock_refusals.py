"""How an error is told to a client of Amazon Bedrock: in AWS's words, so that its SDK knows it.

The SDKs take the error's name from a header and its sentence from the body, and repeat a
request by name and status: none of these names is one that they repeat, but for the gateway
being busy or limited and the provider not answering. Source: the service's model in botocore.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tollkeeper.domain.errors import (
    BadRequest,
    KeyRejected,
    NotAllowed,
    Overloaded,
    Refused,
    TollkeeperError,
    UnknownRoute,
    UpstreamFailed,
    UpstreamTimeout,
)
from tollkeeper.domain.rate_limits import RateLimited
from tollkeeper.wire.clients import CLAUDE_CODE

_WORDS: Final[tuple[tuple[type[TollkeeperError], str], ...]] = (
    (KeyRejected, "UnrecognizedClientException"),
    (NotAllowed, "AccessDeniedException"),
    (UnknownRoute, "ResourceNotFoundException"),
    (Overloaded, "ServiceUnavailableException"),
    (RateLimited, "ThrottlingException"),
    (BadRequest, "ValidationException"),
    (UpstreamTimeout, "ModelTimeoutException"),
    (UpstreamFailed, "ServiceUnavailableException"),
    (Refused, "AccessDeniedException"),
)
_FORBIDDEN: Final = 403


def aws_status(error: TollkeeperError, tool: str) -> int:
    """Give the status that AWS answers such an error with, which knows no 401.

    Claude Code takes a 403 for credentials that will be renewed, and repeats the call for
    minutes in silence; it shows a 401 and a 400 at once (observed, version 2.1.332).
    """
    if tool != CLAUDE_CODE:
        return _FORBIDDEN if isinstance(error, KeyRejected) else error.status
    return 400 if error.status == _FORBIDDEN else error.status


def aws_error(
    error: TollkeeperError, message: str, call_id: str, *, for_money: bool = False
) -> tuple[bytes, bytes]:
    """Give the header lines and the body that tell an error in AWS's words."""
    word = "ServiceQuotaExceededException" if for_money else _word(error)
    lines = b"x-amzn-errortype: %b\r\n" % word.encode()
    if call_id:
        lines += b"x-amzn-requestid: %b\r\n" % call_id.encode("ascii", "replace")
    return lines, msgspec.json.encode({"__type": word, "message": message})


def _word(error: TollkeeperError) -> str:
    for kind, word in _WORDS:
        if isinstance(error, kind):
            return word
    return "InternalServerException"
