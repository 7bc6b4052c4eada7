"""One rule for what a label means, in training and in explaining: names first, numbers by value, ids last."""

import dataclasses
import decimal
import json
import types
import warnings

import numpy as np
import pytest
from models import refusal, write_model

import autorel_jax as ar
from autorel_jax.cli.explain import main
from autorel_jax.cli.stream import label_of
from autorel_jax.data.label_ids import class_number, how_read, known_labels, label_number
from autorel_jax.data.labels import encode
from autorel_jax.data.row import Row
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import InputError

STARS = ("1", "2", "3", "4", "5")
WRITTEN = ("1.0", "2.0", "3.0", "4.0", "5.0")
WORDED = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")
PLAIN = ("bad", "good")
CASES = [  # the names, a label as it may come, its number
    (STARS, 1, 0),
    (STARS, 5, 4),
    (STARS, 5.0, 4),
    (STARS, "5.0", 4),
    (STARS, np.int64(3), 2),
    (STARS, np.float32(3), 2),
    (STARS, np.str_("3"), 2),
    (STARS, 0, None),
    (STARS, "id:0", 0),
    (STARS, "id:5", None),
    (WRITTEN, 1, 0),
    (WRITTEN, "1", 0),
    (WRITTEN, "5.0", 4),
    (WRITTEN, 5, 4),
    (WRITTEN, np.float64(2), 1),
    (WORDED, 1, None),  # may be "1 star", may be the id of "2 stars"
    (WORDED, "4", None),
    (WORDED, "4 stars", 3),
    (WORDED, "id:1", 1),
    (PLAIN, 1, 1),
    (PLAIN, "1", 1),
    (PLAIN, 1.0, 1),
    (PLAIN, " good ", 1),
    (PLAIN, True, None),  # good, or that it is bad?
    (PLAIN, np.bool_(False), None),
    (("LABEL_0", "LABEL_1"), True, 1),
    (("0", "1"), np.bool_(False), 0),
    (("bad", "fair", "good"), True, None),
    (("false", "maybe", "true"), True, 2),
    (PLAIN, 2, None),
    (PLAIN, -1, None),
    (PLAIN, 0.5, None),
    (PLAIN, "id:1", 1),
    (("LABEL_0", "LABEL_1"), 1, 1),
    (("0", "1"), 1, 1),
    (("False", "True"), True, 1),
    (("True", "False"), True, 0),
    (("yes", "no"), True, 0),  # never the opposite
    (("no", "yes", "maybe"), False, 0),
    (("yes", "maybe"), False, None),
    (("-1", "1"), -1, 0),
    (("id:1", "other"), "id:1", 0),  # a name goes first
    (("covid19", "flu"), 1, None),
    (("1/5", "2/5"), 1, None),
    (("0.5", "1.5"), "1", None),
    (("18-25", "26-35"), 1, None),
    (("one star", "two stars"), 1, None),
    (("Grade I", "Grade II"), 1, None),
    (("①", "②"), 1, None),
    (("one_star", "two_stars"), 1, None),
    (("oneStar", "twoStars"), 1, None),
    (("Grade_I", "Grade_II"), 1, None),
    (("grade i", "grade ii"), 1, None),
    (("X", "XI"), 1, None),
    (("sixth", "seventh"), 1, None),
    (("eleven", "twelve"), 1, None),
    (("single", "double"), 1, None),
    (("★", "★★", "★★★"), 1, None),
    (("👍", "👎"), 1, None),
    (("YES!", "NO!"), 1, None),
    (("yes_toxic", "no_toxic"), 1, None),
    (("Yes, toxic", "No, fine"), 1, None),
    (("true_news", "fake_news"), 1, None),
    (("entailment", "not_entailment"), 1, 1),
    (("correct", "wrong"), 1, None),
    (("on", "off"), 1, None),
    (("off", "on"), 1, 1),
    (("not hate", "hate"), 1, 1),
    (("x", "y"), 1, 1),
    (("i agree", "you agree"), 1, 1),
    (("LABEL_1", "LABEL_2"), 1, None),
    (("yes", "no"), 1, None),
    (("True", "False"), 0, None),
    (("no", "yes"), 1, 1),
    (("False", "True"), 1, 1),
    (("a 0", "a 1"), 1, 1),
    (("", "x"), "x", 1),
    ((" neg", "pos "), " neg", 0),
    ((" neg", "pos "), "pos", 1),
    (("a", " a"), "a", 0),
    (("a", " a"), " a", 0),  # a label comes without spaces
    (PLAIN, decimal.Decimal(1), 1),
    (("x", "x"), "x", 0),
]


