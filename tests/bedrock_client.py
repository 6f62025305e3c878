"""AWS's own client before a gateway, and the gateway before a Bedrock that checks signatures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from bedrock_upstream import (
    ACCESS_KEY_ID,
    API_KEY,
    REGION,
    SECRET,
    SESSION,
    FakeBedrock,
    usual_answer,
)
from rough_upstream import RoughUpstream
from running import Deployment, deployment
from tollkeeper.domain.ledger import LedgerEntry

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/otnfa2ysixqd"
HI: Any = [{"role": "user", "content": [{"text": "hi"}]}]
_SIGNED = {
    "access_key_id": ACCESS_KEY_ID,
    "secret_access_key": SECRET,
    "session_token": SESSION,
}


class Amazon:
    """The gateway, the provider behind it, and what both have of one test."""

    def __init__(
        self, gateway: Deployment, bedrock: FakeBedrock, environment: pytest.MonkeyPatch
    ) -> None:
        self._environment = environment
        self._clients: list[Any] = []
        self.gateway = gateway
        self.url = gateway.url
        self.verify: str | None = None
        self.bedrock = bedrock
        self._entries = len(gateway.entries())
        bedrock.seen.clear()
        bedrock.answer = usual_answer

    def client(self, way: str = "signed", path: str = "", key: str = "") -> Any:
        """Make a client that presents our key in one of the ways it can."""
        key = key or self.gateway.key
        access_key_id = key
        if way == "bearer":
            self._environment.setenv("AWS_BEARER_TOKEN_BEDROCK", key)
            access_key_id = "AKIAOTHER"
        session = boto3.Session(access_key_id, "anything", "anything", region_name="eu-west-3")
        client = session.client(
            "bedrock-runtime",
            endpoint_url=self.url + path,
            verify=self.verify,
            config=Config(retries={"max_attempts": 0}, read_timeout=20),
        )
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def entry(self) -> LedgerEntry:
        """Wait for the one new entry."""
        return self.gateway.entries_when(self._entries + 1)[-1]

    def entries(self, count: int) -> list[LedgerEntry]:
        return self.gateway.entries_when(self._entries + count)[self._entries :]


@contextmanager
def bedrock_gateway(folder: Path, **listen: str) -> Iterator[tuple[Deployment, FakeBedrock]]:
    """Run a gateway with two accounts of Bedrock: one signs, one has an API key."""
    bedrock = FakeBedrock()
    with RoughUpstream(bedrock) as rough:
        here = {"base_url": rough.url, "region": REGION}
        made = {
            "listen": listen,
            "providers": {
                "bedrock": {**here, **_SIGNED, "profiles": {"otnfa2ysixqd": SONNET}},
                "keyed": {**here, "kind": "bedrock", "api_key": API_KEY},
            },
            "models": {"cheap": "keyed/amazon.nova-lite-v1:0"},
        }
        with deployment(folder, rough.url, made) as gateway:
            yield gateway, bedrock
