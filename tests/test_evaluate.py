"""Evaluating a classifier: the whole path against a slow reference, parts that are kept, refusals, the command."""

import dataclasses
import json

import numpy as np
import pytest
from models import random_params, refusal
from tolerances import BATCH, EVALUATED

import autorel_jax as ar
from autorel_jax.cli.main import main
from autorel_jax.data.row import Rejected, Row
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.faithfulness import run as run_module
from autorel_jax.faithfulness.cases import sampled
from autorel_jax.faithfulness.curves import STEPS
from autorel_jax.model.config import MULTI, REGRESSION

TEXTS = [
    "a good film",
    "bad",
    "not a good film, and not a bad one",
    "the actors are good",
    "never said anything funny, really",
    "the river is quiet and the garden is cold",
]
LABELS = ["positive", "negative", "neutral", "positive", "negative", "neutral"]
OPTIONS = {"methods": ["gradient_x_input"], "protocols": ["all"], "batch_size": 8, "resamples": 50}


@pytest.fixture(scope="module")
def evaluation(classifier):
    return ar.evaluate(classifier, TEXTS, labels=LABELS, **OPTIONS)


def number(evaluation, method, protocol, perturbation, measure):
    (row,) = (
        row
        for row in evaluation.record["results"]
        if (row["method"], row["protocol"], row["perturbation"], row["measure"])
        == (method, protocol, perturbation, measure)
    )
    return row


@pytest.mark.parametrize(("perturbation", "token"), [("mask", "mask_id"), ("unknown", "unk_id")])
def test_areas_against_a_slow_reference(classifier, evaluation, perturbation, token):
    """Text by text and step by step: words replaced in the text itself, and one forward pass for each."""
    areas = []
    for explanation in ar.explain(classifier, TEXTS, method="gradient_x_input"):
        target = explanation.logits.argmax()
        words = [place for place, span in enumerate(explanation.word_spans) if span]
        first = sorted(words, key=lambda place: -explanation.word_relevance[place])
        batch = classifier.batch([explanation.text])
        on_curve = []
        for step in STEPS:
            gone = set(first[: round(step * len(words))])
            off = np.array([word in gone for word in explanation.token_words])
            ids = np.where(off, getattr(classifier.tokenizer, token), batch.ids)
            logits = ar.predict(classifier, [ids[0]]).logits
            on_curve.append((len(gone) / len(words), classifier.probabilities(logits)[0, target]))
        x, y = zip(*on_curve, strict=True)
        areas.append(np.trapezoid(y, x))
    found = number(evaluation, "gradient_x_input", "curves", perturbation, "morf")
    assert found["over_texts"]["mean"] == pytest.approx(np.mean(areas), abs=EVALUATED)
    assert found["over_texts"]["n"] == len(TEXTS)


def test_what_is_reported(evaluation):
    record = evaluation.record
    assert list(record["methods"]) == ["gradient_x_input", "attnlrp", "random"]
    assert record["texts"] == record["rows_read"] == 6
    for row in record["results"]:
        assert ("minus_random" in row) == (row["method"] != "random")
        assert ("minus_default" in row) == (row["method"] != "attnlrp")
        mean = row["over_texts"]
        assert mean["n"] == 0 or mean["low"] <= mean["mean"] <= mean["high"]
    one, other = (number(evaluation, name, "eraser", "mask", "sufficiency") for name in ("attnlrp", "random"))
    difference = one["over_texts"]["mean"] - other["over_texts"]["mean"]
    assert one["minus_random"]["mean"] == pytest.approx(difference, abs=EVALUATED)
    assert number(evaluation, "random", "shapley", "mask", "shapley")["over_texts"]["n"] == 5  # of two words at least
    assert number(evaluation, "random", "naopc", "mask", "naopc_sufficiency")["over_texts"]["n"] == 5
    json.dumps(record, allow_nan=False)
    table = evaluation.table()
    assert "naopc, unknown, 5 texts" in table
    assert "comprehensiveness (higher is better)" in table


