"""The trust stores of a build: OpenSSL finds exactly the certificates that certifi trusts."""

import re
import ssl
from pathlib import Path

import certifi
import pytest
from OpenSSL import crypto

import trust_stores

BUNDLE = Path(certifi.where()).read_text()
CERTIFICATES = trust_stores.certificates(BUNDLE)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stores."""
    folder = tmp_path_factory.mktemp("stores")
    trust_stores.write(BUNDLE, folder)
    return folder


def test_certificate_file_has_openssls_hash_name() -> None:
    for der in CERTIFICATES:
        loaded = crypto.load_certificate(crypto.FILETYPE_ASN1, der)
        assert trust_stores.subject_hash(der) == f"{loaded.subject_name_hash():08x}"


def test_openssl_finds_every_certificate(written: Path) -> None:
    store = crypto.X509Store()
    store.load_locations(None, capath=str(written / "roots"))
    for der in CERTIFICATES:
        loaded = crypto.load_certificate(crypto.FILETYPE_ASN1, der)
        crypto.X509StoreContext(store, loaded).verify_certificate()


def test_store_has_exactly_the_certificates_of_certifi(written: Path) -> None:
    kept = [one for path in (written / "roots").iterdir() for one in _certificates(path)]
    assert sorted(kept) == sorted(CERTIFICATES)


def test_amazon_store_has_only_the_five_amazon_roots(written: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(written / "amazon.pem")
    names = re.findall(
        r"'commonName', '([^']+)'", str([one["subject"] for one in context.get_ca_certs()])
    )
    assert sorted(names) == [
        "Amazon Root CA 1",
        "Amazon Root CA 2",
        "Amazon Root CA 3",
        "Amazon Root CA 4",
        "Starfield Services Root Certificate Authority - G2",
    ]
    assert set(_certificates(written / "amazon.pem")) <= set(CERTIFICATES)


def test_build_fails_when_certifi_lacks_an_amazon_root(tmp_path: Path) -> None:
    rest = [one for one in CERTIFICATES if b"Amazon Root CA 3" not in one]
    with pytest.raises(SystemExit, match="4 of Amazon's 5"):
        trust_stores.write("".join(map(ssl.DER_cert_to_PEM_cert, rest)), tmp_path)
    assert not list(tmp_path.iterdir())


def _certificates(path: Path) -> list[bytes]:
    return trust_stores.certificates(path.read_text())
