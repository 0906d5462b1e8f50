"""Readers of event files: rows, numbers, names, times, JSON."""

import gzip
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from loyalty.errors import LoyaltyError
from loyalty.services.event_columns import check_columns, plan_columns
from loyalty.services.event_csv import csv_blocks, csv_columns
from loyalty.services.event_files import EventFile, open_event_file
from loyalty.services.event_json import json_objects
from loyalty.services.event_ndjson import ndjson_blocks, read_object
from loyalty.services.event_parquet import parquet_blocks
from loyalty.services.event_times import read_time, read_times, take_times

HEADER = "customer_id,action,occurred_at"


def csv_file(tmp_path: Path, content: str | bytes, encoding: str = "utf-8") -> EventFile:
    path = tmp_path / "events.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_event_file(path, None, encoding)


def csv_rows(file: EventFile) -> dict[int, list[str | None]]:
    rows: dict[int, list[str | None]] = {}
    for block in csv_blocks(file):
        for number, row in zip(block.numbers.to_pylist(), block.cells.to_pylist(), strict=True):
            rows[number] = list(row.values())
    return rows


def torn_rows(file: EventFile) -> dict[int, str]:
    return {number: row.reason for block in csv_blocks(file) for number, row in block.torn.items()}


def test_rows_of_a_csv_are_numbered_from_the_header_on(tmp_path: Path) -> None:
    file = csv_file(tmp_path, 'a,b\n1,\n\n"x\ny","say ""hi"""\n2,3')
    assert csv_columns(file) == ["a", "b"]
    assert csv_rows(file) == {2: ["1", None], 4: ["x\ny", 'say "hi"'], 5: ["2", "3"]}


def test_rows_with_a_wrong_number_of_cells_are_told_apart_and_keep_their_numbers(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "a,b\n1\n2,2\n3,3,3\n4,4\n5")
    assert csv_rows(file) == {3: ["2", "2"], 5: ["4", "4"]}
    assert torn_rows(file) == {
        2: "1 cells, where the header has 2",
        4: "3 cells, where the header has 2",
        6: "1 cells, where the header has 2",
    }


def test_numbers_stay_right_over_many_blocks(tmp_path: Path) -> None:
    lines = [f"{n},{'x' * 90}" if n % 1000 else str(n) for n in range(2, 120_002)]
    rows = csv_rows(csv_file(tmp_path, "a,b\n" + "\n".join(lines)))
    assert len(rows) == 120_000 - 120
    assert all(row[0] == str(number) for number, row in rows.items())


def test_a_cell_that_swallows_rows_is_not_taken_for_a_cell(tmp_path: Path) -> None:
    reasons = torn_rows(csv_file(tmp_path, HEADER + '\n1,a,"2024\n2,b,2024\n3,c,2024"\n4,d,2024\n'))
    assert list(reasons) == [2]
    assert "is a closing quote missing?" in reasons[2]


def test_a_quote_that_is_never_closed_is_said(tmp_path: Path) -> None:
    with pytest.raises(LoyaltyError, match="closing quote"):
        csv_rows(csv_file(tmp_path, HEADER + '\n1,a,"2024\n' + "2,b,2024\n" * 500_000))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(tmp_path: Path, delimiter: str) -> None:
    file = csv_file(tmp_path, HEADER.replace(",", delimiter) + "\n" + delimiter.join(("1", "a", "2024-01-01")))
    assert csv_rows(file) == {2: ["1", "a", "2024-01-01"]}


def test_a_byte_order_mark_belongs_to_no_name(tmp_path: Path) -> None:
    file = csv_file(tmp_path, b"\xef\xbb\xbf" + HEADER.encode() + b"\r\n1,a,2024-01-01\r\n")
    assert csv_columns(file)[0] == "customer_id"
    assert csv_rows(file) == {2: ["1", "a", "2024-01-01"]}


