"""The ConnectSessions table: attempts to connect by the hash of their handle, and rows that protect them.

The other rows are used codes, budgets, and for each customer the session that last added a connection and
the number of the newest name at Finch.
"""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.aws.connection_table import HISTORY, KEY, PACKED_SET
from finch_connections.aws.dynamodb import (
    FOR_EVER,
    MOMENT,
    SET,
    TEXT,
    Codec,
    Conflict,
    Due,
    Item,
    decode,
    due,
    due_keys,
    encode,
    lease,
    moment,
    number,
    postpone,
    scan,
    seconds,
    text,
    text_of,
    update,
    write_together,
)
from finch_connections.domain.budget import Spending, TooManyRequests, budgets
from finch_connections.domain.connect_session import (
    CODE_LIFETIME,
    FINCH_SESSION_LIFETIME,
    KEPT_AFTER_END,
    KEPT_AFTER_REFUSAL,
    KINDS,
    Attempt,
    Click,
    CodeNote,
    Complete,
    ConnectSession,
    Consumed,
    Consumption,
    Discarding,
    Ended,
    Escrow,
    Escrowed,
    Exchanging,
    Held,
    Keeping,
    Mode,
    Phase,
    Started,
    Uncertain,
)
from finch_connections.domain.connection import FIRST_LOOK, CompanyKey
from finch_connections.domain.history import (
    BROWSER_BOUND,
    BROWSER_NOT_BOUND,
    HistoryEntry,
    Step,
    added,
)
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import TokenResponse
from finch_connections.domain.work_item import LEASE

# How long a row says which session last added a connection: longer than a transaction can take. The row
# may then expire at any time, because an attempt that has read it before fails and reads again.
ADDING_KEPT = timedelta(days=1)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from finch_connections.aws.dynamodb import Fields, Write

_BYTES = Codec(lambda value: {"B": value}, lambda item: item["B"])
_FLAG = Codec(lambda value: {"BOOL": value}, lambda item: item["BOOL"])
_MARK = Codec(_FLAG.write, _FLAG.read, empty=False)
_LIST = Codec(
    lambda values: {"L": [text(one) for one in values]},
    lambda item: tuple(one["S"] for one in item["L"]),
)

_TOKEN_RESPONSE = {
    "connection_id": TEXT,
    "provider_id": TEXT,
    "products": SET,
    "entity_ids": PACKED_SET,
    "company_id": TEXT,
    "account_id": TEXT,
    "customer_id": TEXT,
}
_PROOFS = {"ciphertext": _BYTES, "state_echoed": _FLAG, "browser_bound": _FLAG}


def _write_escrow(escrow: Escrow) -> Item:
    return {"M": encode(escrow, _PROOFS) | encode(escrow.token_response, _TOKEN_RESPONSE)}


def _read_escrow(item: Item) -> Escrow:
    token_response = TokenResponse(**decode(item["M"], _TOKEN_RESPONSE))
    return Escrow(token_response=token_response, **decode(item["M"], _PROOFS))


_ATTEMPT = {
    "handle_hash": TEXT,
    "customer_id": TEXT,
    "customer_name": TEXT,
    "mode": text_of(Mode),
    "products": _LIST,
    "binding_hash": TEXT,
    "completion_key": _BYTES,
    "created_at": MOMENT,
    "provider_id": TEXT,
    "return_to": TEXT,
    "redirect_uri": TEXT,
    "repairs": KEY,
    "repairs_id": TEXT,
    "finch_customer_id": TEXT,
    "apart": _MARK,
    "adds_login_to": KEY,
}
# Belong to the session, also if its token belongs to another attempt.
_PAST = {
    "history": HISTORY,
    "tried": Codec(lambda entry: text(str(entry)), lambda item: HistoryEntry.parse(item["S"])),
}
_DUE = ("due_shard", "due_at", "lease")
_CLICK = {"finch_connect_url": TEXT, "finch_session_made_at": MOMENT}
_CONSUMPTION = {
    "attempt": TEXT,
    "code_hash": TEXT,
    "completion_hash": TEXT,
    "consumed_at": MOMENT,
}
_OF_A_PHASE = {
    "escrow": Codec(_write_escrow, _read_escrow),
    "error": TEXT,
    "dead_since": MOMENT,
    "discarding_since": MOMENT,
    "approved": SET,
    "key": KEY,
    "repaired": _FLAG,
}


