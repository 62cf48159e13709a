"""What is true whatever the product says: who went through Finch Connect, and what each was told."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import httpx

from local.fake_finch.records import Connection
from tests.support.deployed import Deployed
from tests.support.in_process import InProcess
from tests.support.invariants import Kept, Row, Watch

_WATCHED = {"exchanging", "escrowed", "discarding", "held", "uncertain"}
_GOING = ("disconnecting", "disconnected")


@dataclass
class Trip:
    """One way through Finch Connect, and the code that it ended with, for the one who began it.

    `repairs` is the Finch connection that the person was led to, where they asked for a repair.
    """

    customer_id: str
    code: str
    state: str
    url: str | None
    completion: str | None = field(default=None, repr=False)
    repairs: str | None = None


@dataclass
class Truth:
    """What happened outside the product.

    `proven` are codes that the customer was shown to have come back with. `wanted` are the
    connections that nobody has asked to end since a login was last attached to them, with Finch's
    behind them. Of Finch's, `asked` are those that somebody asked to end since then, or that were
    given up, `cut_off` those that an operator ended, `lost_at_finch` those that Finch ended by
    itself, and `revoked` those of which it has revoked tokens.
    """

    world: InProcess
    shown: Deployed
    watch: Watch = field(default_factory=Watch)
    trips: dict[str, Trip] = field(default_factory=dict)
    code_of: dict[str, str] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    cut_off: set[str] = field(default_factory=set)
    lost_at_finch: set[str] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    attached: dict[Row, set[str]] = field(default_factory=lambda: defaultdict(set))
    wanted: dict[Row, set[str]] = field(default_factory=dict)

    def look(self) -> Kept:
        """Notes which token is attached where, and to which of Finch's connections it leads."""
        kept = Kept(self.shown)
        self.watch.look(kept)
        for row, item in kept.connections.items():
            if new := item["tokens"]["M"].keys() - self.attached[row]:
                self.attached[row] |= new
                tokens = item["tokens"]["M"]
                behind = {tokens[token_id]["M"]["connection_id"]["S"] for token_id in new}
                self.wanted.setdefault(row, set()).update(behind)
                self.asked -= behind
        self.asked |= {
            item["escrow"]["M"]["connection_id"]["S"]
            for item in kept.sessions.values()
            if item["phase"]["S"] == "discarding"
        }
        return kept

    def asks_to_end(self, row: Row) -> None:
        """Notes that a customer wants a connection to end, with all that is behind it."""
        self.wanted.pop(row, None)
        self.asked |= self.watch.seen(row)

    def live(self) -> set[str]:
        """The connections that Finch has."""
        return {one.id for one in self.world.finch.connections() if one.live}

    def mint(self, request: httpx.Request, code: str, send: Callable[[], Any]) -> Any:
        """Lets Finch exchange a code, and notes the token that it made of it."""
        before = {token.id: token for token in self.world.finch.live_tokens()}
        answer = send()
        after = {token.id for token in self.world.finch.live_tokens()}
        for token_id in after - before.keys():
            self.code_of[token_id] = code
        self.revoked |= {before[one].connection_id for one in before.keys() - after}
        return answer

    def ends_by_itself(self, act: Callable[[], Any]) -> Any:
        """Does something with which Finch, or somebody at its dashboard, may end a connection."""
        before = self.live()
        try:
            return act()
        finally:
            self.lost_at_finch |= before - self.live()

    def was_attached(self, code: str, provider_id: str, company_id: str) -> bool:
        """Whether what came of a code has been in the connection that its customer was told of."""
        trip = self.trips[code]
        there = self.attached[(trip.customer_id, f"{provider_id}#{company_id}")]
        return any(self.code_of.get(token_id) == code for token_id in there)

    def excused(self) -> set[str]:
        """Whom an operator cut off, warned, or Finch by itself, is seen to be ended by a look."""
        return self._and_beside(self.cut_off) | self.lost_at_finch | self.revoked

    def has_repaired(self, trip: Trip) -> bool:
        """Whether what came of a repair is a token of what was to be repaired."""
        made = {one.id: one.connection_id for one in self.world.finch.tokens()}
        return any(made[one] == trip.repairs for one, of in self.code_of.items() if of == trip.code)

    def broken(self, kept: Kept) -> Iterator[str]:
        """What contradicts the truth now, in words."""
        yield from self._attached_to_another(kept)
        yield from self._ended_without_being_asked(kept)
        yield from self._dead_without_being_asked()
        yield from self._forgotten(kept)

    def _attached_to_another(self, kept: Kept) -> Iterator[str]:
        """A token is in the hands of the customer alone who is shown to have gone through for it."""
        for (customer_id, key), item in kept.connections.items():
            for token_id in item["tokens"]["M"]:
                code = self.code_of.get(token_id, "")
                trip = self.trips.get(code)
                if trip is None:
                    yield f"M1: {customer_id} has a token of {key} that nobody went through for"
                elif trip.customer_id != customer_id:
                    yield f"M1: {customer_id} has a token that {trip.customer_id} went through for"
                elif code not in self.proven:
                    yield f"M1: {customer_id} has a token that nothing shows to be theirs"
        for handle_hash, item in kept.sessions.items():
            code_hash = item.get("code_hash", {"S": ""})["S"]
            if "escrow" in item and not code_hash:
                yield f"M1: a session keeps a token without a code, {handle_hash[:8]}"

    def _ended_without_being_asked(self, kept: Kept) -> Iterator[str]:
        excused = self.excused()
        for row, connection_ids in self.wanted.items():
            status = kept.status(row) if row in kept.connections else ""
            seen = status == "disconnected" and connection_ids <= excused
            if status in _GOING and not seen:
                yield f"M2: {row[0]}'s {row[1].split('#')[0]} is {kept.status(row)}, unasked"

    def _dead_without_being_asked(self) -> Iterator[str]:
        """Whoever has it, and whatever we call it: what lives at Finch is somebody's to keep."""
        asked = self._and_beside(self.asked | self.cut_off) | self.lost_at_finch
        for one in self.world.finch.connections():
            if not one.live and one.id not in asked:
                rows = [row[0] for row, behind in self.wanted.items() if one.id in behind]
                whose = f"{rows[0]}'s" if rows else "nobody's"
                yield f"M2: {whose} {one.provider_id} of {one.logins[0]} is ended at Finch, unasked"

    def _and_beside(self, ended: Set[str]) -> set[str]:
        """These of Finch's connections, and what it ends together with them."""
        finch, beside = self.world.finch, set(ended)
        if finch.switches.disconnect_scope == "employer_provider":
            pairs = {_employer(one) for one in finch.connections() if one.id in ended}
            beside |= {one.id for one in finch.connections() if _employer(one) in pairs}
        return beside

    def _forgotten(self, kept: Kept) -> Iterator[str]:
        """What is unfinished has a message in the queue, or among the dead letters.

        Or it had one that SQS kept for as long as it keeps any: that is the sweep's to find.
        """
        queue = self.world.queue
        messages = [*queue.waiting(), *queue.dead(), *queue.expired]
        sessions = {message.get("session") for message in messages}
        rows = {
            (one["customer_id"], f"{one['provider_id']}#{one['company_id']}")
            for one in messages
            if "customer_id" in one
        }
        for handle_hash, item in kept.sessions.items():
            if item["phase"]["S"] in _WATCHED and handle_hash not in sessions:
                yield f"M3: no message is about a session that is {item['phase']['S']}"
        for row, item in kept.connections.items():
            going = kept.status(row) == "disconnecting" or "problem" in item
            if going and row not in rows:
                yield f"M3: no message is about {row[0]}'s {kept.status(row)} connection"


def _employer(connection: Connection) -> tuple[str, str]:
    return connection.provider_id, connection.company_id
