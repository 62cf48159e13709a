"""Computes the cost of requests from their calls: `python -m tests.bench.costs`.

`tests/integration/test_calls.py` checks the calls; the documentation has this module's table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.support.check_figures import DOLLARS

# Dollars for a million, from the public on-demand prices of us-east-1.
API_REQUEST = 1.00
LAMBDA_REQUEST = 0.20
GIGABYTE_SECOND = 13.3334
READ_UNIT, WRITE_UNIT = 0.125, 0.625
SQS_REQUEST = 0.40
KMS_REQUEST = 3.00
LOG_LINE = 400 * 0.50 / 1000
# The 43,200 runs of the scheduled check in a month: 24 queries of half a unit, a request to SQS, an event
# of the schedule, 0.15 s of 256 MB on arm64, three log lines of 400 bytes.
RUN_DOLLARS = (24 * 0.5 * 0.125 + 0.40 + 1.00 + 0.20) / 1e6 + (
    0.15 * 0.25 * 0.0000133334 + 3 * 400 * 0.50 / 1e9
)
# The monthly cost of the key, the secret and the scheduled check, without any request.
IDLE_DOLLARS = 1.00 + 0.40 + 43_200 * RUN_DOLLARS
CHECKS_A_MONTH = 30

# The assumed seconds of a call to Finch and to AWS, and of our own code when warm, at 512 MB.
FINCH_SECONDS, AWS_SECONDS, OWN_SECONDS = 0.15, 0.006, 0.01

type Calls = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Request:
    """The calls of a warm request, each with its capacity units.

    A read unit is 4 KB and a write unit 1 KB, in a transaction 0.5 KB; an index adds its own write.
    A connection with one login, or a session, has 2 KB, any other item 1 KB. `waits` is the number
    of AWS calls in sequence.
    """

    calls: Calls
    waits: int
    lines: int
    through_api: bool = True

    @property
    def names(self) -> list[str]:
        """The names of the calls, in their order."""
        return [name for name, _ in self.calls]

    @property
    def finch_calls(self) -> int:
        """The number of calls to Finch."""
        return sum(" " in name for name in self.names)

    @property
    def dollars(self) -> float:
        """The cost of a million requests."""
        return (
            sum(_dollars(name, units) for name, units in self.calls)
            + (API_REQUEST if self.through_api else 0)
            + self.lambda_dollars(OWN_SECONDS, 512)
            + self.lines * LOG_LINE
        )

    def lambda_dollars(self, own_seconds: float, megabytes: int) -> float:
        """The price of Lambda for a million requests, with the time that they wait for AWS and Finch."""
        waiting = self.finch_calls * FINCH_SECONDS + self.waits * AWS_SECONDS
        return LAMBDA_REQUEST + (waiting + own_seconds) * megabytes / 1024 * GIGABYTE_SECOND


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
    # The budget of the customer, and the session with its indexes by customer and by reference.
    "POST /connect-sessions": Request([("UpdateItem", 1), ("PutItem", 2 + 2)], waits=2, lines=1),
    "GET /connect/{handle}": Request(
        [
            ("GetItem", 1),
            # The budgets of the link and the customer.
            ("TransactWriteItems", 2 + 2),
            ("POST /connect/sessions", 1),
            ("UpdateItem", 2),
        ],
        waits=3,
        lines=1,
    ),
    "GET /callback": Request(
        [
            ("GetItem", 1),
            # The record of the code, the session, which is added to its index, and two budgets.
            ("TransactWriteItems", 2 + 4 + 1 + 2 + 2),
            ("POST /auth/token", 1),
            ("Encrypt", 1),
            # The session, and the ownership record of the connection.
            ("TransactWriteItems", 4 + 2),
            ("BatchGetItem", 2),
            ("GET /introspect", 1),
            ("Encrypt", 1),
            # The connection with its index, two ownership records, and the session, which leaves
            # its index.
            ("TransactWriteItems", 4 + 1 + 4 + 4 + 1),
        ],
        # The connection is read while the token is encrypted and stored, and the second encryption runs
        # while Finch responds.
        waits=5,
        lines=3,
    ),
    "DELETE /connections/{provider_id}/{company_id}": Request(
        [
            ("GetItem", 1),
            # The connection, whose key in the index changes.
            ("TransactWriteItems", 4 + 2),
            ("Decrypt", 1),
            ("POST /disconnect", 1),
            # The connection without its index, and two ownership records.
            ("TransactWriteItems", 4 + 1 + 4),
        ],
        waits=4,
        lines=2,
    ),
    "POST /webhooks/finch": Request([("SendMessage", 1)], waits=1, lines=1),
    "vend_token": Request(
        [("GetItem", 1), ("Decrypt", 1), ("PutItem", 1)], waits=3, lines=1, through_api=False
    ),
    "call_finch": Request(
        [
            ("GetItem", 1),
            # The count of the calls.
            ("GetItem", 1),
            ("UpdateItem", 1),
            ("Decrypt", 1),
            ("PutItem", 1),
            ("GET /employer/directory", 1),
        ],
        waits=6,
        lines=2,
        through_api=False,
    ),
}


def table() -> str:
    """The table as it is in the documentation."""
    lines = ["| request | AWS | Finch | dollars a million |", "| --- | ---: | ---: | ---: |"]
    for name, request in REQUESTS.items():
        finch = request.finch_calls
        aws = len(request.calls) - finch
        lines.append(f"| `{name}` | {aws} | {finch} | {request.dollars:.2f} |")
    checks = CHECKS_A_MONTH * 1000 * sum(DOLLARS.values())
    lines.append(f"| a month of daily checks of 1,000 connections | | | {checks:.2f} in all |")
    lines.append(f"| a month without any request | | | {IDLE_DOLLARS:.2f} in all |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
