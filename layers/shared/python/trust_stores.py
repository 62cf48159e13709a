"""Writes the trust stores of a build from certifi's bundle, which takes 40 ms to parse as a whole.

Usage: `python3.13 trust_stores.py <certifi's cacert.pem> <folder>`. It writes two stores with unchanged
certificates: `amazon.pem` for AWS, and `roots/` for all other hosts. In `roots/`, OpenSSL finds a
certificate by the hash of its subject without reading the others ("-CApath" in
openssl-verification-options).

`openssl rehash` would compute the hashes too. We parse the certificates ourselves, so that a build needs
only Python and no openssl command: the command that macOS ships is LibreSSL, which has no `rehash`.
"""

import ssl
import sys
from collections import Counter
from collections.abc import Iterator
from hashlib import sha1, sha256
from pathlib import Path

# The SHA-256 hashes of Amazon Root CA 1 to 4 and Starfield Services Root CA G2. Amazon Trust Services
# asks clients with a trust store of their own to include all five ("Root CAs" in its repository).
AMAZON = {
    "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
    "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
    "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
    "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
    "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
}

_SEQUENCE, _SET, _VERSION, _OBJECT_ID = 0x30, 0x31, 0xA0, 0x06
# The string types that a name can have, with their encodings.
_UTF8 = 0x0C
_TEXTS = {_UTF8: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}

type Element = tuple[int, bytes]


def certificates(bundle: str) -> list[bytes]:
    """The certificates of a PEM bundle, as DER."""
    parts = bundle.split(ssl.PEM_FOOTER)[:-1]
    pems = (part[part.index(ssl.PEM_HEADER) :] + ssl.PEM_FOOTER for part in parts)
    return [ssl.PEM_cert_to_DER_cert(pem) for pem in pems]


def subject_hash(certificate: bytes) -> str:
    """The name of the file in which OpenSSL looks for a certificate, without its number.

    This is OpenSSL's `X509_NAME_hash` of the subject in canonical form: each string in UTF-8 and lower
    case, without outer spaces and with single inner spaces (`x509_name_canon`).
    """
    [(_, whole)] = _elements(certificate)
    [(_, signed), *_] = _elements(whole)
    fields = [content for tag, content in _elements(signed) if tag != _VERSION]
    _serial, _algorithm, _issuer, _validity, subject, *_ = fields
    canonical = b"".join(
        _element(_SET, b"".join(_canonical(pair) for _, pair in _elements(names)))
        for _, names in _elements(subject)
    )
    digest = sha1(canonical, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _canonical(pair: bytes) -> bytes:
    (_, kind), (tag, value) = _elements(pair)
    if tag in _TEXTS:
        # OpenSSL changes the case of ASCII letters only, and merges only ASCII spaces.
        text = b" ".join(value.decode(_TEXTS[tag]).encode().split())
        tag, value = _UTF8, text.lower()
    return _element(_SEQUENCE, _element(_OBJECT_ID, kind) + _element(tag, value))


def _elements(der: bytes) -> Iterator[Element]:
    """The tags and contents of the elements in DER data (X.690 section 8.1)."""
    at = 0
    while at < len(der):
        tag, length, begin = der[at], der[at + 1], at + 2
        if length & 0x80:
            begin += length & 0x7F
            length = int.from_bytes(der[at + 2 : begin])
        at = begin + length
        yield tag, der[begin:at]


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(size))) + size + content


def write(bundle: str, folder: Path) -> None:
    """Writes both stores. Exits with an error if a certificate of `AMAZON` is not in the bundle."""
    found = certificates(bundle)
    amazon = [one for one in found if sha256(one).hexdigest() in AMAZON]
    if len(amazon) != len(AMAZON):
        sys.exit(
            f"certifi has {len(amazon)} of Amazon's {len(AMAZON)} root certificates. Update AMAZON."
        )
    (folder / "amazon.pem").write_text("".join(map(ssl.DER_cert_to_PEM_cert, amazon)))
    roots = folder / "roots"
    roots.mkdir()
    numbers: Counter[str] = Counter()
    for one in found:
        name = subject_hash(one)
        (roots / f"{name}.{numbers[name]}").write_text(ssl.DER_cert_to_PEM_cert(one))
        numbers[name] += 1


if __name__ == "__main__":
    write(Path(sys.argv[1]).read_text(), Path(sys.argv[2]))