def _own_fields(kind: type[ConnectSession]) -> "Fields":
    return {one.name: _OF_A_PHASE[one.name] for one in fields(kind) if one.name in _OF_A_PHASE}


def _item(session: ConnectSession) -> dict[str, Item]:
    """The attributes of a session, without those that only the table needs."""
    own = encode(session, _own_fields(type(session)))
    item = {
        "phase": text(session.phase),
        "reference": text(session.attempt.reference),
        **encode(session.attempt, _ATTEMPT | _PAST),
        **own,
    }
    if isinstance(session, Started):
        return item | (encode(session.click, _CLICK) if session.click else {})
    return item | encode(session.consumption, _CONSUMPTION)


def _session(item: Item) -> ConnectSession:
    kind: Any = KINDS[Phase(item["phase"]["S"])]
    attempt = Attempt(**decode(item, _ATTEMPT | _PAST))
    if kind is Started:
        return Started(
            attempt, Click(**decode(item, _CLICK)) if "finch_connect_url" in item else None
        )
    consumption = Consumption(**decode(item, _CONSUMPTION))
    session: ConnectSession = kind(attempt, consumption, **decode(item, _own_fields(kind)))
    return session


@dataclass(frozen=True, eq=False, repr=False)
class SessionTable:
    """Moves sessions from phase to phase. Each move succeeds only if the session is unchanged since the read.

    Each move raises `dynamodb.Conflict` if the session has changed, or if its phase does not lead to the
    next phase. A session has a `ttl` only while it cannot have a token: before its code is consumed, and
    after its end. The operator's program needs no `attempts_per_customer`, because it spends no budget.
    """

    client: "DynamoDBClient"
    name: str
    attempts_per_customer: int = 0

    def get(self, handle_hash: str) -> ConnectSession | None:
        """The latest session, or None."""
        answer = self.client.get_item(
            TableName=self.name, Key={"handle_hash": text(handle_hash)}, ConsistentRead=True
        )
        return _session(answer["Item"]) if "Item" in answer else None

    def add(self, session: Started) -> None:
        """Writes a new session."""
        item = _item(session) | {"ttl": _ttl(session.attempt.expires_at)}
        self.client.put_item(TableName=self.name, Item=item)

    def spend(self, kind: Spending, attempt: Attempt, now: datetime) -> None:
        """Counts a request in its budgets. Raises `TooManyRequests`, and then counts nothing."""
        spending = self._spending(kind, attempt, now)
        try:
            if len(spending) == 1:
                update(self.client, spending[0]["Update"])
            else:
                write_together(self.client, spending)
        except Conflict:
            raise TooManyRequests(now) from None

    def add_apart(self, session: Started, now: datetime) -> ConnectSession:
        """Writes a session for a code of its own unless it exists; returns it as last written.

        Raises `TooManyRequests`.
        """
        item = _item(session) | {"ttl": _unused_ttl(session.attempt, now)}
        put: Any = {
            "TableName": self.name,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(handle_hash)",
        }
        try:
            self._write_and_spend([{"Put": put}], Spending.APART, session.attempt, now)
        except Conflict:
            return self.get(session.attempt.handle_hash) or session
        return session

    def note(self, session: Started, entry: HistoryEntry) -> None:
        """Stores an entry alone, unless it repeats the newest entry or the session has its code already."""
        if [one.outcome for one in session.attempt.history[-1:]] != [entry.outcome]:
            with suppress(Conflict):
                update(self.client, self._move(session, session, entries=[entry]))

    def opened(self, session: Started, click: Click, finch_request_id: str | None = None) -> None:
        """Stores the Finch session of a click, with the customer id and the repair that Finch got.

        While an earlier click may still lead to a code, the new click must repair the same connection.
        """
        only_if, values = "", dict[str, Item]()
        if session.attempt.repairs_id:
            only_if = (
                "attribute_not_exists(repairs_id) OR repairs_id = :repairs_id "
                "OR finch_session_made_at <= :over"
            )
            over = click.finch_session_made_at - FINCH_SESSION_LIFETIME - CODE_LIFETIME
            values = {":over": moment(over)}
        names = (*_CLICK, "finch_customer_id", "repairs_id")
        opened = Started(session.attempt, click)
        sent = HistoryEntry.of(click.finch_session_made_at, Step.SENT, None, finch_request_id)
        move = self._move(session, opened, names, [sent], only_if=only_if, values=values)
        update(self.client, move)

    def noted(self, code: SecretText) -> CodeNote | None:
        """The session that consumed a code, and whether Finch rejected the code; None for a new code."""
        answer = self.client.get_item(
            TableName=self.name, Key=_code_key(code.digest()), ConsistentRead=True
        )
        if "Item" not in answer:
            return None
        item = answer["Item"]
        return CodeNote(item["session"]["S"], rejected="rejected" in item)

    def consume(
        self,
        session: Started,
        code: SecretText,
        now: datetime,
        together_with: Sequence["Write"] = (),
        *,
        browser_bound: bool,
    ) -> Exchanging:
        """Consumes the code, and returns the session in its new phase.

        The same transaction stores that this session has consumed the code. So no other session can
        exchange it, and this session cannot exchange it again after Finch has rejected it. Raises
        `TooManyRequests`.
        """
        attempt, code_hash = session.attempt, code.digest()
        completion_hash = attempt.completion(code).digest()
        consumption = Consumption(secrets.token_hex(16), code_hash, completion_hash, now)
        returned = BROWSER_BOUND if browser_bound else BROWSER_NOT_BOUND
        entry = HistoryEntry.of(now, Phase.EXCHANGING, returned)
        history = added(attempt.history, entry)
        exchanging = Exchanging(replace(attempt, history=history), consumption)
        note: Any = {
            "TableName": self.name,
            "Item": {
                **_code_key(code_hash),
                "session": text(attempt.handle_hash),
                "ttl": _ttl(attempt.expires_at),
            },
            "ConditionExpression": (
                "attribute_not_exists(handle_hash) "
                "OR (#session = :session AND attribute_not_exists(rejected))"
            ),
            "ExpressionAttributeNames": {"#session": "session"},
            "ExpressionAttributeValues": {":session": text(attempt.handle_hash)},
        }
        take = self._move(
            session,
            exchanging,
            _CONSUMPTION,
            [entry],
            sets=due(Due.UNFINISHED, (attempt.handle_hash,), now + FIRST_LOOK),
            removes=("ttl",),
            only_if="repairs_id = :repairs"
            if attempt.repairs_id
            else "attribute_not_exists(repairs_id)",
            values={":repairs": text(attempt.repairs_id)} if attempt.repairs_id else {},
        )
        writes: list[Write] = [{"Put": note}, {"Update": take}, *together_with]
        self._write_and_spend(writes, Spending.CODE, attempt, now)
        return exchanging

    def give_back(
        self, session: Exchanging, entry: HistoryEntry, together_with: Sequence["Write"] = ()
    ) -> None:
        """Makes the session ready for the same code again, because Finch did not receive it."""
        write_together(self.client, [{"Update": self._restart(session, entry)}, *together_with])

    def reject(
        self,
        session: Exchanging,
        code: SecretText,
        entry: HistoryEntry,
        together_with: Sequence["Write"] = (),
    ) -> None:
        """Stores that Finch rejected a code; the session waits for the right code."""
        note: Any = {
            "TableName": self.name,
            "Key": _code_key(code.digest()),
            "UpdateExpression": "SET rejected = :true, #ttl = :ttl",
            "ExpressionAttributeNames": {"#ttl": "ttl"},
            "ExpressionAttributeValues": {
                ":true": {"BOOL": True},
                ":ttl": _epoch(session.consumption.consumed_at + KEPT_AFTER_REFUSAL),
            },
        }
        again: Write = {"Update": self._restart(session, entry)}
        write_together(self.client, [{"Update": note}, again, *together_with])

    def uncertain(
        self, session: Exchanging, now: datetime, finch_request_id: str | None = None
    ) -> None:
        """Stores that Finch's response was lost: a token may exist that we never received."""
        uncertain = Uncertain(session.attempt, session.consumption)
        entry = HistoryEntry.of(now, uncertain.phase, uncertain.error, finch_request_id)
        update(self.client, self._move(session, uncertain, ["error"], [entry]))

    def escrow(
        self,
        session: Exchanging | Uncertain,
        attempt: Attempt,
        escrow: Escrow,
        entry: HistoryEntry,
        together_with: Sequence["Write"],
    ) -> Escrowed:
        """Stores the encrypted token in escrow, and returns the session in its new phase.

        `attempt` is the attempt that the token belongs to.
        """
        history = added(session.attempt.history, entry)
        past = replace(attempt, history=history, tried=session.attempt.tried)
        escrowed = Escrowed(past, session.consumption, escrow)
        before, after = (encode(one, _ATTEMPT) for one in (session.attempt, attempt))
        changed = [name for name in after if after[name] != before.get(name)]
        gone = before.keys() - after.keys()
        stores = ["escrow", *changed]
        keep = self._move(session, escrowed, stores, [entry], removes=("error", *gone))
        write_together(self.client, [{"Update": keep}, *together_with])
        return escrowed

    def found_dead(self, session: Keeping, now: datetime) -> None:
        """Stores when Finch called the token in escrow dead for the first time."""
        dead, entry = replace(session, dead_since=now), HistoryEntry.of(now, Step.DEAD)
        update(self.client, self._move(session, dead, ["dead_since"], [entry]))

    def found_alive(self, session: Keeping) -> None:
        """Forgets that Finch has called the token in escrow dead."""
        update(
            self.client,
            {
                "TableName": self.name,
                "Key": {"handle_hash": text(session.attempt.handle_hash)},
                "UpdateExpression": "REMOVE dead_since",
                "ConditionExpression": "#phase = :phase",
                "ExpressionAttributeNames": {"#phase": "phase"},
                "ExpressionAttributeValues": {":phase": text(session.phase)},
            },
        )

    def identify(
        self,
        session: Escrowed | Held,
        token_response: TokenResponse,
        together_with: Sequence["Write"],
    ) -> Escrowed | Held:
        """The session, after Finch has named the connection of its token."""
        escrow = replace(session.escrow, token_response=token_response)
        named = encode(token_response, _TOKEN_RESPONSE)
        # Only these members, as in `bind`.
        sets = {
            f"escrow.{name}": named[name]
            for name in ("connection_id", "provider_id", "company_id")
            if name in named
        }
        move = self._move(session, session, sets=sets)
        write_together(self.client, [{"Update": move}, *together_with])
        return replace(session, escrow=escrow)

    def bind(self, session: Escrowed | Held, now: datetime) -> None:
        """Stores that the browser which returned from Finch belongs to the session's customer."""
        # Only this member: the ciphertext may have been replaced since the read.
        sets = {"escrow.browser_bound": {"BOOL": True}, **_due_soon(now)}
        entry = HistoryEntry.of(now, Step.CONFIRMED)
        removes = ("lease",)
        update(self.client, self._move(session, session, (), [entry], sets=sets, removes=removes))

    def await_confirmation(self, session: Escrowed, now: datetime) -> None:
        """Makes the session due when its confirmation ends, unless the customer has confirmed it since."""
        sets = {"due_at": seconds(session.consumption.confirm_until)}
        entry = HistoryEntry.of(now, Step.AWAITED)
        # The look is over, as in `postpone`.
        removes = ("lease",)
        update(self.client, self._move(session, session, (), [entry], sets=sets, removes=removes))

    def hold(
        self,
        session: Keeping,
        error: str,
        now: datetime,
        together_with: Sequence["Write"] = (),
        key: CompanyKey | None = None,
    ) -> None:
        """Keeps the token in escrow for an operator, or until the company `key` is free."""
        held = Held(session.attempt, session.consumption, session.escrow, error, key=key)
        removes = ("approved", *(() if key else ("key",)))
        entry, sets = HistoryEntry.of(now, held.phase, error), _due_soon(now)
        hold = self._move(session, held, ("error", "key"), [entry], sets=sets, removes=removes)
        write_together(self.client, [{"Update": hold}, *together_with])

    def discard(
        self,
        session: Keeping,
        error: str,
        since: datetime,
        now: datetime,
        key: CompanyKey | None = None,
        together_with: Sequence["Write"] = (),
        *,
        approved: frozenset[str] = frozenset(),
        entry: HistoryEntry | None = None,
    ) -> Discarding:
        """Stores that the token must not be attached any more, and returns the session in its new phase.

        `key` is the company that no customer may connect until the session has ended. `approved` are the
        owners and holders that an operator has agreed to cut off. `entry` is for the history; without it,
        a new phase is.
        """
        discarding = Discarding(
            session.attempt,
            session.consumption,
            session.escrow,
            error,
            since,
            key,
            approved,
            session.dead_since,
        )
        stores = ("error", "discarding_since", "key", "approved")
        removes = () if key else ("key",)
        if entry is None and session.phase is not discarding.phase:
            entry = HistoryEntry.of(now, discarding.phase, error)
        entries = [entry] if entry else []
        # A further try keeps its lease: it may take longer than a minute, or its function may die.
        sets = {} if isinstance(session, Discarding) else _due_soon(now)
        discard = self._move(session, discarding, stores, entries, sets=sets, removes=removes)
        write_together(self.client, [{"Update": discard}, *together_with])
        return discarding

    def end(
        self,
        session: Keeping | Uncertain,
        error: str,
        now: datetime,
        together_with: Sequence["Write"] = (),
        finch_request_id: str | None = None,
    ) -> None:
        """Ends the session and forgets its token, which is revoked or covered by another token."""
        ending = self.ending(session, error, now, finch_request_id)
        write_together(self.client, [ending, *together_with])

    def ending(
        self,
        session: Keeping | Uncertain,
        error: str,
        now: datetime,
        finch_request_id: str | None = None,
    ) -> "Write":
        """The write that ends a session, as part of a transaction."""
        ended = Ended(session.attempt, session.consumption, error)
        end = self._move(
            session,
            ended,
            ["error"],
            [HistoryEntry.of(now, ended.phase, error, finch_request_id)],
            sets={"ttl": _ttl(now)},
            removes=("escrow", *_DUE),
        )
        return {"Update": end}

    def complete(
        self,
        session: Escrowed | Held,
        key: CompanyKey,
        now: datetime,
        together_with: Sequence["Write"],
        *,
        repaired: bool | None = None,
        entries: Sequence[HistoryEntry] = (),
    ) -> None:
        """Completes the session in the transaction that writes its connection."""
        complete = Complete(session.attempt, session.consumption, key, repaired)
        end = self._move(
            session,
            complete,
            ("key", "repaired"),
            entries,
            sets={"ttl": _ttl(now)},
            removes=("escrow", "error", *_DUE),
        )
        write_together(self.client, [*together_with, {"Update": end}])

    def last_added(self, customer_id: str) -> str | None:
        """The session that last added a connection of a customer under a limit, if that is not long ago."""
        answer = self.client.get_item(
            TableName=self.name, Key=_adding_key(customer_id), ConsistentRead=True
        )
        return answer["Item"]["session"]["S"] if "Item" in answer else None

    def adding(self, attempt: Attempt, last: str | None, now: datetime) -> "Write":
        """The write that adds a connection of a customer, as part of a transaction.

        Succeeds only if no other session has added a connection since `last` was read with `last_added`.
        """
        update: Any = {
            "TableName": self.name,
            "Key": _adding_key(attempt.customer_id),
            "UpdateExpression": "SET #session = :session, #ttl = :ttl",
            "ConditionExpression": "#session = :last" if last else "attribute_not_exists(#session)",
            "ExpressionAttributeNames": {"#session": "session", "#ttl": "ttl"},
            "ExpressionAttributeValues": {
                ":session": text(attempt.handle_hash),
                ":ttl": _epoch(now + ADDING_KEPT),
                **({":last": text(last)} if last else {}),
            },
        }
        return {"Update": update}

    def newest_name(self, customer_id: str) -> int | None:
        """The number in the newest name at Finch under which a customer has a token, or None if not stored.

        It can be too low, because sessions end in any order.
        """
        answer = self.client.get_item(
            TableName=self.name, Key=_names_key(customer_id), ConsistentRead=True
        )
        return int(answer["Item"]["newest"]["N"]) if "Item" in answer else None

    def store_newest_name(self, customer_id: str, newest: int) -> None:
        """Stores the number for `newest_name`."""
        update(self.client, self.naming(customer_id, newest)["Update"])

    def naming(self, customer_id: str, newest: int) -> "Write":
        """The write that stores the number for `newest_name`. It never expires."""
        update: Any = {
            "TableName": self.name,
            "Key": _names_key(customer_id),
            "UpdateExpression": "SET newest = :newest",
            "ExpressionAttributeValues": {":newest": number(newest)},
        }
        return {"Update": update}

    def forget_names(self, customer_id: str) -> None:
        """Deletes the number for `newest_name`."""
        self.client.delete_item(TableName=self.name, Key=_names_key(customer_id))

    def in_escrow(
        self, after: Mapping[str, str] | None
    ) -> tuple[list[Keeping], dict[str, str] | None]:
        """A page of all sessions with a token in escrow, and the start of the next page or None."""
        kept = {"FilterExpression": "attribute_exists(escrow)"}
        items, last = scan(self.client, self.name, after, **kept)
        return [one for item in items if isinstance(one := _session(item), Keeping)], last

    def of_customer(
        self, customer_id: str, after: Mapping[str, str] | None
    ) -> tuple[list[ConnectSession], dict[str, str] | None]:
        """A page of a customer's sessions, and the start of the next page or None.

        An erasure must see the newest session, which the index may not have yet.
        """
        theirs: Any = {
            "FilterExpression": "customer_id = :customer",
            "ExpressionAttributeValues": {":customer": text(customer_id)},
        }
        items, last = scan(self.client, self.name, after, **theirs)
        return [_session(item) for item in items], last

    def attempts_of(self, customer_id: str) -> Iterator[ConnectSession]:
        """All sessions of a customer, from the index."""
        return self._indexed("customer", "customer_id", customer_id)

    def attempts_named(self, reference: str) -> Iterator[ConnectSession]:
        """The session with a reference, from the index. By rare chance, two sessions share a reference."""
        return self._indexed("reference", "reference", reference)

    def _indexed(self, index: str, attribute: str, value: str) -> Iterator[ConnectSession]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            IndexName=index,
            KeyConditionExpression="#attribute = :value",
            ExpressionAttributeNames={"#attribute": attribute},
            ExpressionAttributeValues={":value": text(value)},
        )
        keys = (item["handle_hash"]["S"] for page in pages for item in page["Items"])
        return filter(None, map(self.get, keys))

    def reencrypt(self, session: Keeping, ciphertext: bytes) -> None:
        """Replaces the ciphertext in escrow by another ciphertext of the same token, if it is unchanged."""
        update(
            self.client,
            {
                "TableName": self.name,
                "Key": {"handle_hash": text(session.attempt.handle_hash)},
                "UpdateExpression": "SET escrow.ciphertext = :after",
                "ConditionExpression": "escrow.ciphertext = :before",
                "ExpressionAttributeValues": {
                    ":before": {"B": session.escrow.ciphertext},
                    ":after": {"B": ciphertext},
                },
            },
        )

    def erase(self, session: Started | Complete | Ended) -> None:
        """Deletes a session without a token, and the note of its code."""
        session_gone: Any = {
            "TableName": self.name,
            "Key": {"handle_hash": text(session.attempt.handle_hash)},
            "ConditionExpression": "#phase = :phase AND attribute_not_exists(escrow)",
            "ExpressionAttributeNames": {"#phase": "phase"},
            "ExpressionAttributeValues": {":phase": text(session.phase)},
        }
        gone: list[Write] = [{"Delete": session_gone}]
        if not isinstance(session, Started):
            key = _code_key(session.consumption.code_hash)
            gone.append({"Delete": {"TableName": self.name, "Key": key}})
        write_together(self.client, gone)

    def put_back(
        self,
        session: Held | Exchanging | Uncertain,
        item: Item,
        now: datetime,
        together_with: Sequence["Write"],
    ) -> None:
        """Restores a session that is lost from the `item` of a backup, for an operator to decide.

        Raises `dynamodb.Conflict` if the session still exists.
        """
        soon = due(Due.UNFINISHED, (session.attempt.handle_hash,), now + FIRST_LOOK)
        history = added(session.attempt.history, HistoryEntry.of(now, Step.RESTORED))
        restored = {**item, **_item(session), **soon, "history": HISTORY.write(history)}
        put: Any = {
            "TableName": self.name,
            "Item": {name: restored[name] for name in restored.keys() - {"key", "approved"}},
            "ConditionExpression": "attribute_not_exists(handle_hash)",
        }
        write_together(self.client, [{"Put": put}, *together_with])

    def unfinished(self, before: datetime, now: datetime, limit: int) -> list[Consumed]:
        """At most `limit` sessions whose code was consumed by `before` and that have not ended."""
        waiting = (
            one
            for one in self._all_due(now)
            if not isinstance(one, Started) and one.consumption.consumed_at <= before
        )
        return list(islice(waiting, limit))

    def keeping_alive(self, now: datetime) -> Iterator[Exchanging | Uncertain | Keeping]:
        """The sessions that keep, or may keep, a Finch connection alive."""
        for session in self._all_due(now):
            if isinstance(session, Exchanging | Uncertain | Keeping):
                yield session

    def _all_due(self, now: datetime) -> Iterator[ConnectSession]:
        """The latest state of every session in the index by due time."""
        return filter(None, map(self.get, self.due(now + FOR_EVER)))

    def due(self, until: datetime) -> Iterator[str]:
        """The hashes of all sessions that are due by `until`."""
        for key in due_keys(self.client, self.name, Due.UNFINISHED, until):
            yield key["handle_hash"]["S"]

    def postpone(
        self,
        handle_hash: str,
        until: datetime,
        tried: HistoryEntry | None = None,
        *,
        unless_sooner: bool = False,
    ) -> None:
        """Makes a session due at `until`, and stores how the last try ended, if given.

        Raises `dynamodb.Conflict` if it is not due at all, or with `unless_sooner` is due by then.
        """
        key, ended = {"handle_hash": text(handle_hash)}, str(tried) if tried else None
        postpone(self.client, self.name, key, until, ended, unless_sooner=unless_sooner)

    def lease(self, handle_hash: str, now: datetime) -> None:
        """Makes a due session due again after its lease. Raises `dynamodb.Conflict` if it is not due."""
        lease(self.client, self.name, {"handle_hash": text(handle_hash)}, now, LEASE)

    def _spending(self, kind: Spending, attempt: Attempt, now: datetime) -> list[Any]:
        """The writes that count a request: one item for each budget and window, which then expires."""
        return [
            {
                "Update": {
                    "TableName": self.name,
                    "Key": {"handle_hash": text(budget.key)},
                    "UpdateExpression": "SET #ttl = :ends ADD spent :one",
                    "ConditionExpression": "attribute_not_exists(spent) OR spent < :limit",
                    "ExpressionAttributeNames": {"#ttl": "ttl"},
                    "ExpressionAttributeValues": {
                        ":ends": _epoch(budget.ends),
                        ":one": number(1),
                        ":limit": number(budget.limit),
                    },
                }
            }
            for budget in budgets(kind, attempt, self.attempts_per_customer, now)
        ]

    def _write_and_spend(
        self, writes: Sequence["Write"], kind: Spending, attempt: Attempt, now: datetime
    ) -> None:
        """Makes all writes and counts the request, in one transaction; raises `Conflict`.

        Raises `TooManyRequests` only if the writes could be made.
        """
        try:
            write_together(self.client, [*writes, *self._spending(kind, attempt, now)])
        except Conflict as conflict:
            if conflict.failed and min(conflict.failed) >= len(writes):
                raise TooManyRequests(now) from None
            raise

    def _restart(self, session: Exchanging, entry: HistoryEntry) -> Any:
        return self._move(
            session,
            Started(session.attempt),
            entries=[entry],
            sets={"ttl": _unused_ttl(session.attempt, session.consumption.consumed_at)},
            removes=(*_CONSUMPTION, *_DUE),
        )

    def _move(
        self,
        session: ConnectSession,
        to: ConnectSession,
        stores: Collection[str] = (),
        entries: Sequence[HistoryEntry] = (),
        *,
        sets: Mapping[str, Item] | None = None,
        removes: Collection[str] = (),
        only_if: str = "",
        values: Mapping[str, Item] | None = None,
    ) -> Any:
        """The update that moves a session to `to`.

        Stores the fields of `to` that `stores` names, the attributes in `sets`, and the entries of the
        history. Succeeds only if phase, request and confirmation are unchanged since the read, and the
        condition `only_if` with its `values` is true.
        """
        if not session.phase.leads_to(to.phase):
            raise Conflict
        stored = {name: item for name, item in _item(to).items() if name in stores}
        # botocore repeats a write whose response was lost: our own move is not a conflict.
        stored |= {"phase": text(to.phase), "moved_by": text(secrets.token_hex(16)), **(sets or {})}
        unchanged = ["#phase = :before"]
        known = {":before": text(session.phase), **(values or {})}
        if not isinstance(session, Started):
            unchanged.append("attempt = :same")
            known[":same"] = text(session.consumption.attempt)
        if isinstance(session, Keeping):
            unchanged.append("escrow.browser_bound = :bound")
            known[":bound"] = {"BOOL": session.escrow.browser_bound}
        if only_if:
            unchanged.append(f"({only_if})")
        assigned = [f"{_path(name)} = {_value(name)}" for name in stored]
        names = [*stored, *removes]
        if entries:
            names.append("history")
            history = added(session.attempt.history, *entries)
            if history == (*session.attempt.history, *entries):
                # Keeps what another write has added since the read.
                appended = "list_append(if_not_exists(#history, :none), :history)"
                assigned.append(f"#history = {appended}")
                known |= {":none": {"L": []}, ":history": HISTORY.write(entries)}
            else:
                assigned.append("#history = :history")
                known[":history"] = HISTORY.write(history)
        removed = ", ".join(map(_path, removes))
        parts = {part for name in names for part in name.split(".")}
        return {
            "TableName": self.name,
            "Key": {"handle_hash": text(session.attempt.handle_hash)},
            "UpdateExpression": f"SET {', '.join(assigned)}"
            + (f" REMOVE {removed}" if removed else ""),
            "ConditionExpression": f"({' AND '.join(unchanged)}) OR #moved_by = :moved_by",
            "ExpressionAttributeNames": {f"#{part}": part for part in parts},
            "ExpressionAttributeValues": {
                **known,
                **{_value(name): item for name, item in stored.items()},
            },
        }


