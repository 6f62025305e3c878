"""Asks a real console by SCIM, as an identity provider does."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from canaries import PLANTED
from consoles import Reply, RunningConsole
from tollkeeper.services import scim_tokens

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
MEDIA_TYPE = "application/scim+json"


class ScimClient:
    """Somebody with a SCIM token. Answers are checked for their form."""

    def __init__(self, console: RunningConsole) -> None:
        self.console = console
        made = scim_tokens.make(console.store, console.vault, "okta", "test", console.now_us)
        PLANTED.plant("a SCIM token's secret", made.text.rpartition("_")[2])
        self.token = made.token
        self.headers = {"authorization": f"Bearer {made.text}"}

    def ask(self, method: str, path: str, data: Any = None, **headers: str) -> Reply:
        sent = self.headers | headers
        body = None
        if data is not None:
            body = json.dumps(data).encode()
            sent = {"content-type": MEDIA_TYPE} | sent
        reply = self.console.ask(method, f"/scim/v2{path}", headers=sent, body=body)
        if reply.status != 204:
            assert reply.header("content-type") == MEDIA_TYPE, reply
        return reply

    def done(self, method: str, path: str, data: Any = None) -> Any:
        """Ask for what is to work."""
        reply = self.ask(method, path, data)
        assert reply.status in {200, 201, 204}, reply
        return None if reply.status == 204 else reply.json()

    def refused(self, method: str, path: str, data: Any = None) -> tuple[int, str]:
        """Ask for what is to be refused; give the status and the ``scimType``."""
        reply = self.ask(method, path, data)
        found = reply.json()
        assert found["schemas"] == [ERROR], found
        assert found["status"] == str(reply.status)
        assert found["detail"]
        return reply.status, found.get("scimType", "")

    def patch(self, path: str, *operations: dict[str, Any]) -> Any:
        return self.done("PATCH", path, patch(*operations))

    def add_user(self, user_name: str = "bjensen@acme.com", **more: Any) -> Any:
        return self.done("POST", "/Users", {"schemas": [USER], "userName": user_name, **more})

    def add_group(self, name: str, *members: str) -> Any:
        listed = [{"value": each} for each in members]
        data = {"schemas": [GROUP], "displayName": name, "members": listed}
        return self.done("POST", "/Groups", data)

    def found(self, kind: str, text: str) -> list[Any]:
        """Give what a filter finds."""
        listed = self.done("GET", f"/{kind}?filter={quote(text)}")
        assert listed["totalResults"] == len(listed["Resources"])
        return list(listed["Resources"])


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(operations)}
