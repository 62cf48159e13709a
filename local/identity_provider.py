"""The sign-in of the demo application: its customers, and the access tokens that it issues."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

LIFETIME = timedelta(hours=1)

# Each customer with its name and the person who signs in.
CUSTOMERS = {
    "acme": ("Harbor & Vale Holdings", "Robin Ellis, Head of People"),
    "globex": ("Globex Clinics", "Sam Whitfield, Office Manager"),
    "initech": ("Initech Studio", "Priya Nair, Founder"),
}


def key_kept_at(path: Path) -> rsa.RSAPrivateKey:
    """The signing key in the file `path`, created on first use, so that tokens stay valid after a restart."""
    if not path.exists():
        created = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        written = path.with_suffix(".new")
        written.touch(mode=0o600)
        written.write_bytes(
            created.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        os.replace(written, path)
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{path} is not an RSA key")
    return key


@dataclass(frozen=True)
class Issuer:
    """An OpenID Connect issuer with the documents that an API Gateway JWT authorizer reads."""

    url: str
    audience: str
    key: rsa.RSAPrivateKey

    @property
    def public_key(self) -> dict[str, Any]:
        public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        thumbprint = sha256(public["n"].encode()).hexdigest()[:16]
        return {
            "kty": "RSA",
            "n": public["n"],
            "e": public["e"],
            "kid": thumbprint,
            "alg": "RS256",
            "use": "sig",
        }

    @property
    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/.well-known/jwks.json",
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
        }

    def token(self, customer_id: str, **overrides: Any) -> str:
        """An access token of the customer; `overrides` replace claims, and None removes a claim.

        For tests of attacks, `headers={...}` replaces the JWT's headers and `key=...` its key.
        """
        headers = {"kid": self.public_key["kid"], **overrides.pop("headers", {})}
        key = overrides.pop("key", self.key)
        now = datetime.now(UTC)
        claims = {
            "iss": self.url,
            "aud": self.audience,
            "sub": customer_id,
            "name": CUSTOMERS.get(customer_id, (customer_id,))[0],
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            **overrides,
        }
        included = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(included, key, algorithm=headers.get("alg", "RS256"), headers=headers)
