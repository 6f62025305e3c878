"""Amazon Bedrock's settings: where it is, and the access key that its requests are signed with.

A key is one of Bedrock's API keys, sent as a bearer token, or an access key of AWS. Kept as one
text (as the store keeps it), an access key is its parts with colons between them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.routing import AwsKey

KIND: Final = "bedrock"
SETTINGS: Final = ("region", "access_key_id", "secret_access_key", "session_token", "profiles")
"""Settings of this kind of provider only. ``location`` is another word for ``region``."""

_REGION: Final = re.compile(r"[a-z]{2,3}(?:-[a-z]+)+-\d{1,2}")
_HOST: Final = re.compile(r"(?:^|\.)(bedrock-(?:runtime|mantle))(?:-fips)?\.([a-z0-9-]+)\.")
_COMPATIBLE: Final = re.compile(r"/openai(?:/v1)?/?$")
_ACCESS_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SECRET: Final = re.compile(r"[!-9;-~]+")  # printable, and no colon
_RUNTIME: Final = "bedrock-runtime"
_SERVICES: Final = {_RUNTIME: "bedrock", "bedrock-mantle": "bedrock-mantle"}


def bedrock_place(base_url: str, region: str) -> tuple[str, str]:
    """Give the base URL and the region of a Bedrock; the region is "" where nothing tells it.

    Raises ConfigError where neither is given.
    """
    if region and not _REGION.fullmatch(region):
        raise ConfigError(f"region is {region!r}", hint="write it as AWS does: us-east-1")
    if not base_url:
        if not region:
            raise ConfigError(
                "region is missing: where your Bedrock is", hint="for example us-east-1"
            )
        return f"https://{_RUNTIME}.{region}.amazonaws.com", region
    host = _HOST.search(urlsplit(base_url).hostname or "")
    return _COMPATIBLE.sub("", base_url), region or (host[2] if host is not None else "")


def access_key(
    access_key_id: str, secret_access_key: str, session_token: str, base_url: str, region: str
) -> AwsKey | None:
    """Make the key that requests are signed with; None where no part of it is given.

    Raises ConfigError for half a key, and where no region is known to sign for.
    """
    if not (access_key_id or secret_access_key or session_token):
        return None
    if not access_key_id or not secret_access_key:
        raise ConfigError("access_key_id and secret_access_key are needed together")
    if not _ACCESS_KEY_ID.fullmatch(access_key_id):
        raise ConfigError("access_key_id is no access key id of AWS")
    for setting, value in (
        ("secret_access_key", secret_access_key),
        ("session_token", session_token),
    ):
        if value and not _SECRET.fullmatch(value):
            raise ConfigError(f"{setting} holds a character that is in none of AWS's")
    if not region:
        raise ConfigError("region is missing: requests are signed for one")
    host = _HOST.search(urlsplit(base_url).hostname or "")
    service = _SERVICES[host[1] if host is not None else _RUNTIME]
    return AwsKey(access_key_id, secret_access_key, session_token, region, service)


def stored_access_key(secret: str, base_url: str, region: str) -> AwsKey | None:
    """Read a key that was kept as one text; None if it is no access key but an API key."""
    if ":" not in secret:
        return None
    access_key_id, secret_access_key, session_token, *more = (*secret.split(":"), "")
    if more and more != [""]:
        raise ConfigError("the stored key has more than three parts")
    return access_key(access_key_id, secret_access_key, session_token, base_url, region)


def profiles_from(profiles: object) -> dict[str, str]:
    """Read which models the inference profiles of one's own stand for: ARN or id → model."""
    if profiles is None:
        return {}
    if not isinstance(profiles, Mapping) or not all(
        isinstance(text, str) and text.strip() for pair in profiles.items() for text in pair
    ):
        raise ConfigError(
            "profiles must name the model behind each inference profile",
            hint="profiles: {otnfa2ysixqd: us.anthropic.claude-sonnet-4-6}",
        )
    return {str(name): str(model) for name, model in profiles.items()}
