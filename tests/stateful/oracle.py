"""The test oracle: the facts outside the product, against which its state is checked."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import httpx

from finch_connections.domain.connect_session import CONFIRM_WITHIN
from finch_connections.domain.work_item import LONGEST_PAUSE
from local.fake_finch.records import Connection
from tests.support.deployed import Deployed
from tests.support.in_process import InProcess
from tests.support.invariants import ConnectionHistory, Row, StoredState

_UNFINISHED = {"exchanging", "escrowed", "discarding", "held", "uncertain"}
_GOING = ("disconnecting", "disconnected")


@dataclass
class Authorization:
    """One login at Finch Connect and its code, for the customer who started the session.

    `repairs` is the Finch connection that the login repairs, if the user asked for a repair.
    """

    customer_id: str
    code: str
    state: str
    url: str | None
    completion: str | None = field(default=None, repr=False)
    repairs: str | None = None


@dataclass
class Oracle:
    """The events outside the product.

    `proven` are the codes that came back with proof that their customer logged in. `wanted` are the
    connections that their customer has not ended since the last login was attached, with their Finch
    connections. The other sets contain ids of Finch connections. A customer has ended those in
    `asked_to_end`, or the product has discarded them. An operator has ended those in
    `ended_by_operator`. Finch has ended those in `lost_at_finch` without our request, and has revoked
    tokens of those in `revoked`.
    """

    world: InProcess
    deployed: Deployed
    history: ConnectionHistory = field(default_factory=ConnectionHistory)
    authorizations: dict[str, Authorization] = field(default_factory=dict)
    code_of: dict[str, str] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    asked_to_end: set[str] = field(default_factory=set)
    ended_by_operator: set[str] = field(default_factory=set)
    lost_at_finch: set[str] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    attached: dict[Row, set[str]] = field(default_factory=lambda: defaultdict(set))
    wanted: dict[Row, set[str]] = field(default_factory=dict)

    def record(self) -> StoredState:
        """Records the tokens of every connection, and their Finch connections."""
        kept = StoredState(self.deployed)
        self.history.record(kept)
        for row, item in kept.connections.items():
            if item.get("problem") == {"S": "transferred"} and row in self.wanted:
                self.customer_ends(row)
            if new := item["tokens"]["M"].keys() - self.attached[row]:
                self.attached[row] |= new
                tokens = item["tokens"]["M"]
                behind = {tokens[token_id]["M"]["connection_id"]["S"] for token_id in new}
                self.wanted.setdefault(row, set()).update(behind)
                self.asked_to_end -= behind
        self.asked_to_end |= {
            item["escrow"]["M"]["connection_id"]["S"]
            for item in kept.sessions.values()
            if item["phase"]["S"] == "discarding"
        }
        return kept

    def customer_ends(self, row: Row) -> None:
        """Records that a customer wants to end a connection with all its Finch connections."""
        self.wanted.pop(row, None)
        self.asked_to_end |= self.history.seen(row)

    def live(self) -> set[str]:
        """The ids of the live connections at Finch."""
        return {one.id for one in self.world.finch.connections() if one.live}

    def exchange(self, request: httpx.Request, code: str, send: Callable[[], Any]) -> Any:
        """Lets Finch exchange a code, and records the new token and the revoked tokens."""
        before = {token.id: token for token in self.world.finch.live_tokens()}
        answer = send()
        after = {token.id for token in self.world.finch.live_tokens()}
        for token_id in after - before.keys():
            self.code_of[token_id] = code
        self.revoked |= {before[one].connection_id for one in before.keys() - after}
        return answer

    def finch_may_end(self, act: Callable[[], Any]) -> Any:
        """Calls `act`, and records the connections that it ended at Finch."""
        before = self.live()
        try:
            return act()
        finally:
            self.lost_at_finch |= before - self.live()

    def was_attached(self, code: str, provider_id: str, company_id: str) -> bool:
        """Whether the token of a code was attached to this connection.

        A second code of an attempt gets the outcome of the first.
        """
        authorization = self.authorizations[code]
        attached = self.attached[(authorization.customer_id, f"{provider_id}#{company_id}")]
        return bool(self._made_in(authorization) & attached)

    def excused(self) -> set[str]:
        """The Finch connections that a health check may find ended, without a customer's request."""
        return self._with_scope(self.ended_by_operator) | self.lost_at_finch | self.revoked

    def has_repaired(self, authorization: Authorization) -> bool:
        """Whether the repair made a token of the Finch connection that it was started for."""
        made = {one.id: one.connection_id for one in self.world.finch.tokens()}
        return any(
            made[token_id] == authorization.repairs for token_id in self._made_in(authorization)
        )

    def _made_in(self, authorization: Authorization) -> set[str]:
        """The tokens of the codes of an attempt."""
        return {
            token_id
            for token_id, code in self.code_of.items()
            if code in self.authorizations
            and self.authorizations[code].state == authorization.state
        }

    def broken(self, kept: StoredState) -> Iterator[str]:
        """Describes every contradiction between the stored state and the facts."""
        yield from self._attached_to_another(kept)
        yield from self._disconnected_unasked(kept)
        yield from self._ended_at_finch_unasked()
        yield from self._not_due(kept)

    def _attached_to_another(self, kept: StoredState) -> Iterator[str]:
        """A token belongs only to a customer with proof that they logged in for it."""
        for (customer_id, key), item in kept.connections.items():
            for token_id in item["tokens"]["M"]:
                code = self.code_of.get(token_id, "")
                authorization = self.authorizations.get(code)
                if authorization is None:
                    yield f"M1: {customer_id} has a token of {key} without a login"
                elif authorization.customer_id != customer_id:
                    yield f"M1: {customer_id} has a token from a login of {authorization.customer_id}"
                elif code not in self.proven:
                    yield f"M1: {customer_id} has a token without proof that it is theirs"
        for handle_hash, item in kept.sessions.items():
            code_hash = item.get("code_hash", {"S": ""})["S"]
            if "escrow" in item and not code_hash:
                yield f"M1: a session has a token without a code, {handle_hash[:8]}"

    def _disconnected_unasked(self, kept: StoredState) -> Iterator[str]:
        excused = self.excused()
        for row, connection_ids in self.wanted.items():
            status = kept.status(row) if row in kept.connections else ""
            seen = status == "disconnected" and connection_ids <= excused
            if status in _GOING and not seen:
                yield f"M2: {row[0]}'s {row[1].split('#')[0]} is {kept.status(row)}, unasked"

    def _ended_at_finch_unasked(self) -> Iterator[str]:
        """No connection ends at Finch without a request, in any state of our tables."""
        asked = self._with_scope(self.asked_to_end | self.ended_by_operator) | self.lost_at_finch
        for one in self.world.finch.connections():
            if not one.live and one.id not in asked:
                rows = [row[0] for row, behind in self.wanted.items() if one.id in behind]
                whose = f"{rows[0]}'s" if rows else "an unattached"
                yield f"M2: {whose} {one.provider_id} of {one.logins[0]} is ended at Finch, unasked"

    def _with_scope(self, ended: Set[str]) -> set[str]:
        """These Finch connections, and those that Finch ends together with them."""
        finch, scope = self.world.finch, set(ended)
        if finch.switches.disconnect_scope == "employer_provider":
            pairs = {_employer(one) for one in finch.connections() if one.id in ended}
            scope |= {one.id for one in finch.connections() if _employer(one) in pairs}
        return scope

    def _not_due(self, kept: StoredState) -> Iterator[str]:
        """The scheduled check must find unfinished work within an hour, or when its confirmation ends."""
        soon = self.world.clock.now + LONGEST_PAUSE
        for item in kept.sessions.values():
            phase = item["phase"]["S"]
            if phase in _UNFINISHED:
                consumed_at = datetime.fromisoformat(item["consumed_at"]["S"])
                latest = max(soon, consumed_at + CONFIRM_WITHIN) if _unconfirmed(item) else soon
                if not _found_by(item, latest):
                    yield f"M3: no scheduled check finds a session that is {phase}"
        for row, item in kept.connections.items():
            # A repair at another company leaves a problem, and no work.
            refused = item.get("problem") == {"S": "disconnect_refused"}
            going = kept.status(row) == "disconnecting" or refused
            if going and not _found_by(item, soon):
                yield f"M3: no scheduled check finds {row[0]}'s {kept.status(row)} connection"


def _found_by(item: dict[str, Any], latest: datetime) -> bool:
    """Whether a row is due by this time. Each work item that had no look yet may delay it longer."""
    lease = timedelta(seconds=int(item.get("lease", {"N": "0"})["N"]))
    return "due_at" in item and int(item["due_at"]["N"]) <= ceil((latest + lease).timestamp())


def _unconfirmed(session: dict[str, Any]) -> bool:
    """Whether a session only waits for its customer, with a token in escrow."""
    escrow = session.get("escrow", {"M": {}})["M"]
    return session["phase"]["S"] == "escrowed" and not escrow["browser_bound"]["BOOL"]


def _employer(connection: Connection) -> tuple[str, str]:
    return connection.provider_id, connection.company_id
