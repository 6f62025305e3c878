"""The error tree.

    TollkeeperError
    ├── Refused               the gateway said no; nothing reached a provider, nothing was spent
    │   ├── BadRequest        400  the request cannot be read or contradicts itself
    │   ├── KeyRejected       401  no key, an unknown, expired or revoked one
    │   ├── OverBudget        402  a budget has no room, or no price says how much it takes
    │   ├── NotAllowed        403  the key may not do this
    │   ├── UnknownRoute      404  no such path, model or provider
    │   ├── NotFound          404  no such team, person, key or stored secret
    │   ├── Conflict          409  the name is taken, or the change would lock everyone out
    │   ├── TooLarge          413  body, header or target above its limit
    │   └── Overloaded        503  too busy, draining, or the journal cannot be written
    ├── UpstreamFailed        502  the provider could not be reached or broke the protocol
    │   └── UpstreamTimeout   504
    ├── LedgerUnavailable     503  the ledger cannot be read or written at the moment
    │   └── LedgerInUse            another process has it open
    ├── EntriesRejected            entries that no ledger column can hold
    └── ConfigError           a configuration that cannot be used (file, line, what to do)

Domain code raises these; ``wire/refusals.py`` turns a refusal into the caller's own protocol.
Every error carries a stable ``code`` that programs can test and a ``message`` for people.
Messages never contain a secret, a prompt or a key.
"""

from __future__ import annotations


class TollkeeperError(Exception):
    """Base of all errors that Tollkeeper raises on purpose."""

    code = "error"
    status = 500

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class Refused(TollkeeperError):
    """The gateway refused the call before any provider saw it.

    ``retry_after_s`` is set where trying again later can help.
    """

    code = "refused"
    status = 400

    def __init__(
        self, message: str, *, code: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class BadRequest(Refused):
    code = "bad_request"
    status = 400


class KeyRejected(Refused):
    code = "key_rejected"
    status = 401


class OverBudget(Refused):
    """A budget has no room for the call.

    ``resets_at_us`` is when it opens again (epoch microseconds), None where it does not by
    itself, or where more room would not help.
    """

    code = "budget_exceeded"
    status = 402

    def __init__(
        self, message: str, *, code: str | None = None, resets_at_us: int | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.resets_at_us = resets_at_us


class NotAllowed(Refused):
    code = "not_allowed"
    status = 403


class UnknownRoute(Refused):
    code = "not_found"
    status = 404


class NotFound(Refused):
    code = "not_found"
    status = 404


class Conflict(Refused):
    code = "conflict"
    status = 409


class TooLarge(Refused):
    code = "too_large"
    status = 413


class Overloaded(Refused):
    code = "overloaded"
    status = 503


class UpstreamFailed(TollkeeperError):
    """The provider could not be reached, or its reply broke the protocol."""

    code = "upstream_failed"
    status = 502


class UpstreamTimeout(UpstreamFailed):
    code = "upstream_timeout"
    status = 504


class LedgerUnavailable(TollkeeperError):
    """The ledger cannot answer now. Nothing is lost: the journal keeps what is not loaded."""

    code = "ledger_unavailable"
    status = 503


class LedgerInUse(LedgerUnavailable):
    """Another process has the ledger open. ``pid`` names it where the engine tells."""

    code = "ledger_in_use"

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class EntriesRejected(TollkeeperError):
    """A batch holds entries that the ledger's columns cannot hold; nothing of it was added."""

    code = "entries_rejected"

    def __init__(self, message: str, *, entry_ids: frozenset[str]) -> None:
        super().__init__(message)
        self.entry_ids = entry_ids


class ConfigError(TollkeeperError):
    """A configuration that cannot be used. ``str()`` names file, line and remedy."""

    code = "config"

    def __init__(self, message: str, *, file: str = "", line: int = 0, hint: str = "") -> None:
        place = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(f"{place}{message}{f' ({hint})' if hint else ''}")
        self.file = file
        self.line = line
        self.hint = hint
