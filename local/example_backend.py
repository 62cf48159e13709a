"""An example of a backend: counts the employees of a connection in the local world, with Finch's own SDK.

While `make local` runs: `python -m local.example_backend CUSTOMER PROVIDER COMPANY --through call_finch`.
"""

import argparse
import os
from typing import get_args

import boto3
from finch import Finch

from finch_tokens import TokenClient
from finch_tokens.http import Through, finch_connections_client
from local.world import CREDENTIALS, REGION, STACK_NAME, Ports

_OUTPUTS = {"vend_token": "VendTokenArn", "call_finch": "CallFinchArn"}


def count(client: TokenClient, through: Through, key: dict[str, str]) -> int:
    """The number of employees in the directory of a connection. Raises `TokenRefused`."""
    with finch_connections_client(
        through=through,
        client=client,
        customer_id=key["customer_id"],
        provider_id=key["provider_id"],
        company_id=key["company_id"],
        purpose="example: count the employees",
    ) as http:
        return sum(1 for _ in Finch(access_token="", http_client=http).hris.directory.list())


def main() -> None:
    """Parses the command line, and prints the number."""
    parser = argparse.ArgumentParser(prog="python -m local.example_backend", description=__doc__)
    parser.add_argument("customer_id")
    parser.add_argument("provider_id")
    parser.add_argument("company_id")
    parser.add_argument("--through", choices=get_args(Through.__value__), default="vend_token")
    asked = vars(parser.parse_args())
    through, ports = asked.pop("through"), Ports()
    os.environ.update(CREDENTIALS, FINCH_API_URL=f"http://127.0.0.1:{ports.finch}")
    aws = boto3.Session(region_name=REGION)
    endpoint = f"http://127.0.0.1:{ports.aws}"
    stacks = aws.client("cloudformation", endpoint_url=endpoint).describe_stacks(
        StackName=STACK_NAME
    )
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stacks["Stacks"][0]["Outputs"]}
    functions = aws.client("lambda", endpoint_url=endpoint)
    client = TokenClient(functions, outputs[_OUTPUTS[through]], "example-backend")
    print(f"{count(client, through, asked)} employees, through {through}")


if __name__ == "__main__":
    main()
