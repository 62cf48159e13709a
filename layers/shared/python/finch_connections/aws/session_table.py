"""The ConnectSessions table: every attempt to connect by the hash of its handle, every code noted."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.aws.dynamodb import (
    FOR_EVER,
    Conflict,
    Due,
    Item,
    due,
    due_keys,
    moment,
    number,
    optional_sets,
    optional_texts,
    postpone,
    read_moment,
    read_optional_moment,
    read_set,
    read_text,
    scan,
    text,
    update,
    write_together,
)
from finch_connections.domain.connect_session import (
    CODE_LIFETIME,
    FINCH_SESSION_LIFETIME,
    KEPT_AFTER_END,
    CodeNote,
    ConnectSession,
    Escrow,
    Mode,
    Phase,
)
from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import TokenResponse

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from finch_connections.aws.dynamodb import Write

_NAMES = {"#ttl": "ttl", "#error": "error", "#key": "key"}


@dataclass(frozen=True, eq=False, repr=False)
class SessionTable:
    """Moves sessions from phase to phase, each step conditional on the one before.

    Every change raises `dynamodb.Conflict` where the session is no longer as it was read, or is in
    a phase that does not lead there.
    A session carries a `ttl` only while it cannot hold a token: before its code is consumed, and
    after its end.
    """

    client: "DynamoDBClient"
    name: str

    def get(self, handle_hash: str) -> ConnectSession | None:
        """The session, as last written."""
        answer = self.client.get_item(
            TableName=self.name, Key={"handle_hash": text(handle_hash)}, ConsistentRead=True
        )
        return _session(answer["Item"]) if "Item" in answer else None

    def add(self, session: ConnectSession) -> None:
        """Writes a new session."""
        item = {
            "handle_hash": text(session.handle_hash),
            "customer_id": text(session.customer_id),
            "customer_name": text(session.customer_name),
            "mode": text(session.mode),
            "products": {"L": [text(product) for product in session.products]},
            "binding_hash": text(session.binding_hash),
            "completion_key": {"B": session.completion_key},
            "created_at": moment(session.created_at),
            "phase": text(session.phase),
            "ttl": _ttl(session.expires_at),
            **optional_texts(
                {
                    "provider_id": session.provider_id,
                    "return_to": session.return_to,
                    "redirect_uri": session.redirect_uri,
                    "finch_customer_id": session.finch_customer_id,
                    "repairs": str(session.repairs) if session.repairs else None,
                    "repairs_id": session.repairs_id,
                }
            ),
        }
        self.client.put_item(TableName=self.name, Item=item)

    def opened(self, session: ConnectSession, connect_url: str, now: datetime) -> None:
        """Notes the Finch session of a click, and what Finch was told of the customer.

        While an earlier one may still lead to a code, it must be for the same repair.
        """
        told = {"finch_customer_id": session.finch_customer_id, "repairs_id": session.repairs_id}
        values = {f":{name}": value for name, value in optional_texts(told).items()}
        same, same_values = "", dict[str, Item]()
        if session.repairs_id:
            same = (
                "attribute_not_exists(repairs_id) OR repairs_id = :repairs_id "
                "OR finch_session_made_at <= :over"
            )
            same_values = {":over": moment(now - FINCH_SESSION_LIFETIME - CODE_LIFETIME)}
        opened = self._update(
            session,
            Phase.STARTED,
            "finch_connect_url = :url, finch_session_made_at = :now"
            + "".join(f", {name} = :{name}" for name in optional_texts(told)),
            {":url": text(connect_url), ":now": moment(now), **values, **same_values},
            same,
        )
        update(self.client, opened)

    def noted(self, code: SecretText) -> CodeNote | None:
        """What is known of a code that a session has consumed."""
        answer = self.client.get_item(TableName=self.name, Key=_code_key(code), ConsistentRead=True)
        if "Item" not in answer:
            return None
        item = answer["Item"]
        return CodeNote(item["session"]["S"], rejected="rejected" in item)

    def consume(
        self,
        session: ConnectSession,
        code: SecretText,
        now: datetime,
        together_with: Sequence["Write"] = (),
    ) -> ConnectSession:
        """Takes the code for its one exchange: `started` to `exchanging`. Answers the session.

        The code is noted as this session's in the same transaction: no other session ever
        exchanges it, nor does this one once Finch has rejected it.
        """
        attempt, code_hash = secrets.token_hex(16), code.digest()
        completion_hash = session.completion(code).digest()
        note: Any = {
            "TableName": self.name,
            "Item": {
                **_code_key(code),
                "session": text(session.handle_hash),
                "ttl": _ttl(session.expires_at),
            },
            "ConditionExpression": (
                "attribute_not_exists(handle_hash) "
                "OR (#session = :session AND attribute_not_exists(rejected))"
            ),
            "ExpressionAttributeNames": {"#session": "session"},
            "ExpressionAttributeValues": {":session": text(session.handle_hash)},
        }
        take: Any = self._update(
            session,
            Phase.EXCHANGING,
            "code_hash = :code, completion_hash = :completion, "
            "consumed_at = :now, attempt = :attempt, due_shard = :shard, due_at = :due REMOVE #ttl",
            {
                ":code": text(code_hash),
                ":completion": text(completion_hash),
                ":now": moment(now),
                ":attempt": text(attempt),
                **_due(session, now),
                **optional_texts({":repairs": session.repairs_id}),
            },
            "repairs_id = :repairs" if session.repairs_id else "attribute_not_exists(repairs_id)",
        )
        write_together(self.client, [{"Put": note}, {"Update": take}, *together_with])
        return replace(
            session,
            phase=Phase.EXCHANGING,
            code_hash=code_hash,
            completion_hash=completion_hash,
            consumed_at=now,
            attempt=attempt,
        )

    def give_back(self, session: ConnectSession, together_with: Sequence["Write"] = ()) -> None:
        """Makes the session ready for the same code again: nothing has happened at Finch."""
        write_together(self.client, [{"Update": self._waiting_again(session)}, *together_with])

    def reject(
        self, session: ConnectSession, code: SecretText, together_with: Sequence["Write"] = ()
    ) -> None:
        """Notes that Finch does not accept a code; the session still waits for the true one."""
        note: Any = {
            "TableName": self.name,
            "Key": _code_key(code),
            "UpdateExpression": "SET rejected = :true",
            "ExpressionAttributeValues": {":true": {"BOOL": True}},
        }
        again: Write = {"Update": self._waiting_again(session)}
        write_together(self.client, [{"Update": note}, again, *together_with])

    def uncertain(self, session: ConnectSession, error: str) -> None:
        """Says that Finch's answer was lost: there may be a token that nobody has."""
        self._move(session, Phase.UNCERTAIN, "#error = :error", {":error": text(error)})

    def escrow(
        self, session: ConnectSession, escrow: Escrow, together_with: Sequence["Write"]
    ) -> ConnectSession:
        """Keeps the sealed token, and notes who keeps it. Answers the session."""
        keep = self._update(
            session,
            Phase.ESCROWED,
            "escrow = :escrow REMOVE #error",
            {":escrow": {"M": _escrow_item(escrow)}},
        )
        write_together(self.client, [{"Update": keep}, *together_with])
        return replace(session, phase=Phase.ESCROWED, escrow=escrow, error=None)

    def found_dead(self, session: ConnectSession, now: datetime) -> None:
        """Notes when Finch called the kept token dead for the first time."""
        self._move(session, session.phase, "dead_since = :now", {":now": moment(now)})

    def found_alive(self, session: ConnectSession) -> None:
        """Forgets that Finch has called the kept token dead."""
        update(
            self.client,
            {
                "TableName": self.name,
                "Key": {"handle_hash": text(session.handle_hash)},
                "UpdateExpression": "REMOVE dead_since",
                "ConditionExpression": "#phase = :phase",
                "ExpressionAttributeNames": {"#phase": "phase"},
                "ExpressionAttributeValues": {":phase": text(session.phase)},
            },
        )

    def bind(self, session: ConnectSession) -> None:
        """Notes that the browser which returned is its customer's."""
        self._move(
            session, session.phase, "escrow.browser_bound = :true", {":true": {"BOOL": True}}
        )

    def hold(
        self, session: ConnectSession, error: str, together_with: Sequence["Write"] = ()
    ) -> None:
        """Keeps the token sealed where nothing attaches it, for a person to look at."""
        hold = self._update(
            session, Phase.HELD, "#error = :error REMOVE next_look, #key", {":error": text(error)}
        )
        write_together(self.client, [{"Update": hold}, *together_with])

    def discard(
        self,
        session: ConnectSession,
        error: str,
        now: datetime,
        key: CompanyKey | None = None,
        together_with: Sequence["Write"] = (),
    ) -> ConnectSession:
        """Gives up a token: from now on nobody attaches it. Answers the session.

        `key` is the company that others are kept off meanwhile.
        """
        discard = self._update(
            session,
            Phase.DISCARDING,
            "#error = :error, discarding_since = :now" + (", #key = :key" if key else ""),
            {
                ":error": text(error),
                ":now": moment(now),
                **({":key": text(str(key))} if key else {}),
            },
        )
        write_together(self.client, [{"Update": discard}, *together_with])
        return replace(session, phase=Phase.DISCARDING, error=error, discarding_since=now, key=key)

    def end(
        self,
        session: ConnectSession,
        error: str,
        now: datetime,
        together_with: Sequence["Write"] = (),
    ) -> None:
        """Ends the session and forgets its token, which is revoked or another's to end."""
        end = self._update(
            session,
            Phase.ENDED,
            "#error = :error, #ttl = :ttl REMOVE escrow, due_shard, due_at",
            {":error": text(error), ":ttl": _ttl(now)},
        )
        write_together(self.client, [{"Update": end}, *together_with])

    def complete(
        self,
        session: ConnectSession,
        key: CompanyKey,
        now: datetime,
        together_with: Sequence["Write"],
        *,
        repaired: bool | None = None,
    ) -> None:
        """Ends the session in its connection: both are written together or neither is.

        `repaired` says of a repair whether it mended what it should.
        """
        outcome: dict[str, Item] = {} if repaired is None else {":repaired": {"BOOL": repaired}}
        end = self._update(
            session,
            Phase.COMPLETE,
            f"#key = :key, #ttl = :ttl{', repaired = :repaired' if outcome else ''} "
            "REMOVE escrow, #error, due_shard, due_at",
            {":key": text(str(key)), ":ttl": _ttl(now), **outcome},
        )
        write_together(self.client, [*together_with, {"Update": end}])

    def everybodys(
        self, after: Mapping[str, str] | None
    ) -> tuple[list[ConnectSession], dict[str, str] | None]:
        """A page of all sessions that keep a token, and where the next one starts."""
        kept = {"FilterExpression": "attribute_exists(escrow)"}
        items, last = scan(self.client, self.name, after, **kept)
        return [_session(item) for item in items], last

    def of_customer(
        self, customer_id: str, after: Mapping[str, str] | None
    ) -> tuple[list[ConnectSession], dict[str, str] | None]:
        """A page of a customer's sessions, and where the next one starts."""
        theirs: Any = {
            "FilterExpression": "customer_id = :customer",
            "ExpressionAttributeValues": {":customer": text(customer_id)},
        }
        items, last = scan(self.client, self.name, after, **theirs)
        return [_session(item) for item in items], last

    def reencrypt(self, session: ConnectSession, ciphertext: bytes) -> None:
        """Puts another ciphertext of the same token in the place of the one that was read."""
        update(
            self.client,
            {
                "TableName": self.name,
                "Key": {"handle_hash": text(session.handle_hash)},
                "UpdateExpression": "SET escrow.ciphertext = :after",
                "ConditionExpression": "escrow.ciphertext = :before",
                "ExpressionAttributeValues": {
                    ":before": {"B": session.escrow.ciphertext if session.escrow else b""},
                    ":after": {"B": ciphertext},
                },
            },
        )

    def erase(self, session: ConnectSession) -> None:
        """Removes a session that keeps no token, and the note of its code."""
        session_gone: Any = {
            "TableName": self.name,
            "Key": {"handle_hash": text(session.handle_hash)},
            "ConditionExpression": "#phase = :phase AND attribute_not_exists(escrow)",
            "ExpressionAttributeNames": {"#phase": "phase"},
            "ExpressionAttributeValues": {":phase": text(session.phase)},
        }
        note: Any = {"TableName": self.name, "Key": _noted(session.code_hash or "")}
        gone: list[Write] = [{"Delete": session_gone}]
        if session.code_hash:
            gone.append({"Delete": note})
        write_together(self.client, gone)

    def put_back(
        self, session: ConnectSession, item: Item, now: datetime, together_with: Sequence["Write"]
    ) -> None:
        """Puts a session of a backup back as it was there, for a person to look at."""
        put: Any = {
            "TableName": self.name,
            "Item": {
                **{name: value for name, value in item.items() if name not in ("next_look", "key")},
                "phase": text(session.phase),
                **optional_texts({"error": session.error}),
                **due(Due.UNFINISHED, (session.handle_hash,), now),
            },
            "ConditionExpression": "attribute_not_exists(handle_hash)",
        }
        write_together(self.client, [{"Put": put}, *together_with])

    def unfinished(self, before: datetime, now: datetime, limit: int) -> list[ConnectSession]:
        """At most `limit` sessions whose code was consumed before that and that are not over."""
        found = (self.get(handle_hash) for handle_hash in self.due(now + FOR_EVER))
        waiting = (one for one in found if one and (one.consumed_at or now) <= before)
        return list(islice(waiting, limit))

    def due(self, until: datetime) -> Iterator[str]:
        """The hashes of all sessions that somebody should have looked at by `until`."""
        for key in due_keys(self.client, self.name, Due.UNFINISHED, until):
            yield key["handle_hash"]["S"]

    def postpone(self, handle_hash: str, until: datetime) -> None:
        """Notes when an unfinished session is looked at again; raises `dynamodb.Conflict`."""
        postpone(self.client, self.name, {"handle_hash": text(handle_hash)}, until)

    def _waiting_again(self, session: ConnectSession) -> Any:
        return self._update(
            session,
            Phase.STARTED,
            "#ttl = :ttl REMOVE code_hash, completion_hash, consumed_at, attempt, due_shard, due_at",
            {":ttl": _ttl(session.expires_at)},
        )

    def _move(
        self, session: ConnectSession, to: Phase, expression: str, values: dict[str, Item]
    ) -> None:
        update(self.client, self._update(session, to, expression, values))

    def _update(
        self,
        session: ConnectSession,
        to: Phase,
        expression: str,
        values: dict[str, Item],
        also: str = "",
    ) -> Any:
        """The change of a session that is as it was read: in its phase, in the same hands.

        Nor has anybody confirmed it since.
        """
        if not session.phase.leads_to(to):
            raise Conflict
        names = {name: word for name, word in _NAMES.items() if name in expression}
        ours = "#phase = :phase"
        if session.attempt:
            ours += " AND attempt = :same"
            values = {":same": text(session.attempt), **values}
        if also:
            ours += f" AND ({also})"
        if session.escrow:
            ours += " AND escrow.browser_bound = :bound"
            values = {":bound": {"BOOL": session.escrow.browser_bound}, **values}
        # botocore sends a write again whose answer was lost: our own move is no other's.
        mine = text(secrets.token_hex(16))
        return {
            "TableName": self.name,
            "Key": {"handle_hash": text(session.handle_hash)},
            "UpdateExpression": f"SET moved_by = :mine, #phase = :to, {expression}",
            "ConditionExpression": f"({ours}) OR moved_by = :mine",
            "ExpressionAttributeNames": {"#phase": "phase", **names},
            "ExpressionAttributeValues": {
                ":phase": text(session.phase),
                ":to": text(to),
                ":mine": mine,
                **values,
            },
        }


