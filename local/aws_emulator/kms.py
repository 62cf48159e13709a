"""KMS: the operation ReEncrypt, which MiniStack does not have."""

import json
from typing import Any

from ministack.services import kms

from local.aws_emulator import Json

original_handle = kms.handle_request


def re_encrypt(request: Json) -> Any:
    """Encrypts a ciphertext's text under another key; the text never leaves KMS.

    "ReEncrypt" in the KMS API Reference.
    """
    decrypted = kms._decrypt(
        {
            "CiphertextBlob": request["CiphertextBlob"],
            "EncryptionContext": request.get("SourceEncryptionContext") or {},
        }
    )
    if decrypted[0] != 200:
        return decrypted
    source = json.loads(decrypted[2])
    encrypted = kms._encrypt(
        {
            "KeyId": request["DestinationKeyId"],
            "Plaintext": source["Plaintext"],
            "EncryptionContext": request.get("DestinationEncryptionContext") or {},
        }
    )
    if encrypted[0] != 200:
        return encrypted
    destination = json.loads(encrypted[2])
    answer = {
        "CiphertextBlob": destination["CiphertextBlob"],
        "SourceKeyId": source["KeyId"],
        "KeyId": destination["KeyId"],
    }
    return encrypted[0], encrypted[1], json.dumps(answer).encode()


async def handle(method: str, path: str, headers: Json, body: bytes, query: Json) -> Any:
    lowered = {name.lower(): value for name, value in headers.items()}
    if lowered.get("x-amz-target", "").endswith(".ReEncrypt"):
        return re_encrypt(json.loads(body))
    return await original_handle(method, path, headers, body, query)


def patch() -> None:
    kms.handle_request = handle
