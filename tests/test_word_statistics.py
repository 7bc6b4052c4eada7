"""evaluation/: words and n-grams over many texts, against numbers worked out by hand."""

import math

import numpy as np
import pytest
from explanations import explanation
from models import refusal
from scipy.special import softmax

from autorel_jax.evaluation import doubts, words
from autorel_jax.evaluation.collection import Collection
from autorel_jax.report.explanation import Prediction

POSITIVE, NEGATIVE = Prediction("positive", 0.9, 1.0), Prediction("negative", 0.75, 1.0)


def collected(*made, labels=None):
    collection = Collection()
    for place, one in enumerate(made):
        collection.add(one.to_dict(), None if labels is None else labels[place])
    return collection


def three():
    """Shares: good 1/2, film 1/4 | bad -1/2, film 1/4 | Good, 3/4 (twice), of [CLS] and [SEP] 1/8 each."""
    return collected(
        explanation("good film", (0.5, 2.0, 1.0, -0.5), id=1, prediction=POSITIVE),
        explanation("bad film", (0.0, -4.0, 2.0, 2.0), id=2, prediction=NEGATIVE),
        explanation("Good, good", (1.0, 4.0, 2.0, -1.0), id=3, prediction=POSITIVE),
        labels=["positive", "positive", "positive"],
    )


def found_in(collection, n=1):
    names = words.keys(collection)
    parts, begins = words.ngrams(collection, names, n)
    (series,) = collection.series.values()
    return [" ".join(names.names[part] for part in run) for run in parts], words.occurrences(
        collection, series, begins, n
    )


def summed(collection, n=1):
    names, found = found_in(collection, n)
    return names, words.summary(found, len(names))


@pytest.mark.parametrize(
    ("word", "key"),
    [("Good,", "good"), ("“Straße”", "strasse"), ("n't", "n't"), ("...", "..."), ("co-op", "co-op"), ("$5", "$5")],
)
def test_what_counts_as_one_word(word, key):
    assert words.key(word) == key


def test_shares_are_of_all_relevance_of_the_text():
    share = words.shares(np.array([1.0, -2.0, 1.0, 0.0, 0.0, 3.0]), np.array([3, 2, 1]))
    assert share.tolist() == [0.25, -0.5, 0.25, 0.0, 0.0, 1.0]


def test_a_text_with_a_score_that_is_no_number_has_no_shares():
    share = words.shares(np.array([1.0, np.nan, np.inf, 2.0]), np.array([2, 1, 1]))
    assert np.isnan(share[:3]).all()
    assert share[3] == 1


def test_words_over_texts_by_hand():
    names, summary = summed(three())
    assert names == ["good", "film", "bad"]
    assert summary.texts.tolist() == [2, 2, 1]  # twice in a text is once
    assert summary.mean.tolist() == [(0.5 + 0.75) / 2, 0.25, -0.5]
    assert summary.spread[:2].tolist() == [pytest.approx(math.sqrt(2) * 0.125), 0.0]
    assert np.isnan(summary.spread[2])
    assert summary.strongest.tolist() == [2, 2, 1]


def test_the_interval_by_hand():
    """Σ(x - mean)² of good is 2 · 0.125²; all words together have 2 degrees of freedom; 4 texts' worth is added."""
    _, summary = summed(three())
    usual = 2 * 0.125**2 / 2
    squares = np.array([2 * 0.125**2, 0, 0])
    freedom = np.array([1, 1, 0]) + 4
    student = np.array([2.570582, 2.570582, 2.776445])  # tables, 97.5 %, 5 and 4 degrees of freedom
    np.testing.assert_allclose(
        summary.half, student * np.sqrt((squares + 4 * usual) / freedom / np.array([2, 2, 1])), rtol=1e-3
    )


@pytest.mark.parametrize(("freedom", "value"), [(4, 2.776445), (5, 2.570582), (10, 2.228139), (30, 2.042272)])
def test_student_is_that_of_tables(freedom, value):
    assert words.student(freedom) == pytest.approx(value, abs=1e-3)


def test_ngrams_by_hand():
    names, summary = summed(three(), 2)
    assert names == ["good film", "bad film", "good good"]
    assert summary.mean.tolist() == [0.75, -0.25, 0.75]
    assert found_in(three(), 3)[0] == []


