"""The export of Finch's dashboard that `billing --compare` reads, in any usual form."""

from pathlib import Path

import pytest

from operations.billing import read_export
from operations.stack import CannotOperate

TWO = "c1,acme\nc2,globex\n"


@pytest.mark.parametrize(
    "content",
    [
        f"connection_id,customer\n{TWO}".encode(),
        f"Connection ID,Customer\n{TWO}".encode(),
        f"\ufeff CONNECTION-ID ,Customer\r\n{TWO}".encode(),
        f"id,customer_id\n{TWO}".encode(),
        b"id,connectionId\nx,c1\ny,c2\nz,c1\n",
        "customer;connection_id\nKärcher;c1\nB;c2\n".encode("latin-1"),
        b"connection_id\tcustomer\nc1\tacme\nc2\tglobex\n",
        "connection_id|customer\nc1|é\nc2|b\n".encode("utf-16"),
        b'sep=;\n"connection_id";"customer"\n"c1";"a;b"\n" c2 ";"line\nbreak"\n\n',
        b"Connections,\nof November,\nconnection_id,status\nc1,connected\nc2,reauth\nc3, Disconnected\n",
        b"status,connection_id\nconnected,c1\nreauth,c2\nTotal\nconnected,\x1b[2J\n",
    ],
)
def test_ids_are_read_from_their_column(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes(content)
    assert read_export(file) == {"c1", "c2"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no column with connection ids"),
        (b"customer_id,status\nacme,connected\n", "has no column with connection ids"),
        (b"PK\x03\x04\x00\x00\xff\xfe", "has no column with connection ids"),
        (b'"' + b"x" * 200_000, "has no column with connection ids"),
        (b"Connection ID,status\n", "has the column Connection ID and no connection in it"),
    ],
)
def test_wrong_file_is_one_sentence_with_an_example(
    tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes(content)
    with pytest.raises(CannotOperate, match=said) as refusal:
        read_export(file)
    assert str(refusal.value).endswith("begins with: connection_id,customer_id,status")
    assert "\n" not in str(refusal.value)


def test_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotOperate, match="No such file"):
        read_export(tmp_path / "none.csv")
