"""What requests cost, from the calls that they make: `python -m tests.bench.costs`.

The calls are those that `tests/integration/test_calls.py` sees; the README's table is this one's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.support.check_figures import DOLLARS

# Dollars for a million, by the public on-demand prices of us-east-1.
API_REQUEST = 1.00
LAMBDA_REQUEST = 0.20
GIGABYTE_SECOND = 13.3334
READ_UNIT, WRITE_UNIT = 0.125, 0.625
SQS_REQUEST = 0.40
KMS_REQUEST = 3.00
LOG_LINE = 400 * 0.50 / 1000
# A month of what costs without being used: the key and the secret.
IDLE_DOLLARS = 1.00 + 0.40
CHECKS_A_MONTH = 30

# What Finch and AWS are assumed to take, and our own part, warm: seconds of 512 MB.
FINCH_SECONDS, AWS_SECONDS, OWN_SECONDS = 0.15, 0.006, 0.01

type Calls = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Request:
    """The calls that a warm request makes, each with its units, and how many it waits for.

    Of a read 4 KB are a unit, of a write 1 KB, in a transaction half of that, and an index takes one
    more. A connection with a login and a session take 2 KB, anything else 1. `waits` are the calls
    to AWS that come one after the other.
    """

    calls: Calls
    waits: int
    lines: int
    through_api: bool = True

    @property
    def names(self) -> list[str]:
        """The calls alone, in their order."""
        return [name for name, _ in self.calls]

    @property
    def dollars(self) -> float:
        """What a million of it cost."""
        finch = sum(" " in name for name in self.names)
        seconds = finch * FINCH_SECONDS + self.waits * AWS_SECONDS + OWN_SECONDS
        return (
            sum(_dollars(name, units) for name, units in self.calls)
            + (API_REQUEST if self.through_api else 0)
            + LAMBDA_REQUEST
            + seconds * 0.5 * GIGABYTE_SECOND
            + self.lines * LOG_LINE
        )


def _dollars(name: str, units: int) -> float:
    if name in ("GetItem", "BatchGetItem", "Query"):
        return units * READ_UNIT
    if name in ("PutItem", "UpdateItem", "TransactWriteItems"):
        return units * WRITE_UNIT
    if name in ("Encrypt", "Decrypt"):
        return KMS_REQUEST
    return SQS_REQUEST if name == "SendMessage" else 0


REQUESTS: Mapping[str, Request] = {
    "GET /connections": Request([("Query", 3)], waits=1, lines=0),
    "POST /connect-sessions": Request([("PutItem", 2)], waits=1, lines=1),
    "GET /connect/{handle}": Request(
        [("GetItem", 1), ("POST /connect/sessions", 1), ("UpdateItem", 2)], waits=2, lines=1
    ),
    "GET /callback": Request(
        [
            ("GetItem", 1),
            ("SendMessage", 1),
            # The note of the code, and the session, which comes into its index.
            ("TransactWriteItems", 2 + 4 + 1),
            ("POST /auth/token", 1),
            ("Encrypt", 1),
            # The session, and the claim on the connection.
            ("TransactWriteItems", 4 + 2),
            ("BatchGetItem", 2),
            ("GET /introspect", 1),
            ("Encrypt", 1),
            # The connection with its index, two claims, and the session, which leaves its index.
            ("TransactWriteItems", 4 + 1 + 4 + 4 + 1),
        ],
        waits=8,
        lines=3,
    ),
    "DELETE /connections/{provider_id}/{company_id}": Request(
        [
            ("GetItem", 1),
            ("SendMessage", 1),
            # The connection, which changes its place in the index.
            ("TransactWriteItems", 4 + 2),
            ("Decrypt", 1),
            ("POST /disconnect", 1),
            # The connection without its index, and two claims.
            ("TransactWriteItems", 4 + 1 + 4),
        ],
        waits=4,
        lines=2,
    ),
    "POST /webhooks/finch": Request([("SendMessage", 1)], waits=1, lines=1),
    "vend_token": Request(
        [("GetItem", 1), ("Decrypt", 1), ("PutItem", 1)], waits=3, lines=1, through_api=False
    ),
}


def table() -> str:
    """As it stands in the README."""
    lines = ["| request | AWS | Finch | dollars a million |", "| --- | ---: | ---: | ---: |"]
    for name, request in REQUESTS.items():
        finch = sum(" " in one for one in request.names)
        aws = len(request.calls) - finch
        lines.append(f"| `{name}` | {aws} | {finch} | {request.dollars:.2f} |")
    checks = CHECKS_A_MONTH * 1000 * sum(DOLLARS.values())
    lines.append(f"| a month of daily checks of 1,000 connections | | | {checks:.2f} in all |")
    lines.append(f"| a month without any request | | | {IDLE_DOLLARS:.2f} in all |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