def test_texts_that_are_cut_off_are_counted(classifier):
    texts = ["a good film .", "the film is good , and the cast is good too , all of it ."]
    options = {"methods": ["random"], "protocols": ["curves"], "resamples": 10}
    cut = ar.evaluate(classifier, texts, max_length=8, **options)
    assert (cut.record["texts_cut"], ar.evaluate(classifier, texts, **options).record["texts_cut"]) == (1, 0)
    assert "2 texts (1 cut off at max_length), measured" in cut.table()


def test_naopc_is_between_its_bounds_up_to_ten_words(evaluation):
    for method in evaluation.record["methods"]:
        for name in ("naopc_comprehensiveness", "naopc_sufficiency"):
            mean = number(evaluation, method, "naopc", "mask", name)["over_texts"]
            assert 0 <= mean["low"] <= mean["high"] <= 1


def test_naopc_is_of_the_first_texts_of_few_words(classifier):
    texts = ["good", "a good film " * 9, "a good film", "a bad film", "the actors are good"]
    asked = {"methods": ["random"], "protocols": ["naopc"], "perturb": ["mask"], "resamples": 10}
    for most, n in ((1, 1), (2, 2), (200, 3)):
        made = ar.evaluate(classifier, texts, naopc_texts=most, **asked)
        assert number(made, "random", "naopc", "mask", "naopc_comprehensiveness")["over_texts"]["n"] == n
    assert "Numbers of two models cannot be compared, but those of naopc." in made.table()


def test_bounds_are_shared_by_methods_and_seeds(classifier, tmp_path):
    """Of twelve words: two beams, which read hundreds of parts; an order of one method reads thirteen, twice."""
    asked = {"protocols": ["naopc"], "perturb": ["mask"], "resamples": 10, "done": tmp_path / "done"}
    texts = ["the actors are good , and the film is not bad at all"]
    first = ar.evaluate(classifier, texts, methods=["random"], **asked)
    assert first.record["texts_computed"] > 200
    for change in ({"methods": ["random", "gradient_x_input"]}, {"methods": ["random"], "seed": 1}):
        again = ar.evaluate(classifier, texts, **asked | change)
        assert again.record["texts_computed"] <= 1 + 2 * 13 * 2, change


def test_methods_that_take_words_away_are_marked(classifier):
    made = ar.evaluate(classifier, TEXTS[2:4], methods=["occlusion"], protocols=["leave_one_out"], resamples=10)
    lines = made.table().splitlines()
    assert sum("  occlusion*  " in line for line in lines) == len(made.record["perturbations"])
    assert sum("*" in line for line in lines) == len(made.record["perturbations"]) + 1
    assert "* takes words away itself, which these protocols measure." in lines
    assert made.record["methods"]["occlusion"]["looks_at_deletions"]


def test_a_run_goes_on_from_what_was_found(classifier, evaluation, tmp_path, monkeypatch):
    """Stopped after a chunk, with a line cut short; then with more texts, methods and protocols."""
    done = tmp_path / "done"
    monkeypatch.setattr(run_module, "CHUNK", 2)

    def stop(finished, of):
        assert of == 6
        if finished == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ar.evaluate(classifier, TEXTS, labels=LABELS, done=done, progress=stop, **OPTIONS)
    lines = done.read_bytes()
    done.write_bytes(lines + lines[:20])
    whole = ar.evaluate(classifier, TEXTS, labels=LABELS, done=done, **OPTIONS)
    for row, expected in zip(whole.record["results"], evaluation.record["results"], strict=True):
        assert row["over_texts"]["n"] == expected["over_texts"]["n"]
        assert row["over_texts"]["mean"] == pytest.approx(expected["over_texts"]["mean"], abs=EVALUATED)
    assert whole.record["texts_computed"] < evaluation.record["texts_computed"]
    again = ar.evaluate(classifier, TEXTS, labels=LABELS, done=done, **OPTIONS)
    assert again.record["results"] == whole.record["results"]
    assert again.record["texts_computed"] == 6  # only what is predicted for the whole texts


