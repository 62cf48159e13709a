"""The application's access tokens, as the deployed API judges them."""

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
    """Read when a token is made: this module may have been read long before."""
    return datetime.now(UTC) + by


def other_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


FORGED: dict[str, Callable[[Issuer], str]] = {
    "nothing": lambda issuer: "",
    "no token": lambda issuer: "not-a-token",
    "no signature": lambda issuer: issuer.token("acme").rpartition(".")[0] + ".",
    "flipped signature": lambda issuer: issuer.token("acme")[:-8] + "AAAAAAAA",
    "alg none": lambda issuer: issuer.token("acme", key=None, headers={"alg": "none"}),
    # The public key as a shared one: what a verifier would use that believes the header.
    "alg HS256": lambda issuer: issuer.token(
        "acme", key=issuer.public_key["n"], headers={"alg": "HS256"}
    ),
    "another key": lambda issuer: issuer.token("acme", key=other_key()),
    "another issuer": lambda issuer: issuer.token("acme", iss="https://evil.example.com"),
    "another audience": lambda issuer: issuer.token("acme", aud="somebody-else"),
    "expired": lambda issuer: issuer.token("acme", exp=from_now(-timedelta(minutes=5))),
    "not yet valid": lambda issuer: issuer.token("acme", nbf=from_now(timedelta(minutes=5))),
}


def send(deployed: Deployed, method: str, path: str, token: str) -> Reply:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    body = b'{"products": ["company"]}' if method == "POST" else None
    return deployed.api.send(method, path, headers=headers, body=body)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("forged", FORGED)
def test_no_route_of_a_customer_takes_a_forged_token(
    world: World, deployed: Deployed, method: str, path: str, forged: str
) -> None:
    assert send(deployed, method, path, FORGED[forged](world.issuer)).status == 401
    assert deployed.tables.all_sessions() == []


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_token_that_names_no_customer_is_refused(
    world: World, deployed: Deployed, method: str, path: str
) -> None:
    for customer_id in (None, "", "a#b"):
        refused = send(deployed, method, path, world.issuer.token("acme", sub=customer_id))
        assert (refused.status, refused.code) == (403, "customer_unknown")
    assert deployed.tables.all_sessions() == []
