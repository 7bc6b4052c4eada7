"""Zero-shot: labels in words, by a model of natural language inference."""

import dataclasses
import itertools

import numpy as np
import pytest
from models import refusal, write_model
from tolerances import PARITY_FLOAT32, SAME_TEXT

import autorel_jax as ar
from autorel_jax.cli.explain import main
from autorel_jax.evaluation.collection import Collection
from autorel_jax.report import view
from autorel_jax.report.explanation import Prediction

LABELS, TEXTS = ("good", "bad", "witty"), ["the good film, a witty one.", "the film"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "nli", labels=("contradiction", "neutral", "entailment"))
    write_model(folder / "sentiment", labels=("negative", "positive"))
    return folder


@pytest.fixture(scope="module")
def nli(folder):
    return ar.load(folder / "nli")


@pytest.fixture(scope="module")
def found(nli):
    return ar.explain(nli, TEXTS, zero_shot=LABELS, hypothesis="a {} film")


def test_one_explanation_for_each_text_and_label(nli, found):
    assert [(one.id, one.target) for one in found] == [(text, label) for text in (1, 2) for label in LABELS]
    for one in found:
        (pair,) = ar.explain(nli, one.text, f"a {one.target} film", target="entailment")
        assert one.text_pair == pair.text_pair
        np.testing.assert_allclose(one.token_relevance, pair.token_relevance, rtol=0, atol=SAME_TEXT * 10)
        np.testing.assert_allclose(one.target_value, pair.target_value, rtol=0, atol=SAME_TEXT * 10)


def test_probabilities_are_of_the_labels(nli, found):
    logits = nli.logits(nli.batch([TEXTS[0]] * 3, [f"a {label} film" for label in LABELS]))
    expected = np.exp(logits[:, 2]) / np.exp(logits[:, 2]).sum()
    for one in found[:3]:
        np.testing.assert_allclose(one.probabilities, expected, rtol=0, atol=1e-6)
        np.testing.assert_allclose(one.logits, logits[:, 2], rtol=0, atol=1e-6)
        best = expected.argmax()
        assert one.prediction.label == LABELS[best]
        assert one.prediction.probability == pytest.approx(expected[best], abs=1e-6)
    several = ar.explain(nli, TEXTS[0], zero_shot=LABELS, hypothesis="a {} film", multi_label=True)
    expected = np.exp(logits[:, 2]) / (np.exp(logits[:, 2]) + np.exp(logits[:, 0]))
    np.testing.assert_allclose(several[0].probabilities, expected, rtol=0, atol=1e-6)


def test_a_hypothesis_is_never_cut(nli):
    text, hypothesis = "the good film, a witty one.", "a {} film"
    ours = ar.explain(nli, text, zero_shot=["good"], hypothesis=hypothesis, max_length=9)[0]
    assert ours.words == ("[CLS]", "the", "good", "film,", "[SEP]", "a", "good", "film", "[SEP]")
    assert ours.truncated_tokens == 9
    said = refusal(ar.explain, nli, text, zero_shot=["good"], hypothesis=hypothesis, max_length=6)
    assert "nothing is left of the first one" in said


def test_one_label_is_no_score(nli):
    one = ar.explain(nli, TEXTS[0], zero_shot=["good"])[0]
    assert view.decision(one) == ("good", view.percent(one.prediction.probability))
    assert view.sides(one) == ("for the target", "against it")


def test_a_collection_names_the_predicted_label(nli):
    """Where each label has a probability of its own, the likeliest need not have the highest logit."""
    (one,) = ar.explain(nli, TEXTS[0], zero_shot=["good"])
    made = dataclasses.replace(
        one,
        logits=np.array([2.0, 1.0], np.float32),
        probabilities=np.array([0.4, 0.7]),
        prediction=Prediction("witty", 0.7, 1.0),
    )
    collection = Collection()
    collection.add(made.to_dict(), None)
    assert collection.names == {1: "witty"}


def test_what_is_refused(folder, nli):
    assert "a model of natural language inference" in refusal(
        ar.explain, ar.load(folder / "sentiment"), "good", zero_shot=["good"]
    )
    assert "one {}" in refusal(ar.explain, nli, "good", zero_shot=["good"], hypothesis="it is good")
    assert "twice" in refusal(ar.explain, nli, "good", zero_shot=["good", "good"])
    assert "a list of labels" in refusal(ar.explain, nli, "good", zero_shot="good")
    assert "are of zero_shot" in refusal(ar.explain, nli, "good", multi_label=True)
    assert refusal(ar.explain, nli, "good", "bad", zero_shot=["good"]).startswith("Text 1: It is a pair of texts")
    assert "whose targets are its labels" in refusal(ar.explain, nli, "good", zero_shot=["good"], target="neutral")
    assert "long='truncate'" in refusal(ar.explain, nli, "good", zero_shot=["good"], long="windows")


def test_a_file(folder, tmp_path):
    (tmp_path / "in.csv").write_text("text\n" + "\n".join(f'"{text}"' for text in TEXTS))
    output = tmp_path / "out.parquet"
    flags = ["--zero-shot", "good,bad,witty", "--hypothesis", "a {} film", "--output", str(output)]
    assert main([str(tmp_path / "in.csv"), "--model", str(folder / "nli"), *flags]) == 0
    records = list(ar.read_results(output))
    assert [(record["id"], record["target"]) for record in records] == [(i, label) for i in (1, 2) for label in LABELS]
    assert len({record["prediction"]["label"] for record in records[:3]}) == 1


@pytest.mark.parity
def test_as_in_transformers(folder, nli):
    transformers = pytest.importorskip("transformers")
    pipeline = transformers.pipeline("zero-shot-classification", model=str(folder / "nli"), device="cpu")
    long = f"{TEXTS[0]} " * 40  # the text is cut, and the hypothesis is not
    for text, multi_label in itertools.product((TEXTS[0], long), (False, True)):
        for labels in (list(LABELS), ["good"]):
            theirs = pipeline(text, labels, multi_label=multi_label)
            ours = ar.explain(nli, text, zero_shot=labels, multi_label=multi_label)
            assert (ours[0].truncated_tokens > 0) == (text == long)
            expected = dict(zip(theirs["labels"], theirs["scores"], strict=True))
            np.testing.assert_allclose(
                ours[0].probabilities, [expected[label] for label in labels], rtol=0, atol=PARITY_FLOAT32
            )
            assert ours[0].prediction.label == theirs["labels"][0]
