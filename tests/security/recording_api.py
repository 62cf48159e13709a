"""Records every response of the API, and every secret in its requests and responses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.security.sensitive_text import SensitiveText
from tests.support.deployed import Api, Reply


@dataclass
class RecordingApi:
    """An API that records every response, and every secret in the traffic."""

    api: Api
    sensitive: set[SensitiveText] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Sends one request."""
        reply = self.api.send(method, path, headers=headers, body=body)
        query = parse_qs(urlsplit(path).query)
        self._record("code", *query.get("code", []))
        self._record("handle", *query.get("state", []), *re.findall("/connect/(.{43})", path))
        for name, value in (headers or {}).items():
            if name == "authorization":
                self._record("application access token", value.removeprefix("Bearer "), value[-40:])
            if name.lower() == "finch-signature":
                self._record("signature", value.partition(",")[2])
        for cookie in reply.set_cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._record("handle" if name.endswith("-last") else "binding cookie", value)
        location = reply.headers.get("location", "")
        self._record("completion", *parse_qs(urlsplit(location).fragment).get("completion", []))
        self.addresses.append(location)
        (self.refusals if reply.status >= 400 else self.answers).append(reply.text)
        return reply

    def _record(self, kind: str, *texts: str) -> None:
        self.sensitive |= {SensitiveText(kind, text) for text in texts if len(text) > 5}
