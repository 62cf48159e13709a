"""Prints the endpoints and signing scopes of the botocore that can be imported here."""

import json
from typing import Any

from botocore.session import Session

# One region of each partition that has all the services.
REGIONS = ("eu-west-1", "us-gov-west-1", "cn-north-1")
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamodb": ("get_item", {"TableName": "t", "Key": {"a": {"S": "1"}}}),
    "dynamodbstreams": ("get_records", {"ShardIterator": "x"}),
    "events": ("put_events", {"Entries": [{"Source": "a"}]}),
    "kms": ("encrypt", {"KeyId": "k", "Plaintext": b"1"}),
    "lambda": ("invoke", {"FunctionName": "f"}),
    "secretsmanager": ("get_secret_value", {"SecretId": "s"}),
    "sqs": ("send_message", {"QueueUrl": "https://q/1/2", "MessageBody": "m"}),
}


class _Caught(BaseException):
    """Stops a request before it is sent, after it was recorded."""


def main() -> None:
    """Prints the URL and the scope of the signature for each region and service."""
    found = {}
    for region in REGIONS:
        session = Session()
        session.set_credentials("key", "secret")
        for service, (method, arguments) in CALLS.items():
            client = session.create_client(service, region_name=region)
            seen: list[str] = []

            def catch(request: Any, seen: list[str] = seen, **_: Any) -> None:
                signed = request.headers["Authorization"]
                text = signed.decode() if isinstance(signed, bytes) else signed
                seen += [request.url, text.partition(",")[0].split("/", 2)[2]]
                raise _Caught

            client.meta.events.register("before-send", catch)
            try:
                getattr(client, method)(**arguments)
            except _Caught:
                found[f"{service} {region}"] = seen
    print(json.dumps(found))


if __name__ == "__main__":
    main()
