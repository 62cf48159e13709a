"""Invented employees in several sources, with the differences that real sources have."""

from collections.abc import Iterator
from random import Random

from finch_employees import Address, Record, Source

_CONSONANTS, _VOWELS = "bdfghklmnprstvw", "aeiou"
_SYLLABLES = [one + another for one in _CONSONANTS for another in _VOWELS]


def sources(number: int) -> list[Source]:
    """Connections of one customer, some of them to the same company."""
    return [Source(f"provider{at}", f"company{at % 4}", f"k{at}", None) for at in range(number)]


def workforce(people: int, connections: int, seed: int = 1) -> Iterator[Record]:
    """About two records of each person, in different sources. Few names are common, as in a country."""
    random = Random(seed)  # noqa: S311
    firsts = ["".join(random.choices(_SYLLABLES, k=random.choice((2, 2, 3)))) for _ in range(2_000)]
    lasts = ["".join(random.choices(_SYLLABLES, k=random.choice((2, 3, 3)))) for _ in range(20_000)]
    places = sources(connections)
    for person in range(people):
        first = firsts[int(random.random() ** 2 * len(firsts))]
        last = lasts[int(random.random() ** 2 * len(lasts))]
        born = f"{random.randint(1955, 2005)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
        ssn = f"{random.randint(1, 665):03}{random.randint(1, 99):02}{random.randint(1, 9_999):04}"
        phone = f"+1503{random.randint(2_000_000, 9_999_999)}"
        street = f"{random.randint(1, 999)} {random.choice(lasts)} Street"
        home = Address(
            street, None, random.choice(firsts), "OR", f"{random.randint(97_000, 97_999)}"
        )
        for source in random.sample(places, random.choice((1, 1, 2, 2, 3, 4))):
            yield Record(
                source=source,
                individual_id=str(person),
                first_name=first.title(),
                last_name=last.upper() if random.random() < 0.5 else last,
                dob=born if random.random() < 0.97 else None,
                ssn=ssn if random.random() < 0.5 else None,
                emails=(f"{first}.{last}{person}@example.com",) if random.random() < 0.7 else (),
                phone_numbers=(phone,) if random.random() < 0.6 else (),
                residence=home if random.random() < 0.8 else None,
                is_active=True,
                start_date="2020-01-01",
            )