def test_another_encoding_is_read_when_it_is_named(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "a,b\nżółw,1\n".encode("cp1250"), "cp1250")
    assert csv_rows(file) == {2: ["żółw", "1"]}


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"a,b\n1,2\n3,\xff4\n", "row 3, byte 10: 0xff is no UTF-8"),
        (b"a,\xf3\n1,2\n", "row 1, byte 2: 0xf3"),
        (b"a,b\n" + b"1,2\n" * 400_000 + b"3,\xe0", "row 400002, byte 1600006: 0xe0"),
    ],
)
def test_a_wrong_encoding_is_located(tmp_path: Path, content: bytes, where: str) -> None:
    with pytest.raises(LoyaltyError, match=where) as raised:
        csv_rows(csv_file(tmp_path, content))
    assert "--encoding" in str(raised.value)


def test_a_wrong_encoding_of_json_lines_is_located(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "\xf3"}\n')
    with pytest.raises(LoyaltyError, match="row 2, byte 16: 0xf3"):
        list(ndjson_blocks(open_event_file(path, None, "utf-8")))


@pytest.mark.parametrize("suffix", [".csv", ".ndjson"])
def test_compressed_text_is_read_and_a_cut_one_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}.gz"
    whole = gzip.compress(("a,b\n" + "1,2\n" * 100_000).encode())
    path.write_bytes(whole)
    file = open_event_file(path, None, "utf-8")
    blocks = csv_blocks if suffix == ".csv" else ndjson_blocks
    assert sum(len(block.numbers) for block in blocks(file)) >= 100_000
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LoyaltyError, match="compression is broken"):
        list(blocks(file))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no such file"),
        ("empty.csv", b"", "is empty"),
        ("events.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("events.xlsx", b"x", "does not tell the format"),
        ("events", b"x", "does not tell the format"),
        ("events.csv.gz", b"x,y\n", "compression is broken"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LoyaltyError, match=message):
        open_event_file(tmp_path / name, None, "utf-8")


def test_an_unknown_format_or_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("a\n")
    with pytest.raises(LoyaltyError, match="did you mean 'parquet'"):
        open_event_file(path, "parket", "utf-8")
    with pytest.raises(LoyaltyError, match="encoding 'utf-9' is unknown"):
        open_event_file(path, None, "utf-9")
    with pytest.raises(LoyaltyError, match=r"did you mean 'events.csv'"):
        open_event_file(tmp_path / "event.csv", None, "utf-8")


@pytest.mark.parametrize("content", [b"no parquet at all", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_a_broken_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(content)
    with pytest.raises(LoyaltyError, match="Parquet file is broken"):
        list(parquet_blocks(open_event_file(path, None, "utf-8")))


def test_rows_of_a_parquet_file_are_numbered_from_one(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    parquet.write_table(pa.table({"n": range(1, 100_001)}), path)
    for block in parquet_blocks(open_event_file(path, None, "utf-8")):
        assert block.numbers.equals(block.cells.column("n"))


@pytest.mark.parametrize(
    ("columns", "mapping", "message"),
    [
        (["customer", "action", "occurred_at"], {}, "'customer_id' is missing; did you mean 'customer'"),
        (["customer_id", "action", "occurred_at", "x", "x"], {}, "'x' is there more than once"),
        (["customer_id", "action", "occurred_at", ""], {}, "a column has no name"),
        (["customer_id", "action", "occurred_at"], {"source": "shop"}, "'shop', mapped to 'source', is missing"),
        (["customer_id", "action", "occurred_at"], {"points": "pts"}, "'pts', mapped to 'points', is missing"),
        (["customer_id", "action", "occurred_at", "points", "p"], {"points": "p"}, "'points' is given by the mapping"),
    ],
)
def test_columns_that_do_not_fit_the_plan_are_named(columns: list[str], mapping: dict[str, str], message: str) -> None:
    with pytest.raises(LoyaltyError, match=message):
        check_columns(plan_columns(mapping), columns, Path("f.csv"))


def test_a_mapping_renames_and_sets_columns() -> None:
    plan = plan_columns(
        {"customer_id": "client", "action": "=a", "$total": "amount", "currency": "=PLN", "event_id": "n"}
    )
    columns = ["client", "occurred_at", "amount", "n", "shop"]
    check_columns(plan, columns, Path("f.csv"))
    assert plan.parameters(columns) == {"shop": "shop", "$total": "amount"}
    assert (plan.constants, plan.fixed) == ({"action": "a"}, {"currency": "PLN"})


@pytest.mark.parametrize(
    ("text", "utc", "local"),
    [
        ("2024-05-31T13:45:00+02:00", datetime(2024, 5, 31, 11, 45), None),
        ("2024-05-31 13:45Z", datetime(2024, 5, 31, 13, 45), None),
        ("2024-05-31T13:45:00.123456789-0530", datetime(2024, 5, 31, 19, 15, 0, 123456), None),
        ("2024-05-31T13:45:00,5", None, datetime(2024, 5, 31, 13, 45, 0, 500000)),
        (" 2024-02-29 ", None, datetime(2024, 2, 29)),
    ],
)
def test_times_are_read(text: str, utc: datetime | None, local: datetime | None) -> None:
    assert read_time(text) == (utc, local, None)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "",
        "2024-02-30",
        "20240531",
        "2024-W01-1",
        "31.05.2024",
        "2024-05-31T25:00",
        "1717156800",
        "5/31/2024",
        "2024-05-31x10:00",
        "2024-05-31T10",
        "٢٠٢٤-05-31",
        "2024-05-31T10:00:00 Europe/Warsaw",
        "0001-01-01",
        "9999-12-31T23:00-05",
    ],
)
def test_what_is_no_time_is_named(text: str) -> None:
    utc, local, fault = read_time(text)
    assert utc is local is None
    assert fault is not None
    assert repr(text) in fault


NUMBERS = st.integers(0, 99).map("{:02}".format)
CLOCKS = st.builds("{}-{}-{}{}{}:{}:{}{}".format, st.integers(1890, 2030), NUMBERS, NUMBERS, st.sampled_from("T "),
                   NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["", ".5", ".123456", ".1234567", ","]))  # fmt: skip
ZONES = st.sampled_from(["", "Z", "+02:00", "-0530", "-14:59", "+15:00", "+24:00"])
LIKELY = st.datetimes(datetime(1899, 12, 30), datetime(9999, 12, 31, 23, 59, 59)).map(str)


@given(
    zone=ZONES,
    more=st.sampled_from([None, "", "2024-05-31", "2024-05-31T10:00:00Z"]),
    some=st.lists(LIKELY) | st.lists(CLOCKS | LIKELY),
)
def test_a_column_of_times_is_read_as_each_of_them(zone: str, more: str | None, some: list[str]) -> None:
    texts = [*(text + zone for text in some), more]
    each = [read_time(text) if text is not None else (None, None, None) for text in texts]
    assert list(zip(*(column.to_pylist() for column in read_times(pa.array(texts, pa.string()))), strict=True)) == each


def test_times_of_a_typed_column_need_no_reading() -> None:
    instants = pa.array([datetime(2024, 1, 1, 12, tzinfo=UTC), None, datetime(1800, 1, 1, tzinfo=UTC)])
    utc, local, faults = (column.to_pylist() for column in take_times(instants))
    assert utc == [datetime(2024, 1, 1, 12), None, None]
    assert local == [None] * 3
    assert faults[:2] == [None, None]
    assert "1900" in faults[2]
    assert take_times(pa.array([date(2024, 1, 1)]))[1].to_pylist() == [datetime(2024, 1, 1)]
    warsaw = pa.array([datetime(2024, 1, 1, 11)], pa.timestamp("s", "Europe/Warsaw"))
    assert take_times(warsaw)[0].to_pylist() == [datetime(2024, 1, 1, 11)]


def test_arrow_columns_become_json_with_their_types() -> None:
    columns = {
        'te"xt\\': pa.array(['a"b\\c\n\x1fé', None, ""]),
        "whole": pa.array([9007199254740993, None, 0], pa.int64()),
        "real": pa.array([0.1, 1e300, None]),
        "small": pa.array([0.1, None, None], pa.float32()),
        "exact": pa.array([Decimal("12.50"), None, None]),
        "flag": pa.array([True, False, None]),
        "at": pa.array([datetime(2024, 1, 1, 12, 0, 0, 500000), datetime(2024, 1, 1), None]),
        "instant": pa.array([datetime(2024, 1, 1, 12, tzinfo=UTC), None, None]),
        "day": pa.array([date(2024, 1, 1), None, None]),
        "nested": pa.array([{"a": [1, None], "d": Decimal("1.5")}, None, {"a": [], "d": None}]),
        "kind": pa.array(["x", "y", None]).dictionary_encode(),
        "nothing": pa.nulls(3),
    }
    objects, fault = json_objects(columns, 3)
    assert [json.loads(one) for one in objects.to_pylist()] == [
        {
            'te"xt\\': 'a"b\\c\n\x1fé',
            "whole": 9007199254740993,
            "real": 0.1,
            "small": 0.1,
            "exact": 12.5,
            "flag": True,
            "at": "2024-01-01T12:00:00.500000",
            "instant": "2024-01-01T12:00:00Z",
            "day": "2024-01-01",
            "nested": {"a": [1, None], "d": 1.5},
            "kind": "x",
        },
        {"real": 1e300, "flag": False, "at": "2024-01-01T00:00:00", "kind": "y"},
        {'te"xt\\': "", "whole": 0, "nested": {"a": [], "d": None}},
    ]
    assert "9007199254740993" in objects[0].as_py()
    assert fault is None or fault.null_count == 3


def test_arrow_values_that_json_cannot_hold_are_faults() -> None:
    columns = {
        "real": pa.array([float("nan"), float("inf"), 1.0, 1.0]),
        "text": pa.array(["a", "b", "c\0", "d"]),
        "nested": pa.array([None, None, None, [float("nan")]]),
    }
    _, fault = json_objects(columns, 4)
    assert fault is not None
    reasons = fault.to_pylist()
    assert reasons[0] == "nan in real is no number in JSON"
    assert reasons[1] == "inf in real is no number in JSON"
    assert "\\u0000" in reasons[2]
    assert "nested" in reasons[3]


def test_a_column_of_bytes_is_refused() -> None:
    with pytest.raises(LoyaltyError, match="'blob' holds binary"):
        json_objects({"blob": pa.array([b"x"])}, 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "no JSON: .* at character 2"),
        ("[1]", "no object"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        (r'{"a": "\u0000"}', r"u0000"),
        (r'{"a": "\\\u0000"}', r"u0000"),
        (r'{"a": {"b\ud800": 1}}', r"half of a character pair, .ud800"),
        ('{"a": 1e999999}', "out of range"),
        ('{"a": ' + "1." + "1" * 2000 + "}", "out of range"),
        ('{"a": ' + "1" * 5000 + "}", "4300 digits"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"a": "tab\there"}', "no JSON"),
        ("{'a': 1}", "no JSON"),
        ('{"a": 01}', "no JSON"),
    ],
)
def test_json_that_could_not_be_stored_is_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_object(line)


