"""What must not leak, in every form that it could have taken, and where each may be after all."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import md5, sha1, sha256
from urllib.parse import quote, quote_plus

from local.fake_finch.seed_world import COMPANIES, LOGINS, Company, people

# Shorter texts are found by chance.
_SHORTEST = 6


@dataclass(frozen=True)
class SensitiveText:
    """Something that must not leak: a `kind` of secret or name, and its text."""

    kind: str
    text: str = field(repr=False)

    def forms(self) -> Iterator[tuple[str, str]]:
        """The text as it would be found: as it is, encoded, and hashed."""
        data = self.text.encode()
        yield "plain", self.text
        yield "reversed", self.text[::-1]
        yield "upper case", self.text.upper()
        yield "URL-encoded", quote(self.text, safe="")
        yield "form-encoded", quote_plus(self.text)
        yield "hex", data.hex()
        yield "hex", data.hex().upper()
        for shift in range(3):
            # In the middle of something longer it begins at any of three places: what depends on
            # the neighbours is cut off.
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                encoded = encode(b"\0" * shift + data).decode().rstrip("=")
                yield "base64", encoded[0 if shift == 0 else shift + 1 : len(encoded) - 1]
        for name, digest in (("SHA-256", sha256), ("SHA-1", sha1), ("MD5", md5)):
            made = digest(data, usedforsecurity=False)
            yield name, made.hexdigest()
            yield name, base64.b64encode(made.digest()).decode().rstrip("=")


def company_texts() -> set[SensitiveText]:
    """Every name and number of the companies at the fake Finch, and of those who log in for them."""
    found = {SensitiveText("username", login.username) for login in LOGINS}
    for company in COMPANIES:
        found |= {
            SensitiveText("company", company.legal_name),
            SensitiveText("company", company.ein),
        }
        found |= {SensitiveText("company", entity.name) for entity in company.entities}
    return {one for one in found if len(one.text) >= _SHORTEST}


def employee_texts(company: Company) -> set[SensitiveText]:
    """Every name, address and number of the people of one company."""
    everybody = [one for entity in company.entities for one in people(company, entity)]
    found = {SensitiveText("person", f"{one.first_name} {one.last_name}") for one in everybody}
    return found | {
        SensitiveText("person", text) for one in everybody for text in (one.email, one.ssn)
    }


@dataclass(frozen=True)
class Leak:
    """A canary that was found where it must not be."""

    kind: str
    form: str
    where: str
    around: str


type Allowed = Mapping[tuple[str, str], Iterable[str]]


def leaks(
    sensitive: Iterable[SensitiveText], texts: Mapping[str, str], allowed: Allowed
) -> list[Leak]:
    """What is found in the texts, by where they come from, and not `allowed` there.

    Plain text that is there for a reason is also there upper case where it has no small letters.
    """
    found = []
    for canary in sensitive:
        for form, needle in canary.forms():
            plainly = "plain" if needle == canary.text else form
            permitted = allowed.get((canary.kind, plainly), ())
            for where, text in texts.items():
                if where not in permitted and len(needle) >= _SHORTEST and needle in text:
                    at = text.index(needle)
                    found.append(Leak(canary.kind, plainly, where, text[max(at - 80, 0) : at + 20]))
    return found
