"""Whether a configuration that came out of another one can be used, before anybody relies on it."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tollkeeper import config
from tollkeeper.domain.errors import ConfigError

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def problem_of(text: str) -> str:
    """Say why our configuration cannot be used, "" if it can.

    Its variables are given values of their kind: nobody has set them yet.
    """
    variables = {name: _stand_in(name) for name in _VARIABLE.findall(text)}
    with TemporaryDirectory() as folder:
        file = Path(folder) / config.DEFAULT_FILE
        file.write_text(text, "utf-8")
        try:
            config.load(file, variables)
        except ConfigError as error:
            hint = f" ({error.hint})" if error.hint else ""
            return f"line {error.line}: {error.message}{hint}" if error.line else error.message
    return ""


def _stand_in(name: str) -> str:
    upper = name.upper()
    if any(word in upper for word in ("URL", "BASE", "ENDPOINT")):
        return "https://example.com"
    return "us-east-1" if "REGION" in upper or "LOCATION" in upper else "stand-in"
