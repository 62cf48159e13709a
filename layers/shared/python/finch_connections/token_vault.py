"""Seals access tokens with KMS so that a ciphertext opens only in the row it was written to."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from finch_connections import aws, settings
from finch_connections.connection import CompanyKey
from finch_connections.secret_text import SecretText

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


@dataclass(frozen=True)
class TokenVault:
    """Encrypts and decrypts with an encryption context that names what the token belongs to.

    KMS refuses to decrypt under any other context ("Encryption context" in the KMS developer guide),
    and the roles of the functions allow each purpose apart.
    """

    client: "KMSClient"
    key_arn: str

    def seal_escrow(self, token: SecretText, handle_hash: str, customer_id: str) -> bytes:
        """The ciphertext of a token that a connect session keeps."""
        return self._seal(token, _escrow(handle_hash, customer_id))

    def open_escrow(self, ciphertext: bytes, handle_hash: str, customer_id: str) -> SecretText:
        """The token that a connect session keeps."""
        return self._open(ciphertext, _escrow(handle_hash, customer_id))

    def seal_stored(self, token: SecretText, customer_id: str, key: CompanyKey) -> bytes:
        """The ciphertext of a token of a connection."""
        return self._seal(token, _stored(customer_id, key))

    def open_stored(self, ciphertext: bytes, customer_id: str, key: CompanyKey) -> SecretText:
        """A token of a connection."""
        return self._open(ciphertext, _stored(customer_id, key))

    def _seal(self, token: SecretText, context: Mapping[str, str]) -> bytes:
        return self.client.encrypt(
            KeyId=self.key_arn, Plaintext=token.reveal().encode(), EncryptionContext=context
        )["CiphertextBlob"]

    def _open(self, ciphertext: bytes, context: Mapping[str, str]) -> SecretText:
        answer = self.client.decrypt(
            KeyId=self.key_arn, CiphertextBlob=ciphertext, EncryptionContext=context
        )
        return SecretText(answer["Plaintext"].decode())


def _escrow(handle_hash: str, customer_id: str) -> dict[str, str]:
    return {"purpose": "escrow", "session": handle_hash, "customer_id": customer_id}


def _stored(customer_id: str, key: CompanyKey) -> dict[str, str]:
    return {
        "purpose": "stored",
        "customer_id": customer_id,
        "provider_id": key.provider_id,
        "company_id": key.company_id,
    }


@cache
def connect() -> TokenVault:
    """The vault with the deployed key."""
    return TokenVault(aws.client("kms"), settings.read().token_key_arn)
