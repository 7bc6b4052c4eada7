"""data/labels.py: what files say of a row's label -> numbers, and the names of labels that nobody named."""

import json

import numpy as np
import pytest

from autorel_jax.data.splits import read_split, settle
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"


@pytest.fixture
def rows(tmp_path):
    """Writes rows with these labels, as .jsonl or .csv; the folder."""

    def rows(*labels, name="in.jsonl"):
        if name == "in.jsonl":
            lines = [json.dumps({"text": f"film {row}", "label": label}) for row, label in enumerate(labels)]
        else:
            lines = ["text\tlabel", *(f"film {row}\t{label}" for row, label in enumerate(labels))]
        (tmp_path / name).write_text("\n".join(lines))
        return tmp_path

    return rows


def read(folder, **options):
    return read_split(TaskConfig(**({"train": "in.jsonl"} | options)), "train", folder).labels


# --- one label a row


@pytest.mark.parametrize(
    ("written", "options", "expected"),
    [
        (["b", "a", " b "], {"labels": ("a", "b")}, [1, 0, 1]),
        ([1, "0", 1.0, "1.0"], {"labels": ("a", "b")}, [1, 0, 1, 1]),
        ([1, "0", True, False], {"labels": ("LABEL_0", "LABEL_1")}, [1, 0, 1, 0]),
        (["b", 0], {"labels": ("a", "b")}, [1, 0]),
        ([1, "5", 5.0], {"labels": ("bad", "good"), "values": ("1", "5")}, [0, 1, 1]),
        ([True, "false"], {"labels": ("no", "yes"), "values": ("false", "true")}, [1, 0]),
        ([0.5, "0.5", 1.5], {"labels": ("low", "high"), "values": ("0.5", "1.5")}, [0, 0, 1]),
        ([2, 1], {"labels": ("1", "2")}, [1, 0]),
        ([-1, 1], {"labels": ("bad", "good"), "values": ("-1", "1")}, [0, 1]),
        ([True, False, "True"], {"labels": ("True", "False")}, [0, 1, 0]),  # by name, not by number
        ([True, False], {"labels": ("FALSE", "maybe", "TRUE")}, [2, 0]),
        ([True, False], {"labels": ("no", "yes")}, [1, 0]),
        ([True, False], {"labels": ("Yes", "No")}, [0, 1]),  # never the opposite: number 1 is No
        ([1, "1.0"], {"labels": ("1.0", "2.0")}, [0, 0]),
        (["12345678901234567891"], {"labels": ("12345678901234567890", "12345678901234567891")}, [1]),
    ],
)
def test_spellings(rows, written, options, expected):
    labels = read(rows(*written), **options)
    assert labels.dtype == np.int32
    assert labels.tolist() == expected


@pytest.mark.parametrize(
    ("label", "options", "message"),
    [
        # Given values, nothing else is a label; and names that are numbers are not counted from 0.
        ("good", {"labels": ("bad", "good"), "values": ("1", "5")}, "'good' is unknown; accepted: '1', '5'.$"),
        (0, {"labels": ("1", "2", "3")}, "line 1: the label '0' is unknown; accepted: '1', '2', '3'.$"),
        (2, {"labels": ("bad", "good")}, "the label '2' is unknown"),
        ("Good", {"labels": ("bad", "good")}, "the label 'Good' is unknown"),
        ("x", {"labels": tuple("abcdefghijkl")}, "accepted: 'a', .*, 'j', …\\.$"),
        ({"a": 1}, {"labels": ("bad", "good")}, "is no label"),
        (True, {"labels": ("bad", "good")}, "the label 'True' is unknown"),  # good, or that it is bad?
        (True, {"labels": ("bad", "False")}, "the label 'True' is unknown"),
    ],
)
def test_unknown_labels(rows, label, options, message):
    with pytest.raises(InputError, match=message):
        read(rows(label), **options)


# --- several