def _path(name: str) -> str:
    return ".".join(f"#{part}" for part in name.split("."))


def _value(name: str) -> str:
    return f":{name.replace('.', '_')}"


def _code_key(code_hash: str) -> dict[str, Item]:
    return {"handle_hash": text(f"code#{code_hash}")}


def _adding_key(customer_id: str) -> dict[str, Item]:
    return {"handle_hash": text(f"adding#{sha256(customer_id.encode()).hexdigest()}")}


def _names_key(customer_id: str) -> dict[str, Item]:
    return {"handle_hash": text(f"names#{sha256(customer_id.encode()).hexdigest()}")}


def read_backup(item: Item) -> ConnectSession | None:
    """The session in an item of a backup; None for other rows of the table, whose keys have a prefix."""
    return None if "#" in item["handle_hash"]["S"] else _session(item)


def _due_soon(now: datetime) -> dict[str, Item]:
    """The time of the next look, unless the current request finishes the session."""
    return {"due_at": seconds(now + FIRST_LOOK)}


def _epoch(at: datetime) -> Item:
    return number(int(at.timestamp()))


def _ttl(end: datetime) -> Item:
    return _epoch(end + KEPT_AFTER_END)


def _unused_ttl(attempt: Attempt, now: datetime) -> Item:
    """When a session without a token expires. A session apart can get no other code."""
    return _epoch(now + KEPT_AFTER_REFUSAL) if attempt.apart else _ttl(attempt.expires_at)


@cache
def from_settings() -> SessionTable:
    """The deployed table."""
    ours = settings.read()
    return SessionTable(
        clients.client("dynamodb"), ours.connect_sessions_table, int(ours.attempts_per_customer)
    )
