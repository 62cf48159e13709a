"""The goals of the reconciliation on a data set that its rules were not tuned on."""

from itertools import combinations

import pytest

from finch_employees import reconcile
from tests.yardstick import febrl


@pytest.mark.parametrize(("ssn", "recall"), [(True, 0.99), (False, 0.90)])
def test_febrl_4_is_reconciled_with_hardly_an_error(ssn: bool, recall: float) -> None:
    records = febrl.records(febrl.GOAL, ssn=ssn)
    assert len(records) == 10_000
    found = {
        frozenset(pair)
        for person in reconcile(records).people
        for pair in combinations([one.individual_id for one in person.members], 2)
    }
    score = febrl.Score(found, febrl.true_pairs([one.individual_id for one in records]))
    assert score.precision >= 0.999
    assert score.recall >= recall