def test_what_was_found_is_not_taken_for_something_else(classifier, tmp_path):
    done, asked = tmp_path / "done", {"methods": ["random"], "protocols": ["leave_one_out"], "perturb": ["mask"]}
    ar.evaluate(classifier, TEXTS[2:4], done=done, **asked)
    for change in ({"perturb": ["unknown"]}, {"units": "token"}, {"seed": 1}, {"methods": ["random:seed=1"]}):
        made = ar.evaluate(classifier, TEXTS[2:4], done=done, **asked | change)
        assert made.record["texts_computed"] > 2, change
    again = ar.evaluate(classifier, TEXTS[2:4], done=done, **asked)
    assert again.record["texts_computed"] == 2


def test_scores_by_word_are_not_taken_for_those_of_other_words(classifier, tmp_path):
    """Ids and units, which are tokens, are the same; what `occlusion:unit=word` takes away is not."""
    asked = {"methods": ["occlusion:unit=word"], "units": "token", "protocols": ["curves"], "resamples": 10}
    ar.evaluate(classifier, TEXTS[4:5], done=tmp_path / "done", **asked)
    apart = asked | {"split_punctuation": True}
    resumed = ar.evaluate(classifier, TEXTS[4:5], done=tmp_path / "done", **apart)
    assert resumed.record["results"] == ar.evaluate(classifier, TEXTS[4:5], **apart).record["results"]


def test_a_label_that_pandas_calls_missing_is_none(classifier):
    pandas = pytest.importorskip("pandas")
    asked = {"methods": ["random"], "protocols": ["word_deletion"], "perturb": ["mask"], "resamples": 10}
    for labels in (["positive", None, "negative"], [2, None, 0]):
        kind = "string" if isinstance(labels[0], str) else "Int64"
        made, expected = (
            ar.evaluate(classifier, TEXTS[:3], labels=given, **asked)
            for given in (pandas.Series(labels, dtype=kind), labels)
        )
        assert made.record["results"] == expected.record["results"]


def test_a_file_of_something_else_stays_as_it_is(classifier, tmp_path):
    for content in (b"precious", b"precious\n", b'{"key": 3}\n'):
        (tmp_path / "mine").write_bytes(content)
        said = refusal(ar.evaluate, classifier, TEXTS[:1], done=tmp_path / "mine", protocols=["leave_one_out"])
        assert "no file of finished parts" in said
        assert (tmp_path / "mine").read_bytes() == content


def test_scores_are_kept_batch_by_batch(classifier, tmp_path, monkeypatch):
    """A run that is stopped within a method loses a batch at the most."""
    answers, file = Explainer.answers, tmp_path / "parts.jsonl"

    def stopped(self, *args):
        found = answers(self, *args)
        yield from (next(found) for _ in range(2))
        raise KeyboardInterrupt

    asked = {"methods": ["attnlrp"], "protocols": ["leave_one_out"], "batch_size": 2, "done": file}
    with monkeypatch.context() as patch:
        patch.setattr(Explainer, "answers", stopped)
        with pytest.raises(KeyboardInterrupt):
            ar.evaluate(classifier, TEXTS, **asked)
    assert len(file.read_text().splitlines()) == 4
    found = ar.evaluate(classifier, TEXTS, **asked)
    assert found.record["results"] == ar.evaluate(classifier, TEXTS, **asked | {"done": None}).record["results"]


def test_a_larger_sample_holds_a_smaller_one():
    items = [Row(number, f"text {number}", None, None) for number in range(40)]
    items[7] = Rejected("file", 8, "broken")
    five, left_out, read = sampled(items, 5, 3)
    nine, _, _ = sampled(items, 9, 3)
    every, _, _ = sampled(items, None, 3)
    assert every[:9] == nine
    assert nine[:5] == five
    assert (len(every), left_out, read) == (39, [items[7]], 40)
    assert sampled(items, 5, 4)[0] != five


