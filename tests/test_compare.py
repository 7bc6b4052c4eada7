"""evaluation/compare.py: two models, methods or targets on the same texts, against numbers worked out by hand."""

import json
import math

import numpy as np
import pytest
from explanations import explanation
from models import refusal
from test_report_page import data_of
from test_word_statistics import collected

from autorel_jax.cli.main import main
from autorel_jax.evaluation import compare, words
from autorel_jax.report.explanation import Prediction
from autorel_jax.report.page import save

NEGATIVE = Prediction("negative", 0.75, 1.0)


def first():
    return collected(
        explanation("good film", (0.5, 2.0, 1.0, -0.5), id=1),
        explanation("bad film", (0.0, -4.0, 2.0, 2.0), id=2),
        explanation("only here", id=3, prediction=NEGATIVE),
    )


def second():
    """Another model: film is against the target in text 1, text 2 is as before but twice as strong."""
    return collected(
        explanation("bad film", (0.0, -8.0, 4.0, 4.0), id="2", model="large"),
        explanation("good film", (0.5, 2.0, -1.0, -0.5), id="1", model="large", prediction=NEGATIVE),
        explanation("only there", id=3, model="large"),
    )


def both():
    collection = first()
    compare.add_other(collection, second())
    return collection


def test_the_same_texts_are_found():
    collection = both()
    assert collection.other.model == "large"
    assert collection.other.predictions == {0: "negative", 1: "positive"}
    assert (collection.other.split, collection.other.more) == (0, 1)
    (_, other) = collection.series.values()
    assert list(other.rows) == [1, 0]
    assert list(other.scores) == [0.0, -8.0, 4.0, 4.0, 0.5, 2.0, -1.0, -0.5]


def test_a_text_that_is_there_twice_is_matched_twice():
    texts = first().texts[:1] * 2
    assert compare.match(texts, texts) == [(0, 0), (1, 1)]
    assert compare.match(texts, texts[:1]) == [(0, 0)]


def test_a_text_of_other_words_is_compared_by_its_prediction():
    collection, other = first(), second()
    other.words.names[1] = "ba"
    compare.add_other(collection, other)
    assert (collection.other.split, len(collection.other.predictions)) == (1, 2)
    assert [list(series.rows) for series in collection.series.values()][1] == [0]


def test_special_tokens_are_the_same_under_other_names():
    """RoBERTa's <s> and </s> stand where BERT has [CLS] and [SEP]; a word of such a name is a word."""
    collection, other = first(), second()
    names = {"[CLS]": "<s>", "[SEP]": "</s>"}
    other.words.names = [names.get(name, name) for name in other.words.names]
    compare.add_other(collection, other)
    assert collection.other.split == 0
    (_, scores) = collection.series.values()
    assert list(scores.scores) == [0.0, -8.0, 4.0, 4.0, 0.5, 2.0, -1.0, -0.5]
    collection, other = collected(explanation("[CLS] film")), collected(explanation("<s> film", model="large"))
    other.texts[0] = other.texts[0]._replace(text="[CLS] film")
    compare.add_other(collection, other)
    assert collection.other.split == 1


def test_predictions_are_compared_whatever_was_explained():
    """Each model's own prediction was explained, so that no series has a text which they predict otherwise."""
    ours = [explanation("good film", id=1), explanation("bad film", id=2)]
    theirs = [
        explanation("good film", id=1, model="large"),
        explanation("bad film", id=2, model="large", prediction=NEGATIVE, target="negative"),
    ]
    collection = collected(*ours)
    compare.add_other(collection, collected(*theirs))
    assert collection.other.predictions == {0: "positive", 1: "negative"}
    assert [list(series.rows) for series in collection.series.values()] == [[0, 1], [0], [1]]


def test_models_without_a_common_label_are_refused():
    renamed = [
        explanation("good film", id=number, target="LABEL_1", prediction=Prediction("LABEL_1", 0.9, 1.5))
        for number in (1, 2)
    ]
    said = refusal(compare.add_other, collected(explanation("good film", id=1)), collected(*renamed))
    assert said == (
        "The results have no label in common: positive; LABEL_1. Labels are compared by their names: rename those of "
        "one model by autorel convert --labels, or, where each prediction changed, explain one label in both by "
        "--target."
    )


