"""Finds secrets and names in captured output, in every form that they may take."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import md5, sha1, sha256
from urllib.parse import quote, quote_plus

from local.fake_finch.seed_world import COMPANIES, LOGINS, PROVIDERS, Company, people_at

# Shorter texts occur by chance.
_SHORTEST = 6


@dataclass(frozen=True)
class SensitiveText:
    """A text that must not leak, and its `kind`: the kind of secret or name."""

    kind: str
    text: str = field(repr=False)

    def forms(self) -> Iterator[tuple[str, str]]:
        """The forms in which the text may occur: plain, encoded and hashed."""
        data = self.text.encode()
        yield "plain", self.text
        yield "reversed", self.text[::-1]
        yield "upper case", self.text.upper()
        yield "URL-encoded", quote(self.text, safe="")
        yield "form-encoded", quote_plus(self.text)
        yield "hex", data.hex()
        yield "hex", data.hex().upper()
        for shift in range(3):
            # In the base64 of a longer text, the text can start at three offsets. Characters that also
            # depend on the neighbouring text are cut off.
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                encoded = encode(b"\0" * shift + data).decode().rstrip("=")
                yield "base64", encoded[0 if shift == 0 else shift + 1 : len(encoded) - 1]
        for name, digest in (("SHA-256", sha256), ("SHA-1", sha1), ("MD5", md5)):
            made = digest(data, usedforsecurity=False)
            yield name, made.hexdigest()
            yield name, base64.b64encode(made.digest()).decode().rstrip("=")


def company_texts() -> set[SensitiveText]:
    """The names and numbers of the fake Finch's companies, and the usernames of their logins."""
    found = {SensitiveText("username", login.username) for login in LOGINS}
    for company in COMPANIES:
        found |= {
            SensitiveText("company", company.legal_name),
            SensitiveText("company", company.ein),
        }
        found |= {SensitiveText("company", entity.name) for entity in company.entities}
    return {one for one in found if len(one.text) >= _SHORTEST}


def employee_texts(company: Company) -> set[SensitiveText]:
    """The names, addresses and numbers of a company's employees."""
    employees = [
        one
        for provider in PROVIDERS
        for entity in company.entities
        for one in people_at(provider.id, company, entity)
    ]
    found = {SensitiveText("person", f"{one.first_name} {one.last_name}") for one in employees}
    return found | {
        SensitiveText("person", text)
        for one in employees
        for text in (one.email, one.ssn, one.street)
    }


@dataclass(frozen=True)
class Leak:
    """A sensitive text that occurs in a place where it must not."""

    kind: str
    form: str
    where: str
    around: str


type Allowed = Mapping[tuple[str, str], Iterable[str]]


def leaks(
    sensitive: Iterable[SensitiveText], texts: Mapping[str, str], allowed: Allowed
) -> list[Leak]:
    """The sensitive texts in `texts` (by source) that are not `allowed` in that source.

    A form that equals the plain text, such as the upper case of digits, counts as plain.
    """
    found = []
    for secret in sensitive:
        for form, needle in secret.forms():
            found_form = "plain" if needle == secret.text else form
            permitted = allowed.get((secret.kind, found_form), ())
            for where, text in texts.items():
                if where not in permitted and len(needle) >= _SHORTEST and needle in text:
                    at = text.index(needle)
                    found.append(
                        Leak(secret.kind, found_form, where, text[max(at - 80, 0) : at + 20])
                    )
    return found
