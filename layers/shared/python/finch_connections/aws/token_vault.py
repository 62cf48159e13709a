"""Encryption of access tokens with KMS: a ciphertext decrypts only in the row that it was written to."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.domain.connection import CompanyKey, key_fields
from finch_connections.domain.secret import SecretText
from finch_connections.log import logger

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


class EncryptedByAnotherKey(Exception):
    """The ciphertext was made with a key that is not ours, so we did not write it."""


class NotEncrypted(Exception):
    """KMS's response cannot be the ciphertext of the token under our key, so we do not store it."""


@dataclass(frozen=True, eq=False, repr=False)
class TokenVault:
    """Encrypts and decrypts tokens with an encryption context that names the row of the token.

    KMS decrypts only with the same context ("Encryption context" in the KMS developer guide), and the
    functions' roles allow each purpose separately. A ciphertext names its key, so tokens under
    `old_key_arn` still decrypt. Ciphertexts of any other key are refused with `EncryptedByAnotherKey`.
    """

    client: "KMSClient"
    key_arn: str
    old_key_arn: str | None = None

    def encrypt_escrow(self, token: SecretText, handle_hash: str, customer_id: str) -> bytes:
        """The ciphertext of a token for the escrow of a connect session."""
        return self._encrypt(token, _escrow(handle_hash, customer_id))

    def decrypt_escrow(self, ciphertext: bytes, handle_hash: str, customer_id: str) -> SecretText:
        """The token from the escrow of a connect session."""
        return self._decrypt(ciphertext, _escrow(handle_hash, customer_id))

    def encrypt_stored(self, token: SecretText, customer_id: str, key: CompanyKey) -> bytes:
        """The ciphertext of a token for a connection."""
        return self._encrypt(token, _stored(customer_id, key))

    def decrypt_stored(self, ciphertext: bytes, customer_id: str, key: CompanyKey) -> SecretText:
        """The token from a connection."""
        return self._decrypt(ciphertext, _stored(customer_id, key))

    def reencrypt_escrow(
        self, ciphertext: bytes, handle_hash: str, customer_id: str
    ) -> bytes | None:
        """A ciphertext of the same token under the current key; None if it has that key already."""
        return self._reencrypt(ciphertext, _escrow(handle_hash, customer_id))

    def reencrypt_stored(
        self, ciphertext: bytes, customer_id: str, key: CompanyKey
    ) -> bytes | None:
        """A ciphertext of the same token under the current key; None if it has that key already."""
        return self._reencrypt(ciphertext, _stored(customer_id, key))

    def _reencrypt(self, ciphertext: bytes, context: Mapping[str, str]) -> bytes | None:
        # This happens inside KMS: the text of the token never leaves it.
        answer = self.client.re_encrypt(
            CiphertextBlob=ciphertext,
            SourceEncryptionContext=context,
            DestinationEncryptionContext=context,
            DestinationKeyId=self.key_arn,
        )
        self._require_ours(answer["SourceKeyId"])
        if answer["SourceKeyId"] == self.key_arn:
            return None
        return self._ciphertext(answer, longer_than=0)

    def _require_ours(self, key_arn: str) -> None:
        if key_arn not in (self.key_arn, self.old_key_arn):
            raise EncryptedByAnotherKey

    def _encrypt(self, token: SecretText, context: Mapping[str, str]) -> bytes:
        plaintext = token.reveal().encode()
        answer = self.client.encrypt(
            KeyId=self.key_arn, Plaintext=plaintext, EncryptionContext=context
        )
        ciphertext = self._ciphertext(answer, longer_than=len(plaintext))
        if plaintext in ciphertext:
            raise NotEncrypted
        return ciphertext

    def _ciphertext(self, answer: Mapping[str, Any], *, longer_than: int) -> bytes:
        """The ciphertext in a response of KMS; raises `NotEncrypted` if it is visibly wrong.

        The caller still has the token, or its old ciphertext, and tries again. We do not decrypt it to be
        sure: that is another call for each connect, and KMS encrypts with authentication.
        """
        ciphertext: bytes = answer.get("CiphertextBlob", b"")
        if answer.get("KeyId") != self.key_arn or len(ciphertext) <= longer_than:
            raise NotEncrypted
        return ciphertext

    def _decrypt(self, ciphertext: bytes, context: Mapping[str, str]) -> SecretText:
        answer = self.client.decrypt(CiphertextBlob=ciphertext, EncryptionContext=context)
        self._require_ours(answer["KeyId"])
        return SecretText(answer["Plaintext"].decode())


def _escrow(handle_hash: str, customer_id: str) -> dict[str, str]:
    return {"purpose": "escrow", "session": handle_hash, "customer_id": customer_id}


def _stored(customer_id: str, key: CompanyKey) -> dict[str, str]:
    return {"purpose": "stored", **key_fields(customer_id, key)}


def why_not_decrypted(error: ClientError | EncryptedByAnotherKey) -> str:
    """The reason why KMS does not decrypt a ciphertext; raises `error` again if it has another cause."""
    if isinstance(error, EncryptedByAnotherKey):
        reason = "encrypted with a key that is not ours"
    elif error.response["Error"]["Code"] == "InvalidCiphertextException":
        reason = "does not decrypt in its row"
    else:
        raise error
    logger.error("ciphertext not decrypted", reason=reason)
    return reason


@cache
def from_settings() -> TokenVault:
    """The vault with the deployed keys."""
    keys = settings.read()
    return TokenVault(clients.client("kms"), keys.token_key_arn, keys.old_token_key_arn or None)