def test_ngrams_end_with_their_text_and_segment():
    collection = collected(explanation("a b", pair="c d"), explanation("e f", id=2))
    assert found_in(collection, 2)[0] == ["a b", "c d", "e f"]
    assert found_in(collection, 3)[0] == []


def test_what_is_among_the_strongest():
    text, share = np.array([0, 0, 0, 0, 1, 1]), np.array([0.1, -0.4, 0.2, 0.3, 0.0, -0.1])
    assert words.among_strongest(text, share).tolist() == [False, True, True, True, False, True]


def test_association_by_hand():
    """Of 3 texts with the word 2 have the label, of the 5 others 1."""
    (odds,) = words.association(np.array([3]), np.array([2]), 8, 3)
    assert odds == pytest.approx(math.log(2.5 / 1.5) - math.log(1.5 / 4.5))


def test_labels_of_the_texts_with_a_word():
    names, found = found_in(three())
    having, of_label = words.label_counts(found, len(names), ["positive", None, "negative"], "positive")
    assert having.tolist() == [2, 1, 0]
    assert of_label.tolist() == [1, 1, 0]


def test_the_texts_that_statistics_are_over():
    """Not the second, whose scores are not finite, nor the third, which the series does not have."""
    broken = explanation("a b", (1, np.nan, 1, 1), id=2)
    collection = collected(explanation("a", id=1), broken, explanation("b", id=3, target="negative"))
    assert words.finite_texts(collection, next(iter(collection.series.values()))).tolist() == [True, False, False]


def test_what_pulls_wrong_predictions_by_hand():
    """good is strong for `positive` wherever it is; `bad film` was explained for positive but predicted as negative."""
    collection = collected(
        explanation("good film", (0.5, 2.0, 1.0, -0.5), id=1, prediction=POSITIVE),
        explanation("good book", (0.0, 3.0, 1.0, 0.0), id=2, prediction=POSITIVE),
        explanation("bad film", (0.0, -4.0, 2.0, 2.0), id=3, prediction=NEGATIVE),
        labels=["negative", "positive", "positive"],
    )
    right, wrong = words.right_and_wrong(collection)
    assert (right.tolist(), wrong.tolist()) == ([False, True, False], [True, False, True])
    names, found = found_in(collection)
    found = words.for_predicted(collection, [found], list(collection.series.values()))
    pull = words.pull(found, len(names), wrong, right)
    counted = zip(pull.wrong.texts.tolist(), pull.difference.tolist(), strict=True)
    values = dict(zip(names, counted, strict=True))
    assert values["good"] == (1, 0.5 - 0.75)
    assert values["film"] == (1, 0.25)  # in no right text
    assert values["bad"][0] == 0
    assert np.isnan(values["bad"][1])


def test_a_text_explained_twice_is_one_text():
    one = explanation("good film", (0.5, 2.0, 1.0, -0.5))
    collection = collected(one, explanation("good film", (0.5, -2.0, 1.0, -0.5), target="negative"), one)
    assert len(collection) == 2  # the third explains the first target again
    assert [list(series.rows) for series in collection.series.values()] == [[0, 1], [0]]


ASSUMED = "Labels that are numbers are read as ids of the model: "
UNKNOWN = "Labels in the data that are no prediction or target of these results: "


def test_labels_are_named_as_the_model_names_them():
    """Their numbers are known where a prediction shows them: the place of its logit."""
    collection = collected(explanation(), explanation(id=2), labels=["1.0", "0"])
    assert collection.name_labels(True) == [f"{UNKNOWN}0.", f"{ASSUMED}1 is 'positive'."]
    assert [text.label for text in collection.texts] == ["positive", "0"]


def of_names(names, labels):
    """The true labels of texts, each predicted as another of the model's labels."""
    made = []
    for place, name in enumerate(names):
        logits = np.where(np.arange(len(names)) == place, np.float32(2), np.float32(0))
        found = {"prediction": Prediction(name, 0.9, 2.0), "logits": logits, "probabilities": softmax(logits)}
        made.append(explanation(id=place, target=name, **found))
    collection = collected(*made, labels=labels)
    notes = collection.name_labels(False)
    return [text.label for text in collection.texts], notes


