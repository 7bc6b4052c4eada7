"""Saved: a .jsonl or .parquet file of results -> records, as `Explanation.to_dict` makes them, in today's names.

Results of schema 1 are read too: their `target_logit` becomes `target_value`. JAX and the model are not needed. Public
as `ar.read_results`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autorel_jax.data.by_products import MARK
from autorel_jax.data.moments import are_moments, moments
from autorel_jax.errors import InputError, one_line
from autorel_jax.report import fields as kinds
from autorel_jax.report.explanation import ALIASES, IN_FILES, SCHEMA
from autorel_jax.report.json_values import plain
from autorel_jax.report.whole import fault_in

if TYPE_CHECKING:
    import pyarrow

Record = dict[str, Any]

READABLE = (1, SCHEMA)  # schemas
MADE_BY = "made_by"  # a column of .parquet, the same in all rows
ROWS = 1024  # of a .parquet file that are in memory at a time
EXPECTED = "expected a .jsonl or .parquet file of results, as `--output` writes it"


def read_results(path: str | Path) -> Iterator[Record]:
    """The results in a file, one record for each text and target, in the order of the file.

    A record has the fields of a line of .jsonl (docs/output.md), as far as the file has them, and the columns that
    passed through under their own names. A .parquet file does not tell `method.rules`.

    Args:
      path: of a .jsonl or .parquet file.

    Raises:
      InputError: there is no such file, or it holds no results, or results of another schema.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: cannot read results from {path.suffix or 'a name without suffix'}; {EXPECTED}.")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; {EXPECTED}.")
    return reader(path)


def read_jsonl(path: Path) -> Iterator[Record]:
    """The records of a .jsonl file, a line at a time."""
    for number, line in enumerate(lines_of(path), start=1):
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not valid JSON ({one_line(error)}); {EXPECTED}.") from None
        if not isinstance(record, dict):
            raise InputError(f"{where}: not a JSON object; {EXPECTED}.")
        check_schema(record, record, where)
        record = renamed(record)
        if fault := fault_in(record):
            raise InputError(f"{where}: {fault}.")
        yield record


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a file of text; InputError for bytes that are not UTF-8, or a fault of the disk."""
    try:
        with open(path, encoding="utf-8") as stream:
            yield from stream
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}; {EXPECTED}.") from None


def read_parquet(path: Path) -> Iterator[Record]:
    """The records of a .parquet file, ROWS rows in memory at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with open(path, "rb") as stream, parquet.ParquetFile(stream) as file:
            about = (file.schema_arrow.metadata or {}).get(MARK.encode())
            if about is None:
                raise InputError(
                    f"{path}: not results of autorel-jax (no {MARK} in its metadata, which pandas and polars drop); "
                    f"{EXPECTED}."
                )
            about = json.loads(about)
            check_schema(about, file.schema_arrow.names, str(path))
            has_maker = MADE_BY in file.schema_arrow.names
            rows = (row for batch in file.iter_batches(ROWS) for row in rows_of(batch))
            for number, row in enumerate(of_one_maker(rows, path) if has_maker else rows, start=1):
                record = renamed(record_of_row(row, about))
                if fault := fault_in(record):
                    raise InputError(f"{path}, row {number}: {fault}.")
                yield record
    except (OSError, pa.ArrowException, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}; {EXPECTED}.") from None


def of_one_maker(rows: Iterable[Record], path: Path) -> Iterator[Record]:
    """The rows without the column of what made them; InputError where it differs: the metadata name one for all."""
    first = None
    for number, row in enumerate(rows, start=1):
        maker = row.pop(MADE_BY, None)
        first = maker if number == 1 else first
        if maker != first or maker is None:
            made = "by something unknown" if maker is None else f"by {one_line(maker)!r}"
            raise InputError(
                f"{path}, row {number}: made {made}, others by {one_line(first)!r}: tables were joined, and the "
                "metadata say once for all rows what made them. Give the files of each."
            )
        yield row


def rows_of(batch: pyarrow.RecordBatch) -> Iterator[Record]:
    """The rows of a table; dates and times that passed through are ISO text, as in .jsonl."""
    lists = [moments(column) if are_moments(column.type) else column.to_pylist() for column in batch.columns]
    return (dict(zip(batch.schema.names, values, strict=True)) for values in zip(*lists, strict=True))


