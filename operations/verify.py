"""`verify`: takes a connection through a deployed stack and Finch's sandbox, then breaks the rules.

It acts as a customer of the application and as another backend. It disconnects what it has connected.
"""

import base64
import getpass
import json
import os
import secrets
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from finch_connections.domain.secret import SecretText
from finch_connections.finch.client import API_VERSION
from operations import doctor
from operations.stack import CannotOperate, ExitCode, Say, Stack, explained, progress

TOKEN, OTHER_TOKEN = "FINCH_CONNECTIONS_TOKEN", "FINCH_CONNECTIONS_OTHER_TOKEN"
# Finch sends a webhook at once.
WEBHOOK_WITHIN = timedelta(minutes=2)
# A worse status is shown when Finch repeats it a minute later, and the schedule adds up to a minute.
HEALTH_WITHIN = timedelta(minutes=6)
DISCONNECTED_WITHIN = timedelta(minutes=5)
_PAUSE_SECONDS = 2.0
_TIMEOUT = 40.0
_PRODUCTS = ["company", "directory"]
# This machine and AWS may have different clocks.
_CLOCKS_DIFFER = timedelta(minutes=1)


class Failed(Exception):
    """A check has failed. The message is one sentence for the operator."""


class LeftOut(Exception):
    """A check cannot be made here. The message says why."""


class Stopped(Exception):
    """The next steps need a check that has failed."""


@dataclass(frozen=True)
class Seen:
    """The result of a check. `passed` is None for a check that was left out."""

    check: str
    passed: bool | None
    saw: str
    seconds: float

    def line(self) -> str:
        """The result for a person."""
        word = {True: "ok", False: "FAILED", None: "left out"}[self.passed]
        return f"{word:9} {self.check}: {self.saw} ({self.seconds:.1f} s)"


@dataclass(frozen=True)
class Landing:
    """Where a browser ended: the outcome in the address, and the completion code."""

    outcome: Mapping[str, str]
    completion: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, address: str) -> "Landing | None":
        """The landing at an address, or None for an address that no callback makes."""
        parts = urlsplit(address.strip())
        _, mark, outcome = f"&{parts.query}".rpartition("&finch=return&")
        if not mark:
            return None
        return cls(dict(parse_qsl(outcome)), dict(parse_qsl(parts.fragment)).get("completion"))

    @property
    def usable(self) -> bool:
        """Whether the connection can be finished from here. A page may have removed the code."""
        finished = "error" in self.outcome or self.outcome.get("status") == "connected"
        return finished or self.completion is not None


@dataclass(frozen=True)
class Customer:
    """A customer of the application, by an access token."""

    token: str = field(repr=False)
    claims: Mapping[str, Any]

    @classmethod
    def of(cls, variable: str, token: str) -> "Customer":
        """The customer of a token; raises `CannotOperate` if it is no JWT."""
        try:
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            return cls(token, {**claims})
        except (ValueError, IndexError, TypeError):
            raise CannotOperate(
                f"{variable} is not a JWT. Take the access token that your application sends to the API."
            ) from None


def customers() -> tuple[Customer, Customer | None]:
    """The customer who connects and, if given, another; asks at a terminal. Raises `CannotOperate`."""
    at_terminal = sys.stdin.isatty()
    token, other = os.environ.get(TOKEN, ""), os.environ.get(OTHER_TOKEN, "")
    if not token and at_terminal:
        token = getpass.getpass("Access token of a test customer without connections (not shown): ")
        other = other or getpass.getpass("Access token of another customer (Enter leaves it out): ")
    if not token:
        raise CannotOperate(
            f"Set {TOKEN} to an access token of your application for a test customer without "
            f"connections, for example: read -rs {TOKEN} && export {TOKEN}"
        )
    return (
        Customer.of(TOKEN, token.strip()),
        Customer.of(OTHER_TOKEN, other.strip()) if other else None,
    )


