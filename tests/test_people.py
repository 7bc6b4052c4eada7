"""Agreement with what people marked: measures by hand and against scikit-learn, marks of words, ERASER's layout."""

import dataclasses
import json

import numpy as np
import pytest
from models import refusal
from tolerances import FAITHFULNESS

import autorel_jax as ar
from autorel_jax.cli.main import main
from autorel_jax.data.eraser import eraser_rows
from autorel_jax.faithfulness.curves import Scored
from autorel_jax.faithfulness.people import auprc, iou_f1, marks_of, people, spans
from autorel_jax.text import words

DRAWS = np.linspace(0, 1, 10)
MARKED = np.array([0, 1, 1, 0, 0, 0, 1, 0, 0, 0], float)
SCORES = np.array([0.1, 0.9, 0.8, 0.7, -1, 0, 0.2, -0.5, 0, 0.05])


def found(scores=SCORES, marks=MARKED, share=0.3):
    measurement = people(Scored(scores, DRAWS[: len(scores)], marks=marks, share=share))
    with pytest.raises(StopIteration) as end:
        next(measurement)
    return end.value.value


def test_by_hand():
    """The three highest are words 1 to 3; of that stretch two words are those of (1, 3), and none of (6, 7)."""
    got = found()
    assert got["token_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert got["iou_f1"] == pytest.approx(2 * 1 / (1 + 2))
    assert spans(MARKED == 1) == [(1, 3), (6, 7)]
    assert iou_f1(MARKED == 1, MARKED == 1) == 1
    assert iou_f1(np.arange(10) < 5, MARKED == 1) == 0  # 2 of 5


def test_auprc_is_erasers():
    """That of its program: scikit-learn's curve, and the area under straight lines."""
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    for scores in (SCORES, np.round(rng.random(40), 1), rng.random(40), np.zeros(40)):
        marked = rng.random(len(scores)) < 0.4
        precision, recall, _ = metrics.precision_recall_curve(marked, scores)
        assert auprc(scores, marked) == pytest.approx(metrics.auc(recall, precision), abs=FAITHFULNESS)


def test_marks_themselves_agree_best_and_their_opposite_worst():
    assert found(MARKED) == {"token_f1": 1, "iou_f1": 1, "auprc": 1}
    worst = found(-MARKED)
    assert (worst["token_f1"], worst["iou_f1"]) == (0, 0)
    assert found(marks=None) == {}


def test_units_of_which_nobody_was_asked_have_no_part():
    more = np.concatenate([MARKED, [np.nan, np.nan]])
    got = people(Scored(np.concatenate([SCORES, [9, 9]]), np.linspace(0, 1, 12), marks=more, share=0.3))
    with pytest.raises(StopIteration) as end:
        next(got)
    assert end.value.value == found()


def test_marks_of_words(classifier):
    """Of "xyz", three pieces, and of a word without any; by majority of several people."""
    texts = [["a", "xyz", "\u200b", "film"], ["bad"]]
    tokens = classifier.tokens(texts)
    marks = [0, 1, 1, 0]
    by_word, by_token = (words.units(tokens[0], one) for one in (True, False))
    assert marks_of(marks, tokens[0], by_word, 4).tolist() == [0, 1, 0]
    assert marks_of(marks, tokens[0], by_token, 4).tolist() == [0, 1, 1, 1, 0]
    assert marks_of([marks, [0, 0, 0, 1], [0, 0, 0, 1]], tokens[0], by_word, 4).tolist() == [0, 0, 1]
    assert marks_of([[1, 0, 0, 0], [0, 1, 1, 0]], tokens[0], by_word, 4).tolist() == [1, 1, 0]  # half is enough
    assert marks_of([0, 0, 0, 0], tokens[0], by_word, 4) is None
    assert marks_of([1, 1, 1, 1], tokens[0], by_word, 4) is None
    assert marks_of(None, tokens[0], by_word, 4) is None
    for value in ([0, 1, 2, 0], "0100", [[0, 1], [0]], 3, [None] * 4, {"a": 1}):
        assert "expected 0 or 1 for each word" in refusal(marks_of, value, tokens[0], by_word, 4)
    assert "marks for 3 words, but the text has 4" in refusal(marks_of, [0, 1, 0], tokens[0], by_word, 4)


def test_marks_of_a_text_that_is_cut_off_and_of_a_pair(classifier):
    (cut,) = classifier.tokens(["a good film and a bad one"], max_length=5)
    marks = [0, 1, 0, 0, 1, 1, 0]
    assert marks_of(marks, cut, words.units(cut, True), 7).tolist() == [0, 1, 0]
    cut = dataclasses.replace(cut, truncation_side="left")
    assert marks_of(marks, cut, words.units(cut, True), 7).tolist() == [1, 1, 0]
    assert "marks for 7 words, but the text has 8" in refusal(marks_of, marks, cut, words.units(cut, True), 8)
    (pair,) = classifier.tokens(["a good film"], ["it is bad"])
    np.testing.assert_array_equal(
        marks_of([0, 1, 0], pair, words.units(pair, True), 3), [0, 1, 0, np.nan, np.nan, np.nan]
    )


def test_marks_fit_the_whole_of_a_text_that_is_cut_off(classifier):
    """Marks made for other words would fall on the wrong ones: there are as many as words before the cut."""
    text = "a good film, not very dull. " * 4
    asked = {"methods": ["random"], "protocols": ["people"], "max_length": 8, "resamples": 10}
    fitting, other = [0, 1, 0, 0, 0, 1] * 4, [0, 1, 0, 0, 0, 0, 1, 0] * 4
    found = ar.evaluate(classifier, [text, text], marks=[fitting, other], **asked).record["left_out"]
    assert found["rows"] == 1
    assert "marks for 32 words, but the text has 24" in found["first"][0]["reason"]


LONG = " ".join(["the", "actors", "are", "good"] * 25)


def test_long_texts_in_windows(classifier):
    """Every word has a score there, and takes part."""
    marks = [[1, 0, 0, 0] * 25, [0, 1]]
    asked = {"methods": ["random"], "protocols": ["people"], "marks": marks, "resamples": 10}
    whole = ar.evaluate(classifier, [LONG, "bad film"], long="windows", **asked)
    (auprc_of_random,) = (
        row for row in whole.record["results"] if (row["measure"], row["method"]) == ("auprc", "random")
    )
    assert auprc_of_random["over_texts"]["n"] == 2
    assert auprc_of_random["perturbation"] == "none"
    each = []
    for explanation, of_text in zip(
        ar.explain(classifier, [LONG, "bad film"], method="random", long="windows"), marks, strict=True
    ):
        scores = [score for score, span in zip(explanation.word_relevance, explanation.word_spans, strict=True) if span]
        each.append(auprc(np.array(scores, float), np.array(of_text) == 1))
    assert auprc_of_random["over_texts"]["mean"] == pytest.approx(np.mean(each), abs=FAITHFULNESS)


def test_how_methods_agree_with_each_other(classifier):
    texts = ["a good film", "bad", "the actors are not good"]
    made = ar.evaluate(classifier, texts, methods=["attnlrp"], protocols=["leave_one_out"])
    (between,) = made.record["between_methods"]
    assert (between["methods"], between["n"]) == (["attnlrp", "random"], 2)  # one word has no rank
    texts = [texts[0], texts[2]]
    scores = [
        [one.word_relevance[1:-1] for one in ar.explain(classifier, texts, method=name)] for name in between["methods"]
    ]
    ranks = [[np.argsort(np.argsort(one)) for one in of_method] for of_method in scores]
    expected = [np.corrcoef(*both)[0, 1] for both in zip(*ranks, strict=True)]
    assert between["mean"] == pytest.approx(np.mean(expected), abs=FAITHFULNESS)


def test_erasers_words_are_between_spaces(tmp_path):
    """A no-break space is in a word there; evidence of other words than its text leaves the row out."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "one").write_text(
        "the\u00a0film ,\n  a\u3000fine one\u0085with great  actors \n", encoding="utf-8"
    )
    evidence = {"docid": "one", "start_token": 4, "end_token": 6, "text": "great actors"}
    lines = [
        {"annotation_id": number, "evidences": [[evidence | change]]}
        for number, change in enumerate(({}, {"text": "one great"}, {"start_token": 5, "text": "actors"}))
    ]
    (tmp_path / "val.jsonl").write_text("\n".join(map(json.dumps, lines)))
    first, rejected, last = eraser_rows(tmp_path / "val.jsonl")
    assert first.text == ["the\u00a0film", ",", "a\u3000fine", "one\u0085with", "great", "actors"]
    assert (first.kept, last.kept) == (([0, 0, 0, 0, 1, 1],), ([0, 0, 0, 0, 0, 1],))
    assert "its words 4 to 6 are 'great actors', not 'one great'" in rejected.reason


def test_a_folder_of_erasers_layout(model_folder, tmp_path, capsys):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "one").write_text("a good film\nand a quiet end\n")
    record = {
        "annotation_id": "1",
        "classification": "POS",
        "query": "is it good ?",
        "evidences": [[{"docid": "one", "start_token": 1, "end_token": 3}]],
    }
    broken = record | {"evidences": [[{"docid": "one", "start_token": 6, "end_token": 9}]]}
    (tmp_path / "val.jsonl").write_text("\n".join(map(json.dumps, [record, broken, {}])))
    command = ["evaluate", str(tmp_path / "val.jsonl"), "--format", "eraser", "--model", str(model_folder)]
    assert (
        main([*command, "--protocols", "au_mse", "--methods", "random"]) == 0
    )  # the layout brings marks; none are read
    command += ["--methods", "random", "--protocols", "people", "-o", str(tmp_path / "out.json")]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert "people, 1 texts: agreement with words that people marked" in captured.out
    assert "the words 6 to 9 are not in a document of 7" in captured.err
    assert json.loads((tmp_path / "out.json").read_text())["left_out"]["rows"] == 2
    assert main([*command, "--text-column", "text"]) == 2
    assert "the layout says what is where" in capsys.readouterr().err


def test_a_column_of_marks(model_folder, tmp_path, capsys):
    rows = [{"tokens": ["a", "good", "film"], "maps": [[0, 1, 0], [0, 1, 1]]}, {"tokens": ["bad"], "maps": [[1, 0]]}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = ["evaluate", str(tmp_path / "rows.jsonl"), "--text-column", "tokens", "--marks-column", "maps"]
    assert main([*command, "--model", str(model_folder), "--methods", "random", "--protocols", "people"]) == 0
    captured = capsys.readouterr()
    assert "rows left out: 1" in captured.err
    assert "there are marks for 2 words, but the text has 1" in captured.err
    assert "people, 1 texts" in captured.out
