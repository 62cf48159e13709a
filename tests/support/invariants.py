"""Checks the promises from the tables, the fake Finch's state and the recorded requests.

It uses no code of the product: it reads the raw items, and decrypts ciphertexts with KMS under the
documented encryption context.
"""

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from botocore.exceptions import ClientError

from local.fake_finch.records import Connection, Token
from tests.support.deployed import Deployed
from tests.support.in_process import Exchange

type Row = tuple[str, str]

# The phases in which a session may be when no work is left.
_AT_REST = {"started", "complete", "ended", "held", "uncertain"}
_REPORTED = {"held", "uncertain"}
# The phases in which a session has a token, or may have one.
_HOLDING = {"exchanging", "escrowed", "discarding", "held", "uncertain"}


@dataclass(frozen=True)
class Place:
    """The location of an encrypted token: `row` is a connection or the hash of a session."""

    row: Row | str
    token_id: str | None
    connection_id: str
    text: str | None = field(repr=False)


@dataclass
class StoredState:
    """All items of the tables, read at one moment."""

    deployed: Deployed
    connections: dict[Row, dict[str, Any]] = field(init=False)
    sessions: dict[str, dict[str, Any]] = field(init=False)
    ownerships: dict[str, dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        tables = self.deployed.tables
        self.connections = {
            (item["customer_id"]["S"], item["provider_id#company_id"]["S"]): item
            for item in tables.items(tables.connections)
        }
        self.sessions = {item["handle_hash"]["S"]: item for item in tables.all_sessions()}
        self.ownerships = {item["owned_id"]["S"]: item for item in tables.items(tables.ownerships)}

    def status(self, row: Row) -> str:
        """The status of a connection."""
        return str(self.connections[row]["status"]["S"])

    def connection_ids(self, row: Row) -> set[str]:
        """The Finch connections behind a connection."""
        tokens = self.connections[row]["tokens"]["M"].values()
        return {token["M"]["connection_id"]["S"] for token in tokens}

    def phases(self) -> Counter[str]:
        """The number of sessions in each phase."""
        return Counter(item["phase"]["S"] for item in self.sessions.values())

    def places(self) -> list[Place]:
        """Every encrypted token; its text is None if it does not decrypt in its row."""
        found = []
        for (customer_id, key), item in self.connections.items():
            provider_id, _, company_id = key.partition("#")
            context = {
                "purpose": "stored",
                "customer_id": customer_id,
                "provider_id": provider_id,
                "company_id": company_id,
            }
            tokens = item["tokens"]["M"]
            for token_id, ciphertext in item.get("ciphertexts", {"M": {}})["M"].items():
                connection_id = tokens[token_id]["M"]["connection_id"]["S"]
                text = self._decrypt(ciphertext["B"], context)
                found.append(Place((customer_id, key), token_id, connection_id, text))
        for handle_hash, item in self.sessions.items():
            if "escrow" in item:
                escrow, customer_id = item["escrow"]["M"], item["customer_id"]["S"]
                context = {"purpose": "escrow", "session": handle_hash, "customer_id": customer_id}
                text = self._decrypt(escrow["ciphertext"]["B"], context)
                found.append(Place(handle_hash, None, escrow["connection_id"]["S"], text))
        return found

    def _decrypt(self, ciphertext: bytes, context: dict[str, str]) -> str | None:
        try:
            answer = self.deployed.kms.decrypt(CiphertextBlob=ciphertext, EncryptionContext=context)
        except ClientError:
            return None
        return answer["Plaintext"].decode()


def entities_of(token: dict[str, Any]) -> dict[str, str]:
    """The stored statuses of a token's entities; an empty status for an entity without a status."""
    found: dict[str, str] = {}
    for name in ("entity_ids", "entities"):
        if name in token["M"]:
            by_status = json.loads(zlib.decompress(token["M"][name]["B"]))
            found |= {one: status for status, ids in by_status.items() for one in ids}
    return found


class ConnectionHistory:
    """The Finch connections that each connection ever had."""

    def __init__(self) -> None:
        self._seen: dict[Row, set[str]] = defaultdict(set)

    def record(self, kept: StoredState) -> None:
        """Records the current Finch connections of every connection.

        A Finch connection that an operator gave to another customer is no longer the former customer's.
        """
        for row, item in kept.connections.items():
            self._seen[row] |= kept.connection_ids(row)
            if item.get("problem") == {"S": "transferred"}:
                for other in kept.connections.keys() - {row}:
                    self._seen[row] -= kept.connection_ids(other)

    def seen(self, row: Row) -> set[str]:
        """All Finch connections that this connection ever had."""
        return self._seen[row]


def broken(
    deployed: Deployed,
    history: ConnectionHistory,
    exchanges: Iterable[Exchange] = (),
    *,
    at_rest: bool,
    reported: Collection[str] = (),
    lost_at_finch: Collection[str] = (),
) -> list[str]:
    """Describes every promise that is broken now. `at_rest` says that no work is left.

    If it is not at rest, an interrupted exchange counts as known, because its work item will report it.
    `reported` are the ids of Finch connections that were reported to an operator, `lost_at_finch`
    the ids of the connections that Finch ended without our request.
    """
    kept = StoredState(deployed)
    history.record(kept)
    places = kept.places()
    return [
        *_tokens_without_a_place(deployed, kept, places, reported, at_rest=at_rest),
        *_codes_exchanged_twice(exchanges),
        *_disconnected_but_live(deployed, kept, history),
        *_connected_but_gone(deployed, kept, lost_at_finch),
        *_inconsistent_ownerships(kept),
        *(_unfinished(kept) if at_rest else ()),
    ]


def _tokens_without_a_place(
    deployed: Deployed,
    kept: StoredState,
    places: list[Place],
    reported: Collection[str],
    *,
    at_rest: bool,
) -> Iterator[str]:
    """I1: every live token decrypts in exactly one live place, or is covered, or is reported."""
    by_text: dict[str, list[Place]] = defaultdict(list)
    tokens = {token.access_token: token for token in deployed.finch.tokens()}
    for place in places:
        if place.text is None:
            yield f"I1: a ciphertext does not decrypt in its row, {_named(place.row)}"
        elif place.text not in tokens:
            yield f"I1: the decrypted text of {_named(place.row)} is not a token of Finch"
        else:
            by_text[place.text].append(place)
            if place.token_id not in (None, tokens[place.text].id):
                yield f"I1: a ciphertext contains another token than its row says, {place.row}"
    live = deployed.finch.live_tokens()
    # A dead token cannot end its Finch connection, so it covers no other token.
    covered = {one.connection_id for one in live if len(by_text[one.access_token]) == 1}
    excuses = _excuses(deployed, kept, at_rest=at_rest)
    for token in live:
        found = by_text[token.access_token]
        if len(found) > 1:
            rows = ", ".join(_named(place.row) for place in found)
            yield f"I1: a token is in {len(found)} places: {rows}"
        elif not found and token.connection_id not in covered | set(reported):
            if excuses[_source(token)] > 0:
                excuses[_source(token)] -= 1
            else:
                yield f"I1: a live token is lost and not reported: {_token(deployed, token)}"


def _excuses(deployed: Deployed, kept: StoredState, *, at_rest: bool) -> Counter[tuple[str, ...]]:
    """The number of tokens that are known to be lost, by source: at most one for each session."""
    codes = {sha256(c["value"].encode()).hexdigest(): c for c in deployed.finch.truth()["codes"]}
    known = _REPORTED if at_rest else {*_REPORTED, "exchanging"}
    excuses: Counter[tuple[str, ...]] = Counter()
    for item in kept.sessions.values():
        code = codes.get(item.get("code_hash", {"S": ""})["S"])
        if code and item["phase"]["S"] in known and "escrow" not in item:
            excuses[code["login"], *sorted(code["products"])] += 1
    return excuses


def _source(token: Token) -> tuple[str, ...]:
    return (token.login, *sorted(token.products))


def _codes_exchanged_twice(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """I2: at most one request with a given code may have had an effect."""
    sent = Counter(one.code_hash for one in exchanges if one.may_have_had_an_effect)
    for times in sent.values():
        if times > 1:
            yield f"I2: a code was exchanged {times} times"


def _disconnected_but_live(
    deployed: Deployed, kept: StoredState, history: ConnectionHistory
) -> Iterator[str]:
    """I3: a connection or entity that is shown as disconnected has ended at Finch."""
    live = {one.id for one in _live(deployed)}
    for row in kept.connections:
        if kept.status(row) == "disconnected" and history.seen(row) & live:
            yield f"I3: {_named(row)} is shown as disconnected and lives at Finch"
    present = {one.id: {each.id for each in one.present_entities} for one in _live(deployed)}
    newest = {token.connection_id: token for token in deployed.finch.live_tokens()}
    for row, item in kept.connections.items():
        checked_at = datetime.fromisoformat(item.get("checked_at", item["created_at"])["S"])
        for token in item["tokens"]["M"].values():
            connection_id, statuses = token["M"]["connection_id"]["S"], entities_of(token)
            login = newest.get(connection_id)
            # A later login connects its entities at Finch again, also while it is not attached. The row
            # shows the end that Finch has confirmed until its next health check, as for any other change
            # at Finch: the login may be of another user, and the row must not follow it before that.
            if login is None or (
                login.id not in item["tokens"]["M"] and checked_at <= login.created_at
            ):
                continue
            if any(
                statuses[one] == "disconnected"
                for one in statuses.keys() & present.get(connection_id, set())
            ):
                yield f"I3: an entity of {_named(row)} is shown as disconnected and lives at Finch"


def _live(deployed: Deployed) -> list[Connection]:
    return [one for one in deployed.finch.connections() if one.live]


def _connected_but_gone(
    deployed: Deployed, kept: StoredState, lost_at_finch: Collection[str]
) -> Iterator[str]:
    """I4: a connection that is shown as connected lives at Finch, unless Finch itself ended it."""
    live = {token.id for token in deployed.finch.live_tokens()}
    for row, item in kept.connections.items():
        if kept.status(row) != "connected":
            continue
        for token_id, token in item["tokens"]["M"].items():
            if token_id not in live and token["M"]["connection_id"]["S"] not in lost_at_finch:
                yield f"I4: {_named(row)} is shown as connected and has ended at Finch"


def _inconsistent_ownerships(kept: StoredState) -> Iterator[str]:
    """I5: ownership records, connections and sessions with tokens agree."""
    for owned_id, item in kept.ownerships.items():
        kind, _, what = owned_id.partition("#")
        if "customer_id" in item:
            row = (item["customer_id"]["S"], item["key"]["S"])
            owned = row in kept.connections and (
                bool(kept.connection_ids(row))
                if kind == "company"
                else what in kept.connection_ids(row)
            )
            if not owned:
                yield f"I5: {kind} record of {_named(row)}, which does not have it"
        for holder in item.get("holders", {"SS": []})["SS"]:
            if what not in _behind(kept.sessions.get(holder, {})):
                yield f"I5: {kind} record names a session that has no token of it"
    for customer_id, key in kept.connections:
        for owned_id in _wanted(kept, (customer_id, key)):
            record = kept.ownerships.get(owned_id, {})
            if record.get("customer_id") != {"S": customer_id} or record.get("key") != {"S": key}:
                kind = owned_id.partition("#")[0]
                yield f"I5: {_named((customer_id, key))} has a {kind} without an ownership record"
    for handle_hash, item in kept.sessions.items():
        for connection_id in _behind(item):
            record = kept.ownerships.get(f"connection#{connection_id}", {})
            if handle_hash not in record.get("holders", {"SS": []})["SS"]:
                yield "I5: a session has a token, but the ownership record does not name it"


def _wanted(kept: StoredState, row: Row) -> set[str]:
    """The records that a connection must have; none if an operator gave its company to another customer."""
    connection_ids = kept.connection_ids(row)
    if not connection_ids or kept.connections[row].get("problem") == {"S": "transferred"}:
        return set()
    return {f"company#{row[1]}", *(f"connection#{one}" for one in connection_ids)}


def _behind(session: dict[str, Any]) -> set[str]:
    """The Finch connections of which a session has a token, or may have one while it repairs."""
    if session.get("phase", {"S": ""})["S"] not in _HOLDING:
        return set()
    kept = session.get("escrow", {"M": {}})["M"].get("connection_id", {"S": ""})["S"]
    return {kept, session.get("repairs_id", {"S": ""})["S"]} - {""}


def _unfinished(kept: StoredState) -> Iterator[str]:
    """At rest no session, disconnect or discard is unfinished."""
    for item in kept.sessions.values():
        if item["phase"]["S"] not in _AT_REST:
            yield f"I1: a session is left {item['phase']['S']}"
    for row, item in kept.connections.items():
        # A transferred connection stays so while Finch refuses to end it.
        if kept.status(row) == "disconnecting" and item.get("problem") != {"S": "transferred"}:
            yield f"I3: {_named(row)} is left disconnecting"
        if "ending_entities" in item:
            yield f"I3: an entity of {_named(row)} is left disconnecting"
    for owned_id, item in kept.ownerships.items():
        if "discarding" in item:
            yield f"I5: {owned_id.partition('#')[0]} record is left discarding"


def _named(row: Row | str) -> str:
    return "a session" if isinstance(row, str) else f"{row[0]}'s {row[1].split('#')[0]}"


def _token(deployed: Deployed, token: Token) -> str:
    connection = deployed.finch.connection(token.connection_id)
    return f"{connection.provider_id}, {token.login}"
