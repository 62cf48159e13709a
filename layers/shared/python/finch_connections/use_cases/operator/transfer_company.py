"""Transfers a company from the customer who owns it to the customer of a held token that proves it."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from finch_connections.domain.connect_session import Held, SessionUsed
from finch_connections.domain.connection import (
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionNotFound,
    ConnectionStatus,
    key_fields,
    transferred,
)
from finch_connections.domain.ownership import Ownership, freed
from finch_connections.domain.token_response import token_of
from finch_connections.log import logger
from finch_connections.use_cases.attach_token import take_over
from finch_connections.use_cases.disconnect import free_as_read
from finch_connections.use_cases.exchange_code import Services
from finch_connections.use_cases.operator.resolve_unfinished import (
    AnswersDiffer,
    NotAsShown,
    Picture,
    picture,
)


class NotProven(Exception):
    """The held token does not prove that the company belongs to its customer."""


@dataclass(frozen=True)
class Transfer:
    """The effect of a transfer to the customer of `session`.

    `connection_id` is the Finch connection of the held token. `former` is the connection that loses the
    company, and `after` the same connection right after the transfer. Finch ends the logins that
    `after` still has. The held token covers the others.
    """

    seen: Picture
    session: Held
    connection_id: str
    former: Connection
    after: Connection

    @property
    def decision(self) -> str:
        """A digest of these facts, which the decision must repeat."""
        facts = (self.seen.decision("transfer"), self.former.revision, self.after.connection_ids)
        return sha256(repr(facts).encode()).hexdigest()[:16]


def show(handle_hash: str, *, now: datetime, services: Services) -> Transfer:
    """The effect of a transfer to the customer of this session.

    Raises `SessionUsed` if no other customer owns the company of a held token, `NotProven`,
    `AnswersDiffer`, `ConnectionBusy`, `SessionNotFound` and `FinchFailure`.
    """
    seen = picture(handle_hash, services=services)
    session, says = seen.session, seen.says
    owners = {(one.customer_id, one.key) for one in seen.owners}
    if not isinstance(session, Held) or session.key is None or not owners:
        raise SessionUsed("This session waits for no company of another customer.")
    if seen.answers_differ or len(owners) > 1:
        raise AnswersDiffer
    [(customer_id, key)] = owners
    if customer_id == session.attempt.customer_id:
        raise SessionUsed("This session waits for no company of another customer.")
    if says is None or not session.escrow.browser_bound or key != session.key:
        raise NotProven
    former = services.connections.get(customer_id, key)
    if former is None:
        raise ConnectionNotFound
    if former.status is ConnectionStatus.DISCONNECTING:
        raise ConnectionBusy
    token_response = session.escrow.token_response.completed(says)
    connection_id = token_response.connection_id
    name = session.attempt.finch_customer_id or session.attempt.customer_id
    token = token_of(token_response, says, name, session.consumption.consumed_at)
    return Transfer(seen, session, connection_id, former, transferred(former, token, now))


def transfer(handle_hash: str, decision: str, *, now: datetime, services: Services) -> CompanyKey:
    """Gives the company to the customer of this session, as an operator has decided.

    The former customer's logins that the held token does not cover end at Finch; a work item continues
    until Finch has confirmed it. Raises the same errors as `show`, `NotAsShown`, `Refusal`, and
    `dynamodb.Conflict` if anything has changed meanwhile.
    """
    shown = show(handle_hash, now=now, services=services)
    if shown.decision != decision:
        raise NotAsShown
    session, former, after = shown.session, shown.former, shown.after
    customer_id, connection_id = session.attempt.customer_id, shown.connection_id
    taken = {
        Ownership.of_company(former.customer_id, former.key),
        Ownership.of_connection_id(connection_id, former.customer_id, former.key),
    }
    others = [one for one in freed(former, after) if one not in taken]
    losing = [
        services.connections.writing(after),
        *free_as_read(others, services.ownerships),
    ]
    key = take_over(session, former.customer_id, losing, now=now, services=services)
    logger.warning(
        "company transferred",
        extra=key_fields(customer_id, key),
        former_customer_id=former.customer_id,
    )
    return key
