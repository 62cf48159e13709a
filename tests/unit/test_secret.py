"""Secrets that do not print themselves."""

import json
from dataclasses import dataclass

import pytest

from finch_connections.domain.secret import SecretText


@dataclass
class Holder:
    secret: SecretText


def test_secret_does_not_appear_in_any_text_form() -> None:
    secret = SecretText("canary")
    texts = [repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr([secret])]  # noqa: UP031
    texts.append(repr(Holder(secret)))
    assert not any("canary" in text for text in texts)
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_secret_is_revealed_on_request_and_matches_its_digest() -> None:
    secret = SecretText("canary")
    assert secret.reveal() == "canary"
    assert secret.matches(secret.digest())
    assert not SecretText("canary ").matches(secret.digest())
    assert secret == SecretText("canary") != SecretText("other")
