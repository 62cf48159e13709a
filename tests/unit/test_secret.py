"""Secrets that do not print themselves."""

import base64
import json
from dataclasses import dataclass

import pytest

from finch_connections.domain.secret import SecretText, SecretUnusable, WebhookSecret


@dataclass
class Holder:
    secret: SecretText


def test_secret_does_not_appear_in_any_text_form() -> None:
    secret = SecretText("canary")
    texts = [repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr([secret])]  # noqa: UP031
    texts.append(repr(Holder(secret)))
    assert not any("canary" in text for text in texts)
    assert str(secret) == "SecretText(…)"
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_secret_is_revealed_on_request_and_matches_its_digest() -> None:
    secret = SecretText("canary")
    assert secret.reveal() == "canary"
    assert secret.matches(secret.digest())
    assert not SecretText("canary ").matches(secret.digest())
    assert secret == SecretText("canary") != SecretText("other")


def test_secrets_are_equal_by_their_text_and_only_to_secrets() -> None:
    assert len({SecretText("canary"), SecretText("canary"), SecretText("other")}) == 2
    assert SecretText("canary") != "canary"
    assert SecretText("\N{SNOWMAN}") == SecretText("\N{SNOWMAN}")


def test_webhook_secret_has_128_bits_and_more() -> None:
    WebhookSecret.read(base64.b64encode(bytes(16)).decode())
    with pytest.raises(SecretUnusable):
        WebhookSecret.read(base64.b64encode(bytes(15)).decode())
