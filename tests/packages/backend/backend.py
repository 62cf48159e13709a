"""A backend that is no Lambda function: counts the employees of a customer by the installed wheels."""

import sys

from finch import Finch

from finch_employees import LeftOut, Part, Record, read, reconcile
from finch_tokens import CustomerConnection, TokenRefused, connections_of, token_for
from finch_tokens.http import finch_connections_client

PURPOSE = "count employees"


def employees(customer_id: str, connection: CustomerConnection) -> int:
    """The number of employees in the directory of a connection, by Finch's SDK."""
    with finch_connections_client(
        customer_id=customer_id,
        provider_id=connection.provider_id,
        company_id=connection.company_id,
        purpose=PURPOSE,
    ) as http:
        return sum(1 for _ in Finch(access_token="", http_client=http).hris.directory.list())


def people(customer_id: str) -> tuple[int, list[LeftOut]]:
    """The number of people in all connections, and what was not read."""
    records: list[Record] = []
    left_out: list[LeftOut] = []
    for one in read(customer_id=customer_id, purpose=PURPOSE):
        if isinstance(one, Part):
            records.extend(one.records)
        else:
            left_out.append(one)
    return len(reconcile(records).people), left_out


def main(customer_id: str) -> None:
    """Prints the numbers, and the reason for a connection that does not exist."""
    for connection in connections_of(customer_id=customer_id, purpose=PURPOSE):
        print(connection.provider_id, employees(customer_id, connection))
    count, left_out = people(customer_id)
    print("people", count, left_out)
    try:
        with token_for(
            customer_id=customer_id,
            provider_id="gusto",
            company_id="none",
            products=["directory"],
            purpose=PURPOSE,
        ) as token:
            print(token.connection_id)
    except TokenRefused as refused:
        print(refused.reason)


if __name__ == "__main__":
    main(sys.argv[1])