@pytest.mark.parametrize(("names", "label", "number"), CASES)
def test_the_rule(names, label, number):
    assert label_number(label, known_labels(names), "here") == number


NLI = ("CONTRADICTION", "NEUTRAL", "ENTAILMENT")


@pytest.mark.parametrize(
    ("names", "own", "place", "number"),
    [
        (NLI, "entailment", 0, 2),
        (NLI, "contradiction", 2, 0),
        (NLI, " Neutral", 1, 1),
        (PLAIN, "bad", 1, 0),
        (PLAIN, "positive", 1, None),  # either may be meant
        (("maybe", "no", "unsure"), "yes", 1, None),
        (("Good", "GOOD", "bad"), "good", 0, None),  # of two alike neither
        (("Good", "GOOD", "bad"), "GOOD", 0, 1),
        (("LABEL_0", "LABEL_1"), "positive", 1, 1),
        (("LABEL_0", "LABEL_1"), "1", 0, 0),  # its name is no id
        (("LABEL_0", "LABEL_1"), "positive", 2, None),
        (("LABEL_0", "bad"), "positive", 0, None),
        (("0", "1"), "positive", 1, 1),
        (WRITTEN, "5", 0, 4),
        (("0", "1", "2"), "3", 2, None),  # whose 1 and 2 go by their names
    ],
)
def test_a_class_of_a_data_set(names, own, place, number):
    assert class_number((own, f"id:{place}"), names) == number


@pytest.mark.parametrize(("names", "label", "number"), [case for case in CASES if "" not in case[0]])
def test_training_has_the_same(names, label, number):
    if len(set(names)) < len(names):
        return
    task = TaskConfig(train="x", labels=names)
    if number is None:
        with pytest.raises(InputError, match="is unknown; accepted"):
            encode(task, [("here", label)])
    else:
        assert encode(task, [("here", label)]).tolist() == [number]


def said(classifier, labels):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        ar.explain(classifier, ["a film"] * len(labels), labels=labels, target="given")
    return [str(one.message) for one in found]


def test_what_is_assumed_of_numbers_is_said_once(classifier, stars):
    """In each call, and whatever filter of warnings there is."""
    (line,) = said(classifier, [1, "0", 1])
    assert said(classifier, [0]) == [line]
    assert line.startswith("labels that are numbers are read as ids of ")
    assert ": 0 is 'negative', 1 is 'neutral', 2 is 'positive'. " in line
    assert not said(classifier, ["negative", "id:1", ("Neutral", "id:0")])
    (line,) = said(ar.load(stars), [1, "5.0"])
    assert "are read as names of labels of" in line
    assert not said(ar.load(stars), ["5.0", "id:1"])


