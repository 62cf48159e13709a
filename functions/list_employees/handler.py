"""Lists a customer's employees from all connections, with the reasons why records are one person."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from aws_lambda_powertools import Logger

import finch_tokens
from finch_employees import (
    LeftOut,
    Member,
    Part,
    Person,
    Possible,
    Record,
    Value,
    read,
    reconcile,
)
from finch_tokens import TokenRefused

logger = Logger()
# Lambda's limit for a response is 6 MB.
MOST_BYTES = 5_000_000
# The smallest people of so many records do not fit either.
MOST_RECORDS = 50_000


def list_employees(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns `people`, `possible` and `left_out`, or the `reason` why not.

    VendToken records the customer, the caller and the purpose of each list and token. SSNs are read only
    if `ssn` is true, and never returned.
    """
    logger.append_keys(request_id=context.aws_request_id)
    client = finch_tokens.from_settings()
    caller = f"{client.caller}/{event.get('caller', '')}"
    records: list[Record] = []
    left_out: list[LeftOut] = []
    try:
        for one in read(
            customer_id=event.get("customer_id", ""),
            purpose=event.get("purpose", ""),
            ssn=event.get("ssn") is True,
            client=replace(client, caller=caller),
        ):
            if isinstance(one, Part):
                records.extend(one.records)
            else:
                left_out.append(one)
            if len(records) > MOST_RECORDS:
                return _too_large(event)
    except TokenRefused as refused:
        return {"reason": refused.reason, "detail": str(refused)}
    found = reconcile(records)
    answer = {
        "people": [_person(person) for person in found.people],
        "possible": [_possible(pair) for pair in found.possible],
        "left_out": [one._asdict() for one in left_out],
    }
    if len(json.dumps(answer)) > MOST_BYTES:
        return _too_large(event)
    counts = {name: len(listed) for name, listed in answer.items()}
    logger.info("employees listed", extra=counts, customer_id=event["customer_id"])
    return answer


def _too_large(event: Mapping[str, Any]) -> dict[str, Any]:
    logger.info("employees not listed", customer_id=event["customer_id"], reason="too_large")
    return {"reason": "too_large"}


def _person(person: Person) -> dict[str, Any]:
    """A person. Each field and join names its members by their place in `members`."""
    place = {member: at for at, member in enumerate(person.members)}
    return {
        "id": person.id,
        "members": [member._asdict() for member in person.members],
        "fields": {
            name: _value(value, place.__getitem__) for name, value in person.fields().items()
        },
        "joins": [
            {
                "first": place[join.first],
                "second": place[join.second],
                "rule": join.rule,
                "agreeing": join.agreeing,
            }
            for join in person.joins
        ],
    }


def _value(value: Value, place: Callable[[Member], int]) -> dict[str, Any]:
    return {
        "value": _plain(value.value),
        "members": [place(member) for member in value.members],
        "others": [
            {"value": _plain(other), "members": [place(member) for member in members]}
            for other, members in value.others
        ],
    }


def _plain(value: Any) -> Any:
    """An address as an object."""
    return asdict(value) if hasattr(value, "line1") else value


def _possible(pair: Possible) -> dict[str, Any]:
    return {
        "first": pair.first._asdict(),
        "second": pair.second._asdict(),
        "rule": pair.rule,
        "agreeing": pair.agreeing,
        "against": pair.against,
        "between": [member._asdict() for member in pair.between] if pair.between else None,
    }
