"""A batch of an operator's work."""

from finch_connections.domain.batch import Batch, Cursor


def test_unfinished_row_keeps_its_reason_and_the_fields_that_identify_it() -> None:
    batch = Batch(Cursor("connections"))
    batch.leave("Conflict", customer_id="acme")
    batch.leave("Unanswered", session="0" * 64)
    assert batch.open == [
        {"reason": "Conflict", "customer_id": "acme"},
        {"reason": "Unanswered", "session": "0" * 64},
    ]