def test_a_masked_model_is_what_is_measured(classifier):
    """It reads the parts; scores and targets are those of the model itself."""
    asked = {"protocols": ["curves"], "perturb": ["mask"], "methods": ["random"], "resamples": 20}
    other = dataclasses.replace(classifier, params=random_params(classifier.config, seed=3, scale=0.3))
    masked = ar.evaluate(classifier, TEXTS, masked_model=other, **asked)
    agreement = masked.record["masked_model"]
    theirs = other.logits(other.batch(TEXTS))
    own = classifier.logits(classifier.batch(TEXTS))
    each, targets = np.arange(len(TEXTS)), own.argmax(axis=1)
    assert agreement["same_prediction"]["mean"] == pytest.approx((theirs.argmax(axis=1) == targets).mean())
    change = classifier.probabilities(own)[each, targets] - classifier.probabilities(theirs)[each, targets]
    assert agreement["probability_change"]["mean"] == pytest.approx(np.abs(change).mean(), rel=BATCH)
    config = dataclasses.replace(classifier.config, problem_type=MULTI)
    several, their_several = (dataclasses.replace(one, config=config) for one in (classifier, other))
    same = ((own >= 0) == (theirs >= 0)).all(axis=1).mean()  # by the set of labels, not by the highest logit
    assert same != agreement["same_prediction"]["mean"]
    regression = dataclasses.replace(classifier, config=dataclasses.replace(config, problem_type=REGRESSION))
    assert "without labels to decide for" in refusal(regression.decisions, own)
    found = ar.evaluate(several, TEXTS, masked_model=their_several, **asked)
    assert found.record["masked_model"]["same_prediction"]["mean"] == pytest.approx(same)
    right = ar.evaluate(
        classifier,
        TEXTS,
        masked_model=other,
        labels=own.argmax(axis=1).tolist(),
        **asked | {"protocols": ["word_deletion"]},
    )
    (curve,) = (c["mean"] for c in right.record["curves"] if c["method"] == "attnlrp")
    assert 0 <= min(curve) <= max(curve) <= 1
    gone = ar.predict(
        other,
        [
            np.where(row, classifier.tokenizer.mask_id, ids)[mask == 1]
            for row, ids, mask in everything_masked(classifier)
        ],
    )
    agreed = theirs.argmax(axis=1) == targets
    assert 0 < agreed.sum() < len(TEXTS)  # of the others, no word makes the masked model wrong
    hits = gone.logits.argmax(axis=1) == targets
    assert curve[-1] == pytest.approx(hits[agreed].mean())  # no text has more than ten words
    for curve in masked.record["curves"]:
        assert curve["n"] == len(TEXTS)
        for low, mean, high in zip(*(curve[name] for name in ("low", "mean", "high")), strict=True):
            assert low <= mean + EVALUATED
            assert mean <= high + EVALUATED
    start = next(c for c in masked.record["curves"] if c["curve"] == "morf" and c["method"] == "random")["mean"][0]
    assert start == pytest.approx(classifier.probabilities(theirs)[each, targets].mean(), rel=BATCH)


def everything_masked(classifier):
    """Of each text which tokens are words, the ids, and the mask."""
    batch, rows = classifier.batch(TEXTS), classifier.tokens(TEXTS)
    length = batch.ids.shape[1]
    inside = [[span is not None for span in row.spans] + [False] * (length - len(row.spans)) for row in rows]
    return zip(np.array(inside), batch.ids, batch.mask, strict=True)


def test_predict_is_the_classifiers_own(classifier):
    batch = classifier.batch(TEXTS)
    ids = [row[mask == 1] for row, mask in zip(batch.ids, batch.mask, strict=True)]
    found = ar.predict(classifier, ids, batch_size=4)
    np.testing.assert_allclose(found.logits, classifier.logits(batch), rtol=BATCH, atol=BATCH)
    np.testing.assert_allclose(found.probabilities, classifier.probabilities(found.logits))
    assert "token ids" in refusal(ar.predict, classifier, [[3, 10**6]])
    assert "ids[0] has 0 tokens" in refusal(ar.predict, classifier, [[]])
    assert "2 rows of ids but 1 of types" in refusal(ar.predict, classifier, [[3], [3]], [[0]])
    assert ar.predict(classifier, []).logits.shape == (0, 3)