def _code_key(code: SecretText) -> dict[str, Item]:
    return _noted(code.digest())


def _noted(code_hash: str) -> dict[str, Item]:
    return {"handle_hash": text(f"code#{code_hash}")}


def read_backup(item: Item) -> ConnectSession | None:
    """The session in an item of a backup; None where it is the note of a code."""
    return None if item["handle_hash"]["S"].startswith("code#") else _session(item)


def _ttl(end: datetime) -> Item:
    return number(int((end + KEPT_AFTER_END).timestamp()))


def _due(session: ConnectSession, now: datetime) -> dict[str, Item]:
    attributes = due(Due.UNFINISHED, (session.handle_hash,), now)
    return {":shard": attributes["due_shard"], ":due": attributes["due_at"]}


def _escrow_item(escrow: Escrow) -> dict[str, Item]:
    token_response = escrow.token_response
    return {
        "ciphertext": {"B": escrow.ciphertext},
        "state_echoed": {"BOOL": escrow.state_echoed},
        "browser_bound": {"BOOL": escrow.browser_bound},
        "connection_id": text(token_response.connection_id),
        "provider_id": text(token_response.provider_id),
        **optional_sets(
            {"products": token_response.products, "entity_ids": token_response.entity_ids}
        ),
        **optional_texts(
            {
                "company_id": token_response.company_id,
                "account_id": token_response.account_id,
                "customer_id": token_response.customer_id,
            }
        ),
    }