@pytest.mark.parametrize("line", [r'{"a": "\\u0000"}', r'{"a": "\ud83d\ude00 é"}', '{"a": 1.5e300}', "{}"])
def test_json_that_can_be_stored_is_read(line: str) -> None:
    assert read_object(line) == json.loads(line)


def test_blank_lines_of_json_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n   \n{"a": 2}')
    blocks = list(ndjson_blocks(open_event_file(path, None, "utf-8")))
    assert [n for block in blocks for n in block.numbers.to_pylist()] == [1, 4]
    assert [n for block in blocks for n in block.cells.column("line").to_pylist()] == ['{"a": 1}', '{"a": 2}']


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a": "' + b"x" * (5 << 20))
    with pytest.raises(LoyaltyError, match="row 1 is longer than 1 MB"):
        list(ndjson_blocks(open_event_file(path, None, "utf-8")))


def test_a_parquet_file_is_not_kept_in_memory_as_it_is_read(tmp_path: Path) -> None:
    path, noise = tmp_path / "events.parquet", Random(1)
    rows = pa.record_batch({"customer_id": [noise.randbytes(50).hex() for _ in range(10_000)]})
    with parquet.ParquetWriter(path, rows.schema, use_dictionary=False) as file:
        for _ in range(40):
            file.write_batch(rows)
    held = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() - held for _ in parquet_blocks(open_event_file(path, None, "utf-8")))
    assert most < path.stat().st_size / 2
