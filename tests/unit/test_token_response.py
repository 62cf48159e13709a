"""Rules of Finch's token response and introspection."""

from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import own_token_id


def test_token_without_an_id_of_finch_gets_one_from_its_text() -> None:
    secret = SecretText("canary")
    assert own_token_id(secret) == own_token_id(SecretText("canary"))
    assert own_token_id(secret) == "own-" + secret.digest()[:32]