def test_refusals(classifier):
    def said(**options):
        return refusal(ar.evaluate, classifier, TEXTS, **options)

    assert "accepted: curves" in said(protocols=["aopc"])
    assert "accepted: mask, unknown, pad, deletion" in said(perturb=["zero"])
    assert "expected a list of names" in said(protocols="curves")
    assert "needs one true label for each text" in said(protocols=["word_deletion"])
    assert "Unknown method 'lrp'" in said(methods=["lrp"])
    assert "no parameter 'step'" in said(methods=["integrated_gradients:step=3"])
    assert "is there twice" in said(methods=["attnlrp", "attnlrp"])
    other = ar.COMPOSITES["cp_lrp"].derive("attnlrp")
    assert "attnlrp is what others are compared with, but another is given" in said(methods=[other])
    assert "Unknown option texts_per_batch" in said(texts_per_batch=3)
    assert "needs the words that people marked" in said(protocols=["people"])
    assert "not done in windows" in said(protocols=["curves"], long="windows")
    assert "leaves no protocol" in said(long="windows")
    assert "needs a copy of each text" in said(protocols=["counterfactual"])
    assert "6 texts but 1 marks" in said(marks=[[1]])
    assert "has no word" in refusal(ar.evaluate, classifier, [" "])


def test_the_command(model_folder, tmp_path, capsys):
    data, output = tmp_path / "data.tsv", tmp_path / "out.json"
    rows = [f"{text}\t{label}" for text, label in zip(TEXTS, LABELS, strict=True)]
    data.write_text("\n".join(["text\tlabel", *rows, "good\tunheard", ""]))
    command = ["evaluate", str(data), "--model", str(model_folder), "--label-column", "label", "-o", str(output)]
    command += ["--methods", "random", "--protocols", "curves,word_deletion", "--perturb", "mask,deletion"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    record = json.loads(output.read_text())
    assert (record["texts"], record["left_out"]["rows"]) == (6, 1)
    assert "rows left out: 1; the first, line 8: Unknown label 'unheard'" in err
    assert "curves, deletion, 6 texts" in out
    assert main(["curves" if word == "curves,word_deletion" else word for word in command]) == 0
    err = capsys.readouterr().err
    assert "left out" not in err  # where labels are not read, none is wrong
    assert "--label-column label: none of the protocols curves reads labels" in err
    assert main([*command, "--masked-model", str(model_folder)]) == 0
    assert "it predicts the same for 100.0% of the texts" in capsys.readouterr().out
    assert main([*command, "--limit", "3"]) == 0
    assert "goes on from" in capsys.readouterr().err
    assert json.loads(output.read_text())["texts"] == 3


def test_a_changed_copy_that_is_no_text_leaves_its_row_out(model_folder, tmp_path, capsys):
    """A number is most likely of another column; a row without a copy stays, and is no pair."""
    data, output = tmp_path / "data.jsonl", tmp_path / "out.json"
    copies = ["bad film", 5, None, "", {"a": 1}]
    data.write_text("\n".join(json.dumps({"text": "good film", "copy": copy}) for copy in copies))
    command = ["evaluate", str(data), "--model", str(model_folder), "--changed-column", "copy", "-o", str(output)]
    assert main([*command, "--methods", "attnlrp", "--protocols", "counterfactual"]) == 0
    record = json.loads(output.read_text())
    assert (record["texts"], record["left_out"]["rows"]) == (3, 2)
    assert "left out: 2; the first, line 2: the changed copy is 5 (int); expected a text, its words, or nothing." in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["-o", "out.csv"], "results are a .json file"),
        (["--protocols", "word_deletion"], "needs one true label"),
        (["--perturb", ""], "perturb is empty"),
        (["--limit", "0"], "at least 1"),
        (["--plot", "out.png", "--protocols", "eraser"], "of the protocols curves, au_mse, word_deletion have some"),
        (["--keep-columns", "a"], "no rows are written"),
    ],
)
def test_the_command_refuses_in_one_line(more, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").write_text("a good film\n")
    assert main(["evaluate", "data.txt", *more]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_plot(evaluation, tmp_path):
    pytest.importorskip("matplotlib")
    evaluation.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "accepted: " in refusal(evaluation.plot, tmp_path / "curves.csv")
