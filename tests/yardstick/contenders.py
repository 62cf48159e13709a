"""Programs that find the records of one person in FEBRL's data sets, at their documented settings.

This runs in the environment of the yardstick, which has the other programs.
"""

import logging
from collections.abc import Iterable
from itertools import combinations
from typing import Any

from finch_employees import reconcile
from tests.yardstick import febrl

Pairs = set[frozenset[str]]


def ours(data_set: str, *, ssn: bool) -> Pairs:
    """The package finch_employees."""
    people = reconcile(febrl.records(data_set, ssn=ssn)).people
    return {
        frozenset(pair)
        for person in people
        for pair in combinations([one.individual_id for one in person.members], 2)
    }


def splink(data_set: str, *, ssn: bool) -> Pairs:
    """splink with the detailed model of its example "Linking the febrl4 datasets", from 99 % on."""
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.disable(logging.WARNING)
    dob = cl.DateOfBirthComparison(
        "date_of_birth", input_is_string=True, datetime_format="%Y%m%d", invalid_dates_as_null=True
    )
    postcode = cl.DamerauLevenshteinAtThresholds("postcode", [1, 2])
    settings = SettingsCreator(
        unique_id_column_name="rec_id",
        link_type="link_only",
        blocking_rules_to_generate_predictions=[
            block_on("given_name", "surname"),
            "l.given_name = r.surname and l.surname = r.given_name",
            block_on("date_of_birth"),
            *([block_on("soc_sec_id")] if ssn else []),
            block_on("state", "address_1"),
            block_on("street_number", "address_1"),
            block_on("postcode"),
        ],
        comparisons=[
            cl.NameComparison("given_name").configure(term_frequency_adjustments=True),
            cl.NameComparison("surname").configure(term_frequency_adjustments=True),
            dob,
            *([cl.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2])] if ssn else []),
            cl.ExactMatch("street_number").configure(term_frequency_adjustments=True),
            postcode.configure(term_frequency_adjustments=True),
        ],
    )
    database = DuckDBAPI()
    linker = Linker([database.register(one) for one in _frames(data_set)], settings)
    training = linker.training
    known = [block_on("given_name", "surname", "date_of_birth")]
    training.estimate_probability_two_random_records_match(
        [*([block_on("soc_sec_id")] if ssn else []), *known], recall=0.8
    )
    training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for column in ("date_of_birth", "postcode"):
        training.estimate_parameters_using_expectation_maximisation(
            block_on(column), estimate_without_term_frequencies=True
        )
    found = linker.inference.predict(threshold_match_probability=0.99).as_pandas_dataframe()
    return _pairs(zip(found["rec_id_l"], found["rec_id_r"], strict=True))


def recordlinkage_sum(data_set: str, *, ssn: bool) -> Pairs:
    """recordlinkage's guide "Link two datasets": more than three comparisons agree."""
    features = _features(_frames(data_set), ssn)
    return _pairs(features[features.sum(axis=1) > 3].index)


def recordlinkage_ecm(data_set: str, *, ssn: bool) -> Pairs:
    """The same comparisons with the unsupervised ECM classifier."""
    from recordlinkage import ECMClassifier

    return _pairs(ECMClassifier().fit_predict(_features(_frames(data_set), ssn)))


def recordlinkage_kmeans(data_set: str, *, ssn: bool) -> Pairs:
    """The same comparisons with the unsupervised K-means classifier."""
    from recordlinkage import KMeansClassifier

    return _pairs(KMeansClassifier().fit_predict(_features(_frames(data_set), ssn)))


def recordlinkage_regression(data_set: str, *, ssn: bool) -> Pairs:
    """The same comparisons with logistic regression, which learns the true pairs of data set 3."""
    import pandas
    from recordlinkage import LogisticRegressionClassifier

    learned = _frames("3")
    whole = [pandas.concat(learned)]
    features = _features(whole, ssn)
    true = [pair for pair in features.index if pair[0].split("-")[1] == pair[1].split("-")[1]]
    classifier = LogisticRegressionClassifier()
    classifier.fit(features, pandas.MultiIndex.from_tuples(true))
    return _pairs(classifier.predict(_features(_frames(data_set), ssn)))


CONTENDERS = {
    "finch_employees": ours,
    "splink, detailed model, 99 %": splink,
    "recordlinkage, sum of comparisons": recordlinkage_sum,
    "recordlinkage, ECM": recordlinkage_ecm,
    "recordlinkage, K-means": recordlinkage_kmeans,
    "recordlinkage, logistic regression": recordlinkage_regression,
}


def _pairs(found: Iterable[Iterable[str]]) -> Pairs:
    return {frozenset(pair) for pair in found}


def _frames(data_set: str) -> list[Any]:
    """A table for the originals, and one for the duplicates."""
    import pandas

    rows = pandas.DataFrame(febrl.rows(data_set)).replace("", None)
    original = rows["rec_id"].str.endswith("-org")
    tables = [rows[original], rows[~original]]
    return [table.set_index("rec_id", drop=False) for table in tables]


def _features(frames: list[Any], ssn: bool) -> Any:
    """The guide's comparisons of all pairs with the same given name, or the same SSN."""
    import recordlinkage

    index = recordlinkage.Index()
    index.block("given_name")
    compare = recordlinkage.Compare()
    compare.exact("given_name", "given_name")
    compare.string("surname", "surname", method="jarowinkler", threshold=0.85)
    compare.exact("date_of_birth", "date_of_birth")
    compare.exact("suburb", "suburb")
    compare.exact("state", "state")
    compare.string("address_1", "address_1", threshold=0.85)
    if ssn:
        index.block("soc_sec_id")
        compare.exact("soc_sec_id", "soc_sec_id")
    return compare.compute(index.index(*frames), *frames)
