"""Verification and reading of webhooks."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.errors import InvalidRequest
from finch_connections.domain.secret import SecretUnusable, WebhookSecret
from finch_connections.domain.webhook import (
    TOLERANCE,
    Delivery,
    Event,
    SignatureInvalid,
    read_events,
)
from finch_connections.domain.work_item import FinchCompanySubject, FinchConnectionSubject

# The test vector of Finch's SDK, in its tests/api_resources/test_webhooks.py.
SECRET = WebhookSecret.read("5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH")
BODY = b'{"company_id":"720be419-0293-4d32-a707-32179b0827ab"}'
SENT_AT = datetime.fromtimestamp(1676312382, UTC)
SIGNATURE = "m7y0TV2C+hlHxU42wCieApTSTaA8/047OAplBqxIV/s="
HEADERS = {
    "Finch-Event-Id": "msg_2Lh9KRb0pzN4LePd3XiA4v12Axj",
    "Finch-Timestamp": "1676312382",
    "Finch-Signature": f"v1,{SIGNATURE}",
}
GENUINE = Delivery.of(HEADERS, BODY, SENT_AT)
OTHER = WebhookSecret.read(base64.b64encode(bytes(range(24))).decode())


def signed(signatures: str, secrets: Sequence[WebhookSecret] = (SECRET,)) -> bool:
    return replace(GENUINE, signatures=signatures).signed_with(secrets)


def flipped(text: bytes) -> Iterator[bytes]:
    """Copies of the text, each with a different bit flipped."""
    for place in range(len(text) * 8):
        changed = bytearray(text)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)


def test_example_from_finchs_sdk_is_genuine() -> None:
    assert GENUINE.signed_with([SECRET])
    assert SECRET.sign(f"{GENUINE.event_id}.1676312382.".encode() + BODY) == SIGNATURE


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title, str.swapcase])
def test_header_names_are_case_insensitive(spell: Callable[[str], str]) -> None:
    headers = {spell(name): value for name, value in HEADERS.items()}
    assert Delivery.of(headers, BODY, SENT_AT) == GENUINE


def test_every_flipped_bit_of_the_body_is_detected() -> None:
    assert not any(replace(GENUINE, body=body).signed_with([SECRET]) for body in flipped(BODY))


def test_every_flipped_bit_of_the_signature_is_detected() -> None:
    changed = [one.decode("latin-1") for one in flipped(SIGNATURE.encode())]
    assert not any(signed(f"v1,{one}") for one in changed)


@pytest.mark.parametrize("name", ["event_id", "timestamp"])
def test_every_changed_character_of_id_or_timestamp_is_detected(name: str) -> None:
    text = getattr(GENUINE, name)
    for place, character in enumerate(text):
        other = "1" if character == "0" else "0"
        changed = replace(GENUINE, **{name: text[:place] + other + text[place + 1 :]})
        assert not changed.signed_with([SECRET])


@pytest.mark.parametrize("cut", [b"", BODY[:-1], BODY[1:], BODY + b" ", BODY + b"\n", BODY * 2])
def test_body_of_another_length_is_not_genuine(cut: bytes) -> None:
    assert not replace(GENUINE, body=cut).signed_with([SECRET])


def test_part_of_a_body_cannot_become_a_later_timestamp() -> None:
    """An event id must not contain a dot, because the dot separates the signed parts."""
    body = b'{"name": "x.1999999999.{}"}'
    signature = SECRET.sign(b"msg_1.1676312382." + body)
    headers = {
        "finch-event-id": 'msg_1.1676312382.{"name": "x',
        "finch-timestamp": "1999999999",
        "finch-signature": f"v1,{signature}",
    }
    assert Delivery("msg_1", "1676312382", f"v1,{signature}", body).signed_with([SECRET])
    with pytest.raises(SignatureInvalid):
        Delivery.of(headers, b'{}"}', datetime.fromtimestamp(1999999999, UTC))


@pytest.mark.parametrize(
    "signatures",
    [
        f"v1,{SIGNATURE} v1,{OTHER.sign(b'x')}",
        f"v1,{OTHER.sign(b'x')} v1,{SIGNATURE}",
        f"v2,{SIGNATURE} v1,{SIGNATURE}",
        f"v1,not-base64 v1,a,b v1 nonsense v1,\N{SNOWMAN} v1,{SIGNATURE}",
        f"  v1,{SIGNATURE}  ",
    ],
)
def test_single_valid_signature_of_several_is_enough(signatures: str) -> None:
    assert signed(signatures)


@pytest.mark.parametrize(
    "signatures",
    [
        "",
        " ",
        ",",
        "v1,",
        "v1",
        SIGNATURE,
        f"v2,{SIGNATURE}",
        f"V1,{SIGNATURE}",
        f"v1,v1,{SIGNATURE}",
        f"v1,{SIGNATURE},",
        f"v1, {SIGNATURE}",
        f"v1\t,{SIGNATURE}",
        f"v1,{SIGNATURE[:-1]}",
        f"v1,{SIGNATURE.lower()}",
        f"v1,{SIGNATURE.replace('+', '-').replace('/', '_')}",
        f"v1,{SIGNATURE}\n",
        f"v1,{base64.b64decode(SIGNATURE).hex()}",
        "v1,\N{SNOWMAN}",
        "v1,\ud800",
    ],
)
def test_malformed_signature_is_refused(signatures: str) -> None:
    assert not signed(signatures)


def test_old_and_new_secret_work_while_both_are_stored() -> None:
    signature = OTHER.sign(f"{GENUINE.event_id}.{GENUINE.timestamp}.".encode() + BODY)
    assert signed(f"v1,{signature}", [SECRET, OTHER])
    assert signed(f"v1,{SIGNATURE}", [OTHER, SECRET])
    assert not signed(f"v1,{signature}", [SECRET])
    assert not signed(f"v1,{SIGNATURE}", [])


def test_webhook_is_accepted_within_exactly_five_minutes_of_now() -> None:
    for away in (TOLERANCE, -TOLERANCE):
        beyond = timedelta(microseconds=1) if away > timedelta() else -timedelta(microseconds=1)
        assert Delivery.of(HEADERS, BODY, SENT_AT + away) == GENUINE
        with pytest.raises(SignatureInvalid):
            Delivery.of(HEADERS, BODY, SENT_AT + away + beyond)


@pytest.mark.parametrize("name", HEADERS)
def test_missing_header_is_refused(name: str) -> None:
    headers = {one: value for one, value in HEADERS.items() if one != name}
    with pytest.raises(SignatureInvalid):
        Delivery.of(headers, BODY, SENT_AT)


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "0",
        "-1",
        "now",
        "nan",
        "inf",
        "1676312382.0",
        "1676312382.5",
        "1676312382.",
        "+1676312382",
        " 1676312382",
        "1676312382\n",
        "1_676_312_382",
        "1676312382000",
        "99999999999",
        "\N{FULLWIDTH DIGIT ONE}676312382",
        "9" * 5000,
        "2023-02-13T18:19:42Z",
    ],
)
def test_timestamp_in_another_form_is_refused(timestamp: str) -> None:
    with pytest.raises(SignatureInvalid):
        Delivery.of(HEADERS | {"Finch-Timestamp": timestamp}, BODY, SENT_AT)


@pytest.mark.parametrize("event_id", ["", "msg_1.2", "msg 1", "msg_1\n", "\ud800", "x" * 201])
def test_invalid_event_id_is_refused(event_id: str) -> None:
    with pytest.raises(SignatureInvalid):
        Delivery.of(HEADERS | {"Finch-Event-Id": event_id}, BODY, SENT_AT)


@given(
    st.dictionaries(st.sampled_from(sorted(HEADERS)), st.text(max_size=60)),
    st.binary(max_size=60),
)
def test_invented_headers_and_bodies_are_not_genuine(headers: dict[str, str], body: bytes) -> None:
    try:
        delivery = Delivery.of(HEADERS | headers, body, SENT_AT)
    except SignatureInvalid:
        return
    assert not delivery.signed_with([SECRET]) or delivery == GENUINE


@given(st.binary(min_size=16, max_size=64), st.binary(max_size=200))
def test_signature_is_valid_only_for_its_own_secret(key: bytes, body: bytes) -> None:
    secret = WebhookSecret.read(base64.b64encode(key).decode())
    signature = secret.sign(b"msg_1.1676312382." + body)
    delivery = Delivery("msg_1", "1676312382", f"v1,{signature}", body)
    assert delivery.signed_with([SECRET, secret])
    assert not delivery.signed_with([SECRET, OTHER])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAAA",
        "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH",
        "5WbX5kEWLlfzsGNjH64I8lOOqUB6e8F",
        "5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH\n",
        "-WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH",
        "\N{SNOWMAN}" * 24,
        base64.b64encode(bytes(15)).decode(),
        None,
        17,
        ["5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"],
    ],
)
def test_malformed_webhook_secret_is_refused_without_details(text: object) -> None:
    with pytest.raises(SecretUnusable) as refused:
        WebhookSecret.read(text)
    assert refused.value.__cause__ is None
    assert not str(refused.value)


def test_webhook_secret_and_body_are_not_printed() -> None:
    assert repr(SECRET) == str(SECRET) == "WebhookSecret()"
    assert "company_id" not in repr(GENUINE)


C1, ACME = FinchConnectionSubject("c-1"), FinchCompanySubject("acme")


@pytest.mark.parametrize(
    ("fields", "to_check", "known"),
    [
        (
            {"event_type": "account.updated", "connection_id": "c-1", "company_id": "acme"},
            FinchConnectionSubject("c-1", "acme"),
            True,
        ),
        ({"event_type": "account.updated", "connection_id": "c-1", "company_id": "\n"}, C1, True),
        ({"event_type": "account.updated", "connection_id": "c-1", "entity_id": "e-1"}, C1, True),
        ({"event_type": "account.created", "connection_id": "c-1"}, C1, True),
        ({"event_type": "entity.updated", "connection_id": "c-1"}, C1, True),
        ({"event_type": "connection.updated", "connection_id": "c-1"}, C1, True),
        ({"event_type": "account.updated", "company_id": "acme"}, ACME, True),
        (
            {"event_type": "account.updated", "connection_id": None, "company_id": "acme"},
            ACME,
            True,
        ),
        ({"event_type": "account.updated", "connection_id": "a\nb"}, None, True),
        ({"event_type": "account.updated", "connection_id": ["c-1"]}, None, True),
        ({"event_type": "account.updated", "account_id": "a-1"}, None, True),
        ({"event_type": "individual.updated", "connection_id": "c-1"}, None, True),
        ({"event_type": "test", "connection_id": "c-1"}, None, True),
        ({"event_type": "accounts.moved", "connection_id": "c-1"}, None, False),
        ({"event_type": "Account.Updated\n", "connection_id": "c-1"}, None, False),
        ({"event_type": 17}, None, False),
        ({"company_id": "acme"}, None, False),
    ],
)
def test_only_events_about_a_connection_cause_a_check(
    fields: dict[str, object], to_check: object, known: bool
) -> None:
    [event] = read_events(json.dumps(fields).encode())
    assert (event.to_check, event.known) == (to_check, known)


def test_list_of_events_is_read_like_single_events() -> None:
    event = {"event_type": "account.updated", "connection_id": "c-1"}
    events = read_events(json.dumps([event, event, 17, None, {}]).encode())
    assert list(events) == [Event("account.updated", "c-1"), Event(None)]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b'"text"', b"17", b"\xff", b"[" * 100_000, b"9" * 5000]
)
def test_body_that_is_not_an_event_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_events(body)
