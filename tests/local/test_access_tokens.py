"""The deployed API accepts only valid access tokens of the application."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from local.identity_provider import Issuer
from local.world import World
from tests.support.deployed import Deployed, Reply

ROUTES = [
    ("POST", "/connect-sessions"),
    ("POST", "/callback"),
    ("GET", "/connections"),
    ("GET", "/connections/gusto/company-1"),
    ("DELETE", "/connections/gusto/company-1"),
]


def from_now(by: timedelta) -> datetime:
    """A time relative to now. The tests call it late, because collection may be long ago."""
    return datetime.now(UTC) + by


def other_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


FORGED: dict[str, Callable[[Issuer], str]] = {
    "nothing": lambda issuer: "",
    "no token": lambda issuer: "not-a-token",
    "no signature": lambda issuer: issuer.token("acme").rpartition(".")[0] + ".",
    "flipped signature": lambda issuer: issuer.token("acme")[:-8] + "AAAAAAAA",
    "alg none": lambda issuer: issuer.token("acme", key=None, headers={"alg": "none"}),
    # A verifier that trusts the header would use the public key as a shared secret.
    "alg HS256": lambda issuer: issuer.token(
        "acme", key=issuer.public_key["n"], headers={"alg": "HS256"}
    ),
    "another key": lambda issuer: issuer.token("acme", key=other_key()),
    "another issuer": lambda issuer: issuer.token("acme", iss="https://evil.example.com"),
    "another audience": lambda issuer: issuer.token("acme", aud="another-audience"),
    "expired": lambda issuer: issuer.token("acme", exp=from_now(-timedelta(minutes=5))),
    "not yet valid": lambda issuer: issuer.token("acme", nbf=from_now(timedelta(minutes=5))),
}


def send(deployed: Deployed, method: str, path: str, token: str) -> Reply:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    body = b'{"products": ["company"]}' if method == "POST" else None
    return deployed.api.send(method, path, headers=headers, body=body)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("forged", FORGED)
def test_customer_routes_refuse_forged_tokens(
    world: World, deployed: Deployed, method: str, path: str, forged: str
) -> None:
    assert send(deployed, method, path, FORGED[forged](world.issuer)).status == 401
    assert deployed.tables.all_sessions() == []


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_token_without_a_valid_customer_is_refused(
    world: World, deployed: Deployed, method: str, path: str
) -> None:
    for customer_id in (None, "", "null"):
        refused = send(deployed, method, path, world.issuer.token("acme", sub=customer_id))
        assert (refused.status, refused.code) == (403, "customer_unknown")
    assert deployed.tables.all_sessions() == []
