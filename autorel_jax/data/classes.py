"""Classes: the names of classes that Hugging Face's datasets left in a .parquet file -> its labels in these words.

Used by tables.py. The numbers of such a column are the data set's, which need not be a model's.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

KEY = b"huggingface"  # of the schema's metadata


def classes_of(schema: "pyarrow.Schema", columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Those of the columns that hold classes, or lists of them -> the names of the classes."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):  # of another program's making
        features = json.loads((schema.metadata or {}).get(KEY, b"{}")).get("info", {}).get("features", {})
        return {column: names for column in columns if (names := names_in(features.get(column)))}
    return {}


def names_in(feature: Any) -> tuple[str, ...]:
    """The names of a feature that is a class, or of what its lists hold; none of another."""
    if isinstance(feature, list) and len(feature) == 1:
        return names_in(feature[0])
    if not isinstance(feature, Mapping):
        return ()
    if feature.get("_type") == "ClassLabel":
        return tuple(map(str, feature.get("names") or ()))
    return names_in(feature.get("feature"))


def in_words(values: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Numbers of classes as (name, id) pairs, which label_ids.py takes; anything else as it is."""
    return [_in_words(value, names) for value in values]


def _in_words(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return in_words(value, names)
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names)
    return (names[value], f"id:{value}") if known else value