def _escrow(item: Item) -> Escrow:
    return Escrow(
        ciphertext=item["ciphertext"]["B"],
        token_response=TokenResponse(
            connection_id=item["connection_id"]["S"],
            provider_id=item["provider_id"]["S"],
            products=read_set(item, "products"),
            entity_ids=read_set(item, "entity_ids"),
            company_id=read_text(item, "company_id"),
            account_id=read_text(item, "account_id"),
            customer_id=read_text(item, "customer_id"),
        ),
        state_echoed=item["state_echoed"]["BOOL"],
        browser_bound=item["browser_bound"]["BOOL"],
    )


def _session(item: Item) -> ConnectSession:
    key, repairs = read_text(item, "key"), read_text(item, "repairs")
    return ConnectSession(
        handle_hash=item["handle_hash"]["S"],
        customer_id=item["customer_id"]["S"],
        customer_name=item["customer_name"]["S"],
        mode=Mode(item["mode"]["S"]),
        products=tuple(product["S"] for product in item["products"]["L"]),
        provider_id=read_text(item, "provider_id"),
        return_to=read_text(item, "return_to"),
        redirect_uri=read_text(item, "redirect_uri"),
        binding_hash=item["binding_hash"]["S"],
        completion_key=item["completion_key"]["B"],
        created_at=read_moment(item["created_at"]),
        phase=Phase(item["phase"]["S"]),
        repairs=CompanyKey.parse(repairs) if repairs else None,
        repairs_id=read_text(item, "repairs_id"),
        finch_customer_id=read_text(item, "finch_customer_id"),
        finch_connect_url=read_text(item, "finch_connect_url"),
        finch_session_made_at=read_optional_moment(item, "finch_session_made_at"),
        attempt=read_text(item, "attempt"),
        consumed_at=read_optional_moment(item, "consumed_at"),
        code_hash=read_text(item, "code_hash"),
        completion_hash=read_text(item, "completion_hash"),
        escrow=_escrow(item["escrow"]["M"]) if "escrow" in item else None,
        dead_since=read_optional_moment(item, "dead_since"),
        discarding_since=read_optional_moment(item, "discarding_since"),
        next_look=read_optional_moment(item, "next_look"),
        key=CompanyKey.parse(key) if key else None,
        repaired=item["repaired"]["BOOL"] if "repaired" in item else None,
        error=read_text(item, "error"),
    )


@cache
def from_settings() -> SessionTable:
    """The deployed table."""
    return SessionTable(clients.client("dynamodb"), settings.read().connect_sessions_table)
