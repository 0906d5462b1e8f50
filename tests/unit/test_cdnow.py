"""The purchase log comes out of the wheel whole, or not at all; no network is used."""

import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from loyalty.errors import LoyaltyError
from loyalty.local import cdnow

HEADER = " customer_id  date number_of_cds  dollar_value\r\n"
LOG = (HEADER + " 00001 19970101  1   11.77\r\n" + 2 * " 00002 19970112  5   77.00\r\n").encode()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home into which a small wheel was already downloaded, and from which nothing can be downloaded."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with zipfile.ZipFile(downloads / "Lifetimes-0.11.3-py3-none-any.whl", "w") as wheel:
        wheel.writestr(cdnow.MEMBER, LOG)
    monkeypatch.setattr(cdnow, "SHA256", sha256(LOG).hexdigest())
    monkeypatch.setattr(cdnow, "PACKAGE", "/nowhere/lifetimes-0.11.3-py3-none-any.whl")
    return tmp_path


def test_each_line_is_one_event_and_identical_ones_are_kept(home: Path) -> None:
    assert cdnow.fetch_purchases(home).read_text().splitlines() == [
        "customer_id,action,occurred_at,$totalAmount",
        "00001,transaction.charge,1997-01-01T00:00:00+00:00,11.77",
        "00002,transaction.charge,1997-01-12T00:00:00+00:00,77.00",
        "00002,transaction.charge,1997-01-12T00:00:00+00:00,77.00",
    ]


def test_a_second_call_reads_no_wheel(home: Path) -> None:
    first = cdnow.fetch_purchases(home)
    for wheel in first.parent.glob("*.whl"):
        wheel.unlink()
    assert cdnow.fetch_purchases(home) == first


def test_another_log_is_refused_and_nothing_is_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cdnow, "SHA256", sha256(b"another").hexdigest())
    with pytest.raises(LoyaltyError, match=r"expected .*; delete it"):
        cdnow.fetch_purchases(home)
    assert not (home / "downloads" / "cdnow.csv").exists()


def test_a_broken_wheel_is_refused(home: Path) -> None:
    next((home / "downloads").glob("*.whl")).write_bytes(b"not a zip file")
    with pytest.raises(LoyaltyError, match="delete it and try again"):
        cdnow.fetch_purchases(home)


def test_a_failed_download_says_what_to_do(home: Path) -> None:
    next((home / "downloads").glob("*.whl")).unlink()
    with pytest.raises(LoyaltyError, match=r"put the wheel of .* into"):
        cdnow.fetch_purchases(home)


def test_a_log_without_its_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoyaltyError, match="column names"):
        cdnow.write_purchases(b"00001 19970101 1 11.77\r\n", tmp_path / "out.csv")
