"""The ``sign_in`` section of tollkeeper.yaml: how people get into the dashboard."""

from __future__ import annotations

import msgspec

from tollkeeper.config.oidc import OidcOptions


class SignInOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``passwords: false`` leaves the links of the command line, and what else is set up here."""

    passwords: bool = True
    oidc: list[OidcOptions] = []