@pytest.mark.parametrize(
    ("names", "labels", "found"),
    [
        (("1", "2", "3"), [1.0, 2.0, 3.0], ["1", "2", "3"]),  # by value, as pandas writes a column with gaps
        (("-1", "0", "1"), [-1.0, 0.0, math.nan], ["-1", "0", None]),
        (("negative", "positive"), ["negative ", "positive"], ["negative", "positive"]),
        (("no", "yes"), [True, False], ["yes", "no"]),
        (("no", "yes"), [0, 1], ["no", "yes"]),
        (("LABEL_0", "LABEL_1"), [1, 0], ["LABEL_1", "LABEL_0"]),
        (("1 star", "2 stars", "3 stars"), [1, 2, 3], [None] * 3),  # 1 may be an id or a number of stars
        (("yes", "no"), [0, 1], [None] * 2),
        (("relevant",), [0], [None]),  # nothing is right or wrong
        (("relevant",), ["relevant"], [None]),
    ],
)
def test_labels_are_matched_as_elsewhere(names, labels, found):
    assert of_names(names, labels)[0] == found


def test_what_labels_are_taken_for_is_said():
    assert of_names(("no", "yes"), [0, 1])[1] == [f"{ASSUMED}0 is 'no', 1 is 'yes'."]
    assert of_names(("LABEL_0", "LABEL_1"), [1, 0])[1] == []
    assert of_names(("1 star", "2 stars"), [1, 2])[1] == [f"{UNKNOWN}1, 2."]
    assert of_names(("relevant",), [1])[1][0].startswith("The model has one output, so no prediction is right or wrong")
    several = collected(explanation(probabilities=np.array([0.9, 0.9])), labels=["positive"])
    assert several.name_labels(True)[0].startswith("The model may give several labels, so no prediction is right or")
    assert several.texts[0].label is None


def test_labels_of_another_task_are_refused_or_dropped():
    collection = collected(explanation(), labels=["sport"])
    assert refusal(collection.name_labels, True) == (
        "None of the labels in the data ('sport') is a label of the model (positive); a label is the model's name for "
        "it, or its number where no name tells of a number."
    )
    collection.name_labels(False)
    assert collection.texts[0].label is None


def test_what_a_collection_refuses():
    collection = collected(explanation())
    other = explanation(id=2, weights_sha256="another", model="large").to_dict()
    assert refusal(collection.add, other, where="b.parquet") == (
        "b.parquet: results of the model 'large' beside results of 'tiny'; one report has one model. Give the second "
        "file to --compare."
    )
    split = explanation(target="negative").to_dict()
    split["words"][3:4] = ["gorgeous", ","]
    assert "was explained with other words before" in refusal(collection.add, split)
    record = explanation(id=3).to_dict()
    del record["word_spans"]
    assert "the results have no word_spans; expected at least id, text" in refusal(collection.add, record)


def test_doubts_say_what_an_explanation_rests_on():
    made = collected(
        explanation("a b c d", (0, 9, 1, 1, 1, 0), target_value=12.0, truncated_tokens=3),
        explanation("a b c ...", (0, 1, 1, 1, 9, 0), id=2, target_value=12.0),
        explanation("a b c d", (9, 1, 1, 1, 1, 0), id=3, target_value=13.0),
        explanation("a b c d", (1, 1, 1, 1, 1, 0), id=4, target_value=11.0),
        explanation("a b c d", (1, 1, 1, 1, 1, 0), id=5, target_value=5.0),
    )
    (series,) = made.series.values()
    assert doubts.doubts(made, series) == [
        [doubts.CUT, doubts.ONE_WORD],
        [doubts.PUNCTUATION],
        [doubts.SPECIAL],
        [doubts.PART],
        [],
    ]


def test_a_text_with_two_labels_is_two_texts():
    """As several people label one text; each of them is right or wrong."""
    one, other = explanation(target="positive"), explanation(target="negative")
    collection = collected(one, other, one, labels=["positive", "negative", "positive"])
    assert [text.label for text in collection.texts] == ["positive", "negative", "positive"]
    assert len(collected(one, other, labels=["positive", "positive"])) == 1