def check_schema(about: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    """Raises InputError for results that cannot be read as those of SCHEMA.

    Args:
      about: what was written with the results; it should say their schema.
      names: of their fields or columns. In an older schema, a name of today's is that of a column that passed through.
      where: the file, and the line in it.
    """
    schema = about.get("schema")
    if schema is None:
        raise InputError(
            f"{where}: the results do not say their schema; {EXPECTED}, with all fields or with `schema` in --columns."
        )
    if schema not in READABLE:
        version = about.get("version", "(unknown version)")
        raise InputError(
            f"{where}: results of schema {schema}, written by autorel-jax {version}; this version reads "
            f"{' and '.join(map(str, READABLE))}. Read them with the version that wrote them."
        )
    for old, new in ALIASES.items():
        if schema != SCHEMA and new in names:
            raise InputError(
                f"{where}: the column {new}, which passed through, has the name that {old} of these results of schema "
                f"{schema} has today; rename it in the file, or explain again."
            )


def renamed(record: Record) -> Record:
    """A record of a readable schema in the names of SCHEMA."""
    for old, new in ALIASES.items():
        if old in record and new not in record:
            record = {new if name == old else name: value for name, value in record.items()}
    return record | {"schema": SCHEMA}


def record_of_row(row: Mapping[str, Any], about: Mapping[str, Any]) -> Record:
    """A row of a table as a record; `about` is the file's metadata, the same for all rows."""
    columns = dict(row)
    record: Record = {name: about[name] for name in ("schema", "version", "model") if name in about}
    if "labels" in about and isinstance(about.get("model"), dict):
        record["model"] = about["model"] | {"labels": list(about["labels"])}
    for field in IN_FILES:
        name = name_in(columns, field.column)
        if name is not None:
            value = columns.pop(name)
            # A string is a column of the input that passed through under a name of ours.
            value = value if isinstance(value, str) else FROM_COLUMN.get(field.kind, plain)(value)
            group = record if len(field.path) == 1 else record.setdefault(field.path[0], {})
            group[field.path[-1]] = value
    logits, prediction = record.get("logits"), record.get("prediction")
    if prediction is not None and "logit" not in prediction and logits and isinstance(logits, list):
        prediction["logit"] = highest(logits)  # files of older versions have no column of it
    if "method" in about:
        record["method"] = about["method"]
    return record | {name: value for name, value in columns.items() if name not in record}


def name_in(columns: Mapping[str, Any], column: str | None) -> str | None:
    """The name under which a table has a column: today's or an older one; None if it has neither."""
    older = (old for old, new in ALIASES.items() if new == column)
    return next((name for name in (column, *older) if name in columns), None)


def highest(logits: list[float | None]) -> float | None:
    """The logit of the prediction; None if any logit is not a finite number."""
    return None if None in logits else max(logits)


def spans(value: list[Mapping[str, int] | None]) -> list[list[int] | None]:
    """Structs of start and end as pairs; a table that went through pandas has floats beside nulls."""
    return [span and [int(span["start"]), int(span["end"])] for span in value]


def diagnostics(value: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Structs of name and value as an object."""
    return {each["name"]: plain(each["value"]) for each in value}


def ledger(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A ledger whose absorbed relevance is a list of items at layers, with an object of lists in its place."""
    if value is None:
        return None
    absorbed: dict[str, list[float | None]] = {}
    for kept in value["absorbed"]:  # in the order of the layers
        absorbed.setdefault(kept["item"], []).append(plain(kept["value"]))
    return plain(dict(value)) | {"absorbed": absorbed}


def readouts(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Read-outs without those that were not asked for."""
    return {name: plain(array) for name, array in (value or {}).items() if array is not None}


FROM_COLUMN = {
    kinds.SPAN: lambda span: span and spans([span])[0],
    kinds.SPANS: spans,
    kinds.DIAGNOSTICS: diagnostics,
    kinds.LEDGER: ledger,
    kinds.READOUTS: readouts,
}
READERS: dict[str, Callable[[Path], Iterator[Record]]] = {".jsonl": read_jsonl, ".parquet": read_parquet}