def test_a_common_label_that_nothing_was_predicted_as_is_one():
    """As where each prediction changed."""
    labels = {"labels": ("negative", "positive")}
    logits = {"logits": np.array([1.0, -1.0], np.float32), "probabilities": np.array([0.88, 0.12])}
    other = explanation(target="negative", prediction=NEGATIVE, model="large", **labels, **logits)
    collection = collected(explanation(**labels))
    compare.add_other(collection, collected(other))
    assert collection.other.predictions == {0: "negative"}
    assert "no label in common" in refusal(
        compare.add_other, collected(explanation()), collected(explanation(target="negative", prediction=NEGATIVE))
    )


def test_an_entity_is_the_same_at_the_same_place():
    def entity(name, start, kind, **changes):
        span = (start, start + len(name))
        made = {"span": span, "span_text": name, "prediction": Prediction(kind, 0.9, 1.0), "probabilities": None}
        return explanation("Paris met Berlin", target=kind, **made | changes)

    ours = collected(entity("Paris", 0, "PER"), entity("Berlin", 10, "LOC"))
    theirs = collected(entity("Berlin", 10, "LOC", model="large"))
    assert compare.match(ours.texts, theirs.texts) == [(1, 0)]
    answers = [
        collected(explanation("a b", span=(0, 1), span_text=words, prediction=Prediction(words, 0.5, 1.0)))
        for words in ("a", "b")
    ]
    assert compare.match(*(one.texts for one in answers)) == [(0, 0)]  # a text with two answers


def test_results_of_other_texts_are_refused():
    said = refusal(compare.add_other, collected(explanation("a")), collected(explanation("b")))
    assert said == "None of the texts is in both results; a text is the same if its id, its text and its pair are."


def test_how_much_moved_by_hand():
    """Text 1: film goes from 1/4 to -1/4. Text 2: shares do not depend on how large the scores are."""
    collection = both()
    assert compare.moved(collection, *collection.series.values()) == {0: 0.25, 1: 0.0}


def test_changes_of_words_by_hand():
    """film: 1/4, 1/4 in the first; -1/4, 1/4 in the second."""
    collection = both()
    keys = words.keys(collection)
    _, begins = words.ngrams(collection, keys, 1)
    found = [words.occurrences(collection, series, begins, 1) for series in collection.series.values()]
    changes = compare.word_changes(*found, len(keys.names))
    assert keys.names[:3] == ["good", "film", "bad"]
    assert changes.first.mean[:3].tolist() == [0.5, 0.25, -0.5]
    assert changes.second.mean[:3].tolist() == [0.5, 0.0, -0.5]
    assert changes.difference.mean[:3].tolist() == [0.0, -0.25, 0.0]
    assert changes.difference.texts.tolist() == [1, 2, 1, 0, 0]  # of the text that is in one alone, nothing
    assert changes.difference.spread[1] == pytest.approx(math.sqrt(2) * 0.25)


def test_a_text_without_a_finite_score_is_left_out_of_both():
    collection = collected(explanation("a b", (1, 1, 1, 1)), explanation("a b", (1, np.nan, 1, 1), target="negative"))
    keys = words.keys(collection)
    _, begins = words.ngrams(collection, keys, 1)
    found = [words.occurrences(collection, series, begins, 1) for series in collection.series.values()]
    assert compare.word_changes(*found, 2).first.texts.tolist() == [0, 0]


def test_the_page_has_both(tmp_path, capsys):
    for name, model in (("a", "tiny"), ("b", "large")):
        texts = [("good film", 1), ("bad film", 2)]
        made = [explanation(text, id=number, model=model).to_dict() for text, number in texts]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, made)), encoding="utf-8")
    assert main(["report", str(tmp_path / "a.jsonl"), "--compare", str(tmp_path / "b.jsonl")]) == 0
    data = data_of((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert data["about"]["model"] == "tiny"
    assert [method.get("model") for method in data["about"]["methods"]] == [None, "large"]
    assert data["other"]["model"] == "large"
    assert main(["report", str(tmp_path / "a.jsonl"), "--compare", str(tmp_path / "none.jsonl")]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_nothing_pulls_by_the_predictions_of_another_model():
    collection = first()
    collection.texts = [text._replace(label="negative") for text in collection.texts]
    compare.add_other(collection, second())
    data = data_of(save.page(collection, "word", collection.name_labels(True)))
    assert data["pulls"][0] is not None
    assert data["pulls"][1] is None