@dataclass
class Verification:
    """One run of the command against a stack."""

    stack: Stack
    customer: Customer
    other: Customer | None
    provider_id: str | None
    open_with: str | None
    patience: timedelta
    tell: Say
    http: httpx.Client
    seen: list[Seen] = field(default_factory=list)
    # The sessions whose connection is not confirmed yet, by their hashes.
    unfinished: list[str] = field(default_factory=list)
    company: tuple[str, str] | None = None
    started: bool = False
    ended: bool = False
    began_at: float = field(default_factory=time.time)

    # The path

    def run(self) -> None:
        """Makes all checks. The results are in `seen`. Raises `CannotOperate` before the first change."""
        try:
            self._begin()
            for check, look in (
                ("no access token", self._without_token),
                ("forged access token", self._forged_token),
                ("callback with a wrong state", self._wrong_state),
                ("webhook without a signature", self._unsigned_webhook),
                ("return to a foreign page", self._foreign_page),
            ):
                self._check(check, look)
            self._connect()
            self._check("connection of another customer", self._other_customer)
            self._check("token of another customer", self._vend_to_nobody)
            token = self._check("vend", self._vend, needed=True)
            self._check("call of Finch", self._call)
            if self._check("sandbox loses the login", lambda: self._lose_login(token)):
                self._check("webhook of Finch", self._webhook)
                if self._check("health", self._health):
                    token = self._repair() or token
            self._check("disconnect", lambda: self._disconnect(token), needed=True)
        except Stopped:
            pass
        finally:
            self._clean_up()

    def _begin(self) -> None:
        began = time.monotonic()
        for finding in doctor.findings(self.stack, doctor.BASICS):
            fault = f"{finding.state}; {finding.fix}" if finding.fix else finding.state
            seconds = time.monotonic() - began
            self._note(Seen(finding.about, finding.fix is None, fault, seconds))
            began += seconds
        self._check("issuer of the access token", self._issuer)
        if not all(one.passed for one in self.seen):
            raise Stopped
        if live := self._check("list before", self._live, needed=True):
            raise CannotOperate(
                f"The customer has {len(live)} connections, and this command disconnects what it finds. "
                f"Set {TOKEN} to a token of a test customer without connections."
            )

    def _connect(self) -> None:
        link = self._check("start", self._start, needed=True)
        self._check("link", lambda: self._click(link), needed=True)
        landing = self._check(
            "Finch Connect", lambda: self._pass_finch(link, self._connected), needed=True
        )
        self._check("completion code of another customer", lambda: self._steal(landing))
        self._check("confirm", lambda: self._confirm(landing), needed=True)
        self._check("list", self._listed, needed=True)

    def _repair(self) -> SecretText | None:
        """Repairs the connection; returns its new token, or None if a check has failed."""
        try:
            link = self._check("start a repair", self._start_repair, needed=True)
            landing = self._check(
                "Finch Connect again",
                lambda: self._pass_finch(link, lambda: self._shown()["status"] == "connected"),
                needed=True,
            )
            self._check("confirm the repair", lambda: self._confirm(landing), needed=True)
            token: SecretText | None = self._check("vend again", self._vend)
            return token
        except Stopped:
            return None

    def _check[T](
        self, check: str, look: Callable[[], tuple[str, T]], *, needed: bool = False
    ) -> Any:
        """The value that a check finds, None if it fails. Raises `Stopped` if it fails and is `needed`."""
        began = time.monotonic()
        result: T | None = None
        passed: bool | None = False
        try:
            saw, result = look()
            passed = True
        except LeftOut as error:
            passed, saw = None, str(error)
        except (Failed, CannotOperate) as error:
            saw = str(error)
        except (ClientError, BotoCoreError) as error:
            saw = explained(error)
        except httpx.HTTPError as error:
            saw = f"no answer ({type(error).__name__})"
        except (ValueError, KeyError) as error:
            saw = f"an unexpected answer ({type(error).__name__})"
        self._note(Seen(check, passed, saw, time.monotonic() - began))
        if needed and not passed:
            raise Stopped
        return result

    def _note(self, seen: Seen) -> None:
        self.seen.append(seen)
        self.tell(seen.line())

    # The steps of the path

    def _issuer(self) -> tuple[str, None]:
        wanted, claims = self.stack.parameters, self.customer.claims
        audience = claims.get("aud", claims.get("client_id"))
        if claims.get("iss") != wanted["JwtIssuer"]:
            raise Failed(
                f"the access token is of the issuer {claims.get('iss')}, but the stack accepts "
                f"{wanted['JwtIssuer']}; correct the parameter JwtIssuer, or take another token"
            )
        if wanted["JwtAudience"] not in (audience if isinstance(audience, list) else [audience]):
            raise Failed(
                f"the access token is for the audience {audience}, but the stack accepts "
                f"{wanted['JwtAudience']}; correct the parameter JwtAudience, or take another token"
            )
        if isinstance(claims.get("exp"), int | float) and claims["exp"] < time.time():
            raise Failed("the access token has expired; take a new one")
        return f"{claims['iss']}, as the stack accepts it", None

    def _live(self) -> tuple[str, list[Any]]:
        live = [one for one in self._connections() if one["status"] != "disconnected"]
        return f"the customer has {len(live)} connections", live

    def _start(self) -> tuple[str, str]:
        body = {"products": _PRODUCTS, "return_to": self._return_url()}
        if self.provider_id:
            body["provider_id"] = self.provider_id
        return self._started("/connect-sessions", body)

    def _start_repair(self) -> tuple[str, str]:
        return self._started(self._path() + "/reauthenticate", {"return_to": self._return_url()})

    def _started(self, path: str, body: Mapping[str, Any]) -> tuple[str, str]:
        answer = self._wanted(201, self._api("POST", path, self.customer, json=body)).json()
        link: str = answer["connect_url"]
        self.started = True
        self.unfinished.append(SecretText(link.rpartition("/")[2]).digest())
        return f"201, the link is valid until {answer['expires_at']}", link

    def _click(self, link: str) -> tuple[str, None]:
        location = self.http.get(link).headers.get("location", "")
        if (landing := Landing.of(location)) or "session=" not in location:
            error = landing.outcome.get("error") if landing else location or "no redirect"
            raise Failed(f"the link does not lead to Finch Connect: {error}")
        return f"302 to {location.partition('?')[0]}", None

    def _pass_finch(self, link: str, done: Callable[[], bool]) -> tuple[str, Landing]:
        deadline = time.monotonic() + self.patience.total_seconds()
        landing = self._opened(link) if self.open_with else None
        if landing is None:
            progress(
                f"\nOpen this link in a browser, and log in at Finch to a company of the sandbox:\n\n"
                f"  {link}\n\nThen copy the address at which the browser ends, and paste it here."
            )
        while landing is None or not landing.usable:
            if time.monotonic() > deadline:
                raise self._too_late()
            if address := self._pasted():
                landing = Landing.of(address)
                if landing is None:
                    progress("This is not an address with finch=return. Copy the whole address.")
                elif not landing.usable:
                    progress("Confirm the connection on this page, as the customer of the token.")
            elif done():
                landing = Landing({"status": "connected"})
        if error := landing.outcome.get("error"):
            raise Failed(f"the browser came back with the error {error}{_ADVICE.get(error, '')}")
        return f"the browser came back: {landing.outcome['status']}", landing

    def _too_late(self) -> Failed:
        minutes = self.patience.total_seconds() / 60
        return Failed(f"no login at Finch was finished within {minutes:g} minutes")

    def _opened(self, link: str) -> Landing | None:
        """Opens a link with the command of the operator. It may print where the browser ended."""
        words = [*shlex.split(self.open_with or ""), link]
        try:
            ended = subprocess.run(  # noqa: S603
                words,
                capture_output=True,
                text=True,
                timeout=self.patience.total_seconds(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._too_late() from None
        except OSError as error:
            raise Failed(f"the command of --open-with failed: {error.strerror}") from None
        if ended.returncode:
            reason = (ended.stderr.strip().splitlines() or [f"code {ended.returncode}"])[-1]
            raise Failed(f"the command of --open-with failed: {reason}")
        return Landing.of((ended.stdout.strip().splitlines() or [""])[-1])

    def _pasted(self) -> str:
        """A line that the person has written within some seconds, or an empty text."""
        if not sys.stdin.isatty():
            time.sleep(_PAUSE_SECONDS)
            return ""
        ready, _, _ = select.select([sys.stdin], [], [], _PAUSE_SECONDS)
        return sys.stdin.readline().strip() if ready else ""

    def _confirm(self, landing: Landing) -> tuple[str, None]:
        outcome, shown = dict(landing.outcome), "by the browser"
        if landing.completion:
            body: dict[str, Any] = {"completion": landing.completion}
            look = self._api("POST", "/callback", self.customer, json={**body, "look": True})
            names = look.json().get("entity_names") if look.status_code == 202 else None

            def confirmed() -> Any:
                answer = self._api("POST", "/callback", self.customer, json=body)
                if answer.status_code != 202:
                    return self._wanted(200, answer).json()
                body.update({"completion": answer.json().get("completion", body["completion"])})
                return None

            outcome = self._until(confirmed, HEALTH_WITHIN, "the connection is still pending")
            shown = f"200 for {', '.join(names)}" if names else "200"
        self.unfinished.clear()
        if "company_id" in outcome:
            self.company = outcome["provider_id"], outcome["company_id"]
        if str(outcome.get("repaired", "true")).lower() != "true":
            raise Failed("the login was to another company, so the connection is not repaired")
        return shown, None

    def _connected(self) -> bool:
        """Whether a connection has appeared, because the person has confirmed it in a browser."""
        for one in self._connections():
            if one["status"] != "disconnected":
                self.company = _key(one)
                return True
        return False

    def _listed(self) -> tuple[str, None]:
        if self.company is None and not self._connected():
            raise Failed("the list has no new connection")
        status = self._shown()["status"]
        if status not in ("connected", "pending", "processing", "unknown"):
            raise Failed(f"the new connection is {status}")
        provider_id, company_id = self.company or ("", "")
        return f"{provider_id} {company_id} is {status}", None

    def _vend(self) -> tuple[str, SecretText]:
        answer = self._vended()
        if "token" not in answer:
            raise Failed(f"refused: {answer['reason']}")
        token = SecretText(answer["token"]["access_token"])
        introspection = self._finch("GET", "/introspect", token)
        if introspection.status_code != 200:
            raise Failed(f"Finch answers {introspection.status_code} to the vended token")
        if introspection.json().get("connection_id") != answer["token"]["connection_id"]:
            raise Failed("Finch says that the vended token is of another connection")
        return "Finch accepts the token, and names the same connection", token

    def _call(self) -> tuple[str, None]:
        more = {"purpose": "verify", "caller": "finch-connections"}
        request = self._names() | more
        arn = self.stack.outputs["CallFinchArn"]
        forbidden = {"method": "POST", "path": "/disconnect"}
        if (answer := self.stack.call(arn, request | forbidden)) != {"reason": "path_not_allowed"}:
            raise Failed(f"a call that ends the connection is not refused ({answer.get('reason')})")
        allowed = {"method": "GET", "path": "/employer/directory", "query": {"limit": 1}}
        answer = self.stack.call(arn, request | allowed)
        if answer.get("reason") in ("not_ready", "path_not_allowed", "rate_limited"):
            raise LeftOut(f"the directory cannot be read here: {answer['reason']}")
        if answer.get("status_code") != 200:
            saw = answer.get("reason") or answer["status_code"]
            raise Failed(f"the directory cannot be read: {saw}")
        return "the directory is read without a token, and a disconnect is refused", None

    def _lose_login(self, token: SecretText) -> tuple[str, bool]:
        # "Sandbox" in Finch's API reference.
        status = {"connection_status": "reauth"}
        answer = self._finch("PUT", "/sandbox/connections/accounts", token, json=status)
        if answer.status_code >= 500:
            raise Failed(f"Finch answers {answer.status_code}")
        if answer.status_code != 200:
            raise LeftOut(
                f"Finch answers {answer.status_code}, so this is no sandbox; webhook, health and repair "
                "are not checked"
            )
        return "Finch has set the status reauth", True

    def _webhook(self) -> tuple[str, None]:
        ours = {login["connection_id"] for login in self._shown()["logins"]}
        refused: list[str] = []

        def arrived() -> str:
            lines = self._webhook_lines()
            # The reason of the webhook without a signature, which this command has sent, is a header.
            refused[:] = [
                line["reason"]
                for line in lines
                if line.get("message") == "webhook refused" and "header" not in line["reason"]
            ]
            for line in lines:
                if line.get("message") == "webhook received" and (
                    line.get("connection_id") in ours or line.get("event_type") == "test"
                ):
                    return f"{line['event_type']} arrived"
            return ""

        try:
            return self._until(arrived, WEBHOOK_WITHIN, ""), None
        except Failed:
            minutes = WEBHOOK_WITHIN.total_seconds() / 60
            raise Failed(
                f"webhooks are refused ({refused[-1]}); copy the webhook secret from Finch's dashboard "
                "into webhook_secrets of the secret"
                if refused
                else f"no webhook arrived within {minutes:g} minutes; register "
                f"{self.stack.outputs['WebhookUrl']} for account.updated in Finch's dashboard"
            ) from None
        finally:
            # So that the next check does not depend on the webhook.
            self.stack.invoke("ResolveUnfinished", {"action": "retry", **self._names()})

    def _health(self) -> tuple[str, bool]:
        self._until(
            lambda: self._shown()["status"] == "reauth",
            HEALTH_WITHIN,
            "the connection does not become reauth",
        )
        return "the connection is reauth", True

    def _disconnect(self, token: SecretText) -> tuple[str, None]:
        self._end()
        if self._finch("GET", "/introspect", token).status_code != 401:
            raise Failed("Finch still accepts the token of the disconnected connection")
        if (reason := self._vended().get("reason")) != "disconnected":
            raise Failed(f"a token is still vended ({reason})")
        return "Finch refuses the token, and no token is vended", None

    def _end(self) -> None:
        """Disconnects, and waits until Finch has confirmed it."""

        def disconnected() -> bool:
            answer = self._api("DELETE", self._path(), self.customer)
            if answer.status_code == 202:
                return False
            return bool(self._wanted(200, answer).json()["status"] == "disconnected")

        self._until(disconnected, DISCONNECTED_WITHIN, "Finch has not confirmed the disconnect")
        self.ended = True

    # Attempts that must be refused

    def _without_token(self) -> tuple[str, None]:
        return self._refused(401, self._api("GET", "/connections"))

    def _forged_token(self) -> tuple[str, None]:
        head, payload, signature = self.customer.token.split(".")
        # The last character of a signature may have bits that do not count.
        turned = ("B" if signature[0] == "A" else "A") + signature[1:]
        forged = Customer(f"{head}.{payload}.{turned}", {})
        return self._refused(401, self._api("GET", "/connections", forged))

    def _wrong_state(self) -> tuple[str, None]:
        query = {"code": secrets.token_hex(16), "state": secrets.token_urlsafe(32)}
        answer = self.http.get(self.stack.outputs["CallbackUrl"], params=query)
        landing = Landing.of(answer.headers.get("location", ""))
        error = landing.outcome.get("error") if landing else f"status {answer.status_code}"
        if error != "session_not_found":
            raise Failed(f"session_not_found is missing: {error}")
        return "session_not_found", None

    def _unsigned_webhook(self) -> tuple[str, None]:
        event = {"event_type": "account.updated", "connection_id": secrets.token_hex(16)}
        return self._refused(401, self._api("POST", "/webhooks/finch", json=event))

    def _foreign_page(self) -> tuple[str, None]:
        body = {"products": _PRODUCTS, "return_to": "https://foreign.example.com/"}
        return self._refused(400, self._api("POST", "/connect-sessions", self.customer, json=body))

    def _steal(self, landing: Landing) -> tuple[str, None]:
        if not landing.completion:
            raise LeftOut("the browser has confirmed already")
        body = {"completion": landing.completion}
        return self._refused(404, self._api("POST", "/callback", self._another(), json=body))

    def _other_customer(self) -> tuple[str, None]:
        other = self._another()
        for method in ("GET", "DELETE"):
            saw, _ = self._refused(404, self._api(method, self._path(), other))
        if self.company in [_key(one) for one in self._connections(other)]:
            raise Failed("the list of another customer has the connection")
        return f"read and disconnect get {saw}, and the list does not have it", None

    def _vend_to_nobody(self) -> tuple[str, None]:
        reason = self._vended(f"verify-{secrets.token_hex(8)}").get("reason")
        if reason != "not_found":
            raise Failed(f"not_found is missing: {reason}")
        return str(reason), None

    def _another(self) -> Customer:
        if self.other is None:
            raise LeftOut(f"set {OTHER_TOKEN} to an access token of another customer")
        claim = self.stack.parameters["CustomerClaim"]
        if self.other.claims.get(claim) == self.customer.claims.get(claim):
            raise Failed(
                f"{OTHER_TOKEN} is of the same customer; set it to another customer's token"
            )
        return self.other

    # The end

    def _clean_up(self) -> None:
        """Disconnects what was connected, and ends the tokens of sessions that are not confirmed."""
        if self.started and not self.ended:
            self._check("clean up", self._end_the_rest)
        for session in self.unfinished:
            self._check(f"clean up session {session}", lambda: self._discard(session))  # noqa: B023

    def _end_the_rest(self) -> tuple[str, None]:
        # At the start the customer had no connection, so each is from this run.
        if not self._connected():
            return "nothing is connected", None
        self._end()
        return "the connection is disconnected", None

    def _discard(self, session: str) -> tuple[str, None]:
        event = {"action": "disconnect", "session": session}
        try:
            shown = self.stack.invoke("ResolveUnfinished", event)
        except CannotOperate as error:
            if str(error).startswith(("session_used", "session_not_found")):
                return "it has no token", None
            raise
        if any(shown["would_be_cut_off"].values()):
            raise Failed("another customer has this company too; see `resolve list` in an hour")
        self.stack.invoke("ResolveUnfinished", {**event, "decision": shown["decision"]})
        return "its token is ended at Finch", None

    # Requests

    def _api(
        self, method: str, path: str, customer: Customer | None = None, **content: Any
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {customer.token}"} if customer else {}
        return self.http.request(
            method, self.stack.outputs["ApiUrl"] + path, headers=headers, **content
        )

    def _wanted(self, status: int, answer: httpx.Response) -> httpx.Response:
        if answer.status_code != status:
            raise Failed(f"the API answers {_words(answer)}")
        return answer

    def _refused(self, status: int, answer: httpx.Response) -> tuple[str, None]:
        if answer.status_code != status:
            raise Failed(f"the API answers {_words(answer)} instead of {status}")
        return _words(answer).partition(" (")[0], None

    def _connections(self, customer: Customer | None = None) -> list[Any]:
        found, cursor = [], None
        while True:
            query = f"?{urlencode({'cursor': cursor})}" if cursor else ""
            answer = self._api("GET", f"/connections{query}", customer or self.customer)
            page = self._wanted(200, answer).json()
            found += page["connections"]
            if (cursor := page["next_cursor"]) is None:
                return found

    def _path(self) -> str:
        return "/connections/" + "/".join(_segment(name) for name in self.company or ())

    def _shown(self) -> Any:
        return self._wanted(200, self._api("GET", self._path(), self.customer)).json()

    def _return_url(self) -> str:
        return self.stack.parameters["ReturnUrls"].split(",")[0]

    def _names(self, customer_id: str | None = None) -> dict[str, str]:
        provider_id, company_id = self.company or ("", "")
        customer_id = customer_id or self.customer.claims[self.stack.parameters["CustomerClaim"]]
        return {"customer_id": customer_id, "provider_id": provider_id, "company_id": company_id}

    def _vended(self, customer_id: str | None = None) -> Any:
        more = {"products": [], "purpose": "verify", "caller": "finch-connections"}
        return self.stack.call(self.stack.outputs["VendTokenArn"], self._names(customer_id) | more)

    def _finch(self, method: str, path: str, token: SecretText, **content: Any) -> httpx.Response:
        headers = {
            "authorization": f"Bearer {token.reveal()}",
            "Finch-API-Version": API_VERSION,
        }
        url = self.stack.parameters["FinchApiUrl"] + path
        return self.http.request(method, url, headers=headers, **content)

    def _webhook_lines(self) -> list[dict[str, Any]]:
        """The log lines about webhooks since the start of this command."""
        pages = self.stack.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(
            logGroupName=self.stack.resources["ReceiveWebhookLogGroup"],
            startTime=int((self.began_at - _CLOCKS_DIFFER.total_seconds()) * 1000),
            filterPattern='{ $.message = "webhook *" }',
        )
        lines = [event["message"] for page in found for event in page["events"]]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _until[T](self, look: Callable[[], T], within: timedelta, missing: str) -> T:
        """The first true value of `look`; raises `Failed` with `missing` after the time."""
        deadline = time.monotonic() + within.total_seconds()
        while not (seen := look()):
            if time.monotonic() > deadline:
                raise Failed(f"{missing} within {within.total_seconds() / 60:g} minutes")
            time.sleep(_PAUSE_SECONDS)
        return seen


# The advice for an error with which a browser comes back.
_ADVICE = {
    "cannot_connect": ", most often because another customer has this company; choose another",
    "finch_misconfigured": "; see `doctor`",
    "session_used": "; start this command again",
}


def _words(answer: httpx.Response) -> str:
    """A response of the API in words: our failures have a code and a detail."""
    if answer.headers.get("content-type") != "application/problem+json":
        return str(answer.status_code)
    problem = answer.json()
    return f"{answer.status_code} {problem['code']} ({problem['detail'].rstrip('.')})"


def _key(connection: Mapping[str, Any]) -> tuple[str, str]:
    return connection["provider_id"], connection["company_id"]


def _segment(name: str) -> str:
    """An id in a path, as docs/api.md describes it for callers."""
    if name in (".", ".."):
        return name.replace(".", "~2E")
    return quote(name.replace("~", "~7E"), safe="").replace("%", "~")


def verify(
    stack: Stack,
    *,
    provider_id: str | None,
    open_with: str | None,
    patience: timedelta,
    as_json: bool,
    say: Say,
) -> ExitCode:
    """Makes all checks; the exit code says whether a check has failed. Raises `CannotOperate`."""
    customer, other = customers()
    tell = progress if as_json else say
    with httpx.Client(timeout=_TIMEOUT) as client:
        run = Verification(stack, customer, other, provider_id, open_with, patience, tell, client)
        run.run()
    if as_json:
        say(json.dumps([asdict(one) for one in run.seen], indent=2))
    number, seconds = len(run.seen), time.time() - run.began_at
    failed = sum(one.passed is False for one in run.seen)
    left_out = sum(one.passed is None for one in run.seen)
    tell(f"{number - failed - left_out} checks passed, {failed} failed, {left_out} were left out.")
    kept = " The customer keeps a disconnected connection in the list." if run.ended else ""
    tell(f"That took {seconds:.0f} seconds.{kept}")
    return ExitCode.PERSON_NEEDED if failed else ExitCode.DONE