@pytest.mark.parametrize("label", [None, "", " ", float("nan"), {"a": 1}, [1]])
def test_what_is_no_label(label):
    with pytest.raises(InputError, match="here: "):
        label_number(label, known_labels(PLAIN), "here")


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    """A model whose labels are written as pandas writes a column of numbers in which some are missing."""
    folder = tmp_path_factory.mktemp("stars") / "model"
    write_model(folder, labels=WRITTEN)
    return folder


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_rows_explain_their_own_label(stars, tmp_path, suffix, capsys):
    written = [1, 2, 5, "5.0", 6]
    if suffix == ".csv":
        text = "\n".join(["text,label", *(f"a film,{label}" for label in written)])
    else:
        text = "\n".join(json.dumps({"text": "a film", "label": label}) for label in written)
    (tmp_path / f"in{suffix}").write_text(text)
    arguments = (tmp_path / f"in{suffix}", "--label-column", "label", "--target", "given", "--model", stars)
    assert main([*map(str, arguments), "--output", str(tmp_path / "out.jsonl")]) == 0
    assert "not as ids, in which 0 is '1.0', 1 is '2.0'" in capsys.readouterr().err
    found = [json.loads(line)["target"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert found == ["1.0", "2.0", "5.0", "5.0"]
    (rejected,) = (tmp_path / "out.jsonl.rejected.jsonl").read_text().splitlines()
    assert "Unknown label" in rejected
    assert "1.0 (id:0), 2.0 (id:1)" in rejected


def test_the_library_has_the_same(stars):
    classifier = ar.load(stars)
    found = ar.explain(classifier, ["a film"] * 4, labels=[1, "2.0", np.float64(5), "id:2"], target="given")
    assert [e.target for e in found] == ["1.0", "2.0", "5.0", "3.0"]
    for target in (1, "1", "1.0", np.int32(1), "id:0"):
        assert ar.explain(classifier, "a film", target=target)[0].target == "1.0"
    assert ar.explain(classifier, "a film", target=(5, 1))[0].target == "5.0 - 1.0"
    said = refusal(ar.explain, classifier, "a film", target=0)
    assert said.startswith(f"Unknown label 0. The labels of {stars}: 1.0 (id:0), ")
    assert said.endswith(" Beside these names a bare 0 may mean another label: write id:0 for that id.")


def test_of_many_labels_a_message_lists_thirty(classifier):
    names = tuple(f"topic {number}" for number in range(200))
    many = dataclasses.replace(classifier, config=dataclasses.replace(classifier.config, labels=names))
    said = refusal(many.label_id, "sports")
    assert said.endswith(": " + ", ".join(f"topic {n} (id:{n})" for n in range(30)) + " and 170 more.")


def test_a_class_that_the_model_lacks_is_refused_by_both_names(classifier):
    assert classifier.label_id(("Positive", "id:0")) == 2
    said = refusal(classifier.label_id, ("joy", "id:1"))
    assert said.startswith("Unknown label 'joy' (id:1 of the data set). The labels of ")
    assert said.endswith(": negative (id:0), neutral (id:1), positive (id:2).")
    found = ar.explain(classifier, ["a film"], labels=[("POSITIVE", "id:1")], target="given")
    assert found[0].target == "positive"


@pytest.mark.parametrize(
    ("label", "shown"),
    [(("Positive", "id:0"), "positive"), (("joy", "id:7"), "joy"), ("joy", "joy"), (1, "neutral"), ("", None)],
)
def test_the_label_on_a_page(classifier, label, shown):
    assert label_of(Row(1, "a film", None, label), types.SimpleNamespace(classifier=classifier)) == shown


@pytest.mark.parametrize(
    ("names", "label", "said"),
    [
        (
            STARS,
            1,
            "read as names of labels of m, not as ids, in which 0 is '1', 1 is '2', 2 is '3', 3 is '4', 4 is '5'.",
        ),
        (STARS, "4.0", "read as names of labels of m"),
        (("-1", "0", "1"), "0", "read as names of labels of m"),
        (STARS, 5, None),  # no id
        (STARS, "id:1", None),
        (STARS, ("1", "id:0"), None),
        (("0", "1"), 1, None),  # both readings are the same
        (PLAIN, 1, "read as ids of m: 0 is "),
        (PLAIN, PLAIN[0], None),
    ],
)
def test_how_a_number_is_read_is_said_where_another_reading_is_possible(names, label, said):
    found = how_read(names, label, "m")
    assert found is None if said is None else said in found
