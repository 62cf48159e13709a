"""The file of `operations export`, which has personal data."""

from pathlib import Path

import pytest

from finch_connections.domain.connection import packed
from operations.export import _readable, write
from operations.stack import CannotOperate

DATA = {"customer_id": "acme"}


def ignore(line: str) -> None:
    """Discards a line for the terminal."""


def test_export_is_readable_only_by_its_owner(tmp_path: Path) -> None:
    to = tmp_path / "export.json"
    write(DATA, to, ignore)
    assert to.stat().st_mode & 0o777 == 0o600
    assert "acme" in to.read_text()


def test_export_does_not_write_to_an_existing_file(tmp_path: Path) -> None:
    to = tmp_path / "export.json"
    to.write_text("before")
    to.chmod(0o644)
    with pytest.raises(CannotOperate, match="exists already"):
        write(DATA, to, ignore)
    assert to.read_text() == "before"


@pytest.mark.parametrize("exists", [True, False])
def test_export_does_not_follow_a_link(tmp_path: Path, *, exists: bool) -> None:
    target, to = tmp_path / "target", tmp_path / "export.json"
    if exists:
        target.write_text("before")
    to.symlink_to(target)
    with pytest.raises(CannotOperate, match="exists already"):
        write(DATA, to, ignore)
    assert target.exists() is exists
    assert not exists or target.read_text() == "before"


def test_export_to_a_missing_folder_names_the_cause(tmp_path: Path) -> None:
    with pytest.raises(CannotOperate, match="No such file or directory"):
        write(DATA, tmp_path / "missing" / "export.json", ignore)


def test_export_names_packed_entities_and_no_binary_attribute() -> None:
    token = {
        "entities": {"B": packed({"e1": "connected"})},
        "entity_ids": {"B": packed({"e3": "", "e2": ""})},
        "other": {"B": b"binary"},
    }
    read = _readable({"tokens": {"M": {"t1": {"M": token}}}})
    expected = {"entities": {"e1": "connected"}, "entity_ids": ["e2", "e3"]}
    assert read == {"tokens": {"t1": expected}}