def test_multi_label_lists_and_strings(rows):
    options = {"problem": MULTI, "labels": ("a", "b", "c")}
    expected = [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    labels = read(rows(["a", "c"], [], [1]), **options)
    assert labels.dtype == np.float32
    assert labels.tolist() == expected
    assert read(rows("a, c", "", "b"), **options).tolist() == expected
    assert read(rows("a|c", " ", "1"), separator="|", **options).tolist() == expected
    folder = rows("a,c", "", "b", name="in.tsv")
    assert read(folder, train="in.tsv", **options).tolist() == expected


def test_multi_hot(rows):
    """A 0 or 1 for each label, as Hugging Face has it; and what may be read in two ways."""
    options = {"problem": MULTI, "labels": ("a", "b", "c")}
    written = [[1, 0, 1], [0.0, 1.0, 0.0], [True, False, False], [0, 0, 0], [0, 2], [1]]
    expected = [[1, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert read(rows(*written), **options).tolist() == expected
    two = {"problem": MULTI, "labels": ("a", "b")}
    assert read(rows([1, 1], [0, 0], [False, True]), **two).tolist() == [[1, 1], [0, 0], [0, 1]]
    assert read(rows([0, 1]), values=("x", "y"), **two).tolist() == [[0, 1]]
    with pytest.raises(InputError, match=r"line 2: \[0, 1\] may be the numbers of labels, .* write the labels' names"):
        read(rows([1], [0, 1]), **two)
    for text in ("0,1", "1, 0", "0.0,1.0"):
        with pytest.raises(InputError, match=f"line 1: {text} may be the numbers of labels"):
            read(rows(text), **two)
    for text in ("010", "01"):
        with pytest.raises(InputError, match=f"line 1: {text} may be a 0 or 1 for each label; put ',' between them"):
            read(rows(text), problem=MULTI, labels=tuple("abcdefghijkl"))
    assert read(rows("10", "0, 11"), problem=MULTI, labels=tuple("abcdefghijkl")).sum(axis=1).tolist() == [1, 2]
    with pytest.raises(InputError, match="line 1: 0,1 may be a 0 or 1 for each label, or labels' numbers"):
        settle(TaskConfig(train="in.jsonl", problem=MULTI), rows("0,1", "1,1"))
    with pytest.raises(InputError, match="line 1: 1,0,1 may be the numbers of labels, or a 0 or 1 for each of the 3"):
        read(rows("1,0,1"), **options)
    for twice in (["a", "c", "a"], [1, 0, 1, 0], "1,0,1,0"):
        with pytest.raises(InputError, match=r"line 1: .* names one label twice"):
            read(rows(twice), **options)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (None, r"is null; every row needs one \(none of several labels: an empty list"),
        (["a", "x"], "'x' is unknown"),
        ([""], "is empty"),
    ],
)
def test_faulty_multi_label(rows, label, message):
    with pytest.raises(InputError, match=f"in.jsonl, line 2: .*{message}"):
        read(rows(["a"], label), problem=MULTI, labels=("a", "b"))


# --- numbers


def test_regression(rows):
    labels = read(rows(1, "-2.5", 0.25, "1e3"), problem=REGRESSION, labels=("score",))
    assert labels.dtype == np.float32
    assert labels.tolist() == [1, -2.5, 0.25, 1000]


@pytest.mark.parametrize(
    ("label", "shown"), [(None, "null"), ("", "empty"), ("nan", "'nan'"), (float("nan"), "nan")], ids=repr
)
def test_missing_number(rows, label, shown):
    with pytest.raises(InputError, match=f"in.jsonl, line 2: the label is {shown}; every row needs one. To leave such"):
        read(rows(1, label), problem=REGRESSION)


@pytest.mark.parametrize("label", ["good", "1_000", "١", "inf", float("-inf"), 1e39, True, [1]])
def test_faulty_regression(rows, label):
    with pytest.raises(InputError, match=r"in.jsonl, line 2: the label .* is not a finite number"):
        read(rows(1, label), problem=REGRESSION)


# --- labels that the task does not name


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        (["b", "a", "b"], ("a", "b")),
        ([10, 9, 10, -1], ("-1", "9", "10")),
        (["10", "9"], ("9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        ([True, False], ("false", "true")),
        ([1.0, 0.0], ("0", "1")),
        (["1.0", "2"], ("1.0", "2")),
        (["none", "some"], ("none", "some")),
        (["1_23", "12_3"], ("12_3", "1_23")),
        (["1e2", "100"], ("100", "1e2")),
    ],
)
def test_settle(rows, written, labels):
    folder = rows(*written)
    task = TaskConfig(train="in.jsonl", name="films", dev_fraction=0.5)
    settled = settle(task, folder)
    assert (settled.labels, settled.values, settled.name) == (labels, labels, "films")
    whole = read_split(settle(TaskConfig(train="in.jsonl"), folder), "train", folder)
    assert [labels[index] for index in whole.labels] == [
        label if isinstance(label, str) else json.dumps(label).removesuffix(".0") for label in written
    ]


def test_spellings_of_one_number_are_one_label(rows):
    folder = rows("1", "2.0", "1.0", "02", 2)
    task = settle(TaskConfig(train="in.jsonl"), folder)
    assert task.labels == ("1", "2")
    assert read_split(task, "train", folder).labels.tolist() == [0, 1, 0, 1, 1]


def test_settled_labels_hold_for_other_splits(rows):
    folder = rows("7", "8")
    rows("label", "7", "9", name="dev.tsv")
    task = settle(TaskConfig(train="in.jsonl", dev="dev.tsv"), folder)
    with pytest.raises(InputError, match=r"dev.tsv, row from line 2: the label 'label' is unknown; accepted: '7', '8'"):
        read_split(task, "dev", folder)


def test_settle_other_problems(rows):
    folder = rows(["b"], [], ["a", "b"])
    assert settle(TaskConfig(train="in.jsonl", problem=MULTI), folder).labels == ("a", "b")
    assert settle(TaskConfig(train="in.jsonl", problem=MULTI), rows(["b"])).labels == ("b",)
    assert settle(TaskConfig(train="in.jsonl", problem=MULTI, separator=";"), rows("b;a", "c,d")).labels == (
        "a",
        "b",
        "c,d",
    )
    assert settle(TaskConfig(train="none", problem=REGRESSION, label="score"), folder).labels == ("score",)


def test_settle_leaves_named_labels_alone(tmp_path):
    task = TaskConfig(train="none", labels=("a", "b"))
    assert settle(task, tmp_path) is task


def test_reading_wants_settled_labels(rows):
    with pytest.raises(ValueError, match="settle it first"):
        read(rows("a", "b"))


@pytest.mark.parametrize(
    ("written", "options", "message"),
    [
        (["a", "a"], {}, "in.jsonl has only the label 'a'; a classification needs at least two"),
        ([[], []], {"problem": MULTI}, "in.jsonl has no label"),
        ([1, 2.5], {}, "line 2: the label 2.5 is a number, but no whole one; for a regression set problem"),
        (["a", None], {}, "line 2: the label is null"),
        (["a", ""], {}, "line 2: the label is empty"),
        ([1, float("nan")], {}, "line 2: the label is nan"),
        (["a", "NaN"], {}, "line 2: the label is 'NaN'"),
        (["1", "N/A", "2"], {}, "line 2: the label is N/A among numbers"),
        ([1, 0, "None"], {}, "line 3: the label is None among numbers"),
        ([True, 0, 1, False], {}, "line 1: the label is true among numbers, which may mean the same; write each label"),
        ([["a"], [1, 0, 1]], {"problem": MULTI}, r"line 2: \[1, 0, 1\] may be .*; name the labels in labels"),
        (["a", "['a', 'b']"], {"problem": MULTI}, "line 2: .* is a list written as text"),
    ],
)
def test_nothing_to_settle(rows, written, options, message):
    with pytest.raises(InputError, match=message):
        settle(TaskConfig(train="in.jsonl", **options), rows(*written))
