"""Targets that are functions of the logits: log-probabilities, the margin, and any function of a user's."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models import refusal, write_model
from tolerances import BATCH, LEDGER_FLOAT32

import autorel_jax as ar
from autorel_jax.attribution.scores import token_scores
from autorel_jax.cli.explain import main
from autorel_jax.model.config import MULTI

TEXTS = ["a good film", "bad", "not a good film, and not a bad one"]


@pytest.fixture(scope="module")
def every(classifier):
    """For each text, its explanations of all labels."""
    found = ar.explain(classifier, TEXTS, target="all")
    return [found[3 * place : 3 * place + 3] for place in range(len(TEXTS))]


def close(found, expected, every):
    """Whether scores are equal, to what float32 leaves of the largest score."""
    largest = max(np.abs(e.token_relevance).max() for labels in every for e in labels)
    assert np.abs(found - expected).max() <= BATCH * largest


def logits_of(labels):
    return np.array([e.target_value for e in labels], np.float64)


@pytest.mark.parametrize("label", ["positive", 0])
def test_a_log_probability_is_its_logit_less_the_expected_one(classifier, every, label):
    """∂ log p_y / ∂ z_k = [k = y] - p_k, and multipliers are linear in what arrives."""
    found = ar.explain(classifier, TEXTS, target=f"log_probability:{label}")
    index = classifier.label_id(label)
    for e, labels in zip(found, every, strict=True):
        logits = logits_of(labels)
        probabilities = np.exp(logits) / np.exp(logits).sum()
        expected = sum(p * one.token_relevance for p, one in zip(probabilities, labels, strict=True))
        close(e.token_relevance, labels[index].token_relevance - expected, every)
        assert e.target == f"log_probability:{classifier.config.labels[index]}"
        assert e.target_value == pytest.approx(np.log(probabilities[index]), rel=BATCH)
        assert not any("negative" in warning for warning in e.warnings)


def test_log_probabilities_of_predicted_given_and_all(classifier):
    options = {"labels": ["positive", "negative", "neutral"]}
    predicted = ar.explain(classifier, TEXTS, target="log_probability:predicted")
    given = ar.explain(classifier, TEXTS, target="log_probability:given", **options)
    together = ar.explain(classifier, TEXTS, target="log_probability:all")
    for place, (best, own) in enumerate(zip(predicted, given, strict=True)):
        labels = {e.target: e for e in together[3 * place : 3 * place + 3]}
        assert sum(np.exp(e.target_value) for e in labels.values()) == pytest.approx(1, rel=BATCH)
        assert best.target == f"log_probability:{best.prediction.label}"
        assert best.target_value == pytest.approx(np.log(best.prediction.probability), rel=BATCH)
        assert own.target == f"log_probability:{options['labels'][place]}"
        for one in (best, own):
            close(one.token_relevance, labels[one.target].token_relevance, [together])


@pytest.mark.slow
def test_a_multi_label_probability_is_a_sigmoid(tmp_path):
    write_model(tmp_path / "model", problem_type=MULTI)
    classifier = ar.load(tmp_path / "model")
    (logit,) = ar.explain(classifier, "a good film", target="positive")
    (found,) = ar.explain(classifier, "a good film", target="log_probability:positive")
    probability = 1 / (1 + np.exp(-logit.target_value))
    assert found.target_value == pytest.approx(np.log(probability), rel=BATCH)
    close(found.token_relevance, (1 - probability) * logit.token_relevance, [[logit]])


def test_a_margin_is_the_contrast_with_the_runner_up(classifier, every):
    for e, labels in zip(ar.explain(classifier, TEXTS, target="margin"), every, strict=True):
        first, second = (labels[place] for place in np.argsort(-logits_of(labels))[:2])
        close(e.token_relevance, first.token_relevance - second.token_relevance, every)
        assert e.target_value == pytest.approx(first.target_value - second.target_value, rel=BATCH)
        assert e.target == "margin"


def spread(logits):
    return logits[2] - 0.5 * logits[0] - 0.5 * logits[1]


def product(logits):
    return logits[0] * logits[1]


def test_any_function_of_the_logits(classifier, every):
    for e, labels in zip(ar.explain(classifier, TEXTS, target=spread), every, strict=True):
        expected = labels[2].token_relevance - 0.5 * (labels[0].token_relevance + labels[1].token_relevance)
        close(e.token_relevance, expected, every)
        assert e.target == "spread"
    for e, labels in zip(ar.explain(classifier, TEXTS, target=product), every, strict=True):
        a, b = labels[:2]
        expected = b.target_value * a.token_relevance + a.target_value * b.token_relevance
        close(e.token_relevance, expected, every)
        assert e.target_value == pytest.approx(a.target_value * b.target_value, rel=BATCH)


def test_its_ledger_closes(classifier):
    """What the function has beside Σ logit · ∂value/∂logit: for a log-probability the negative entropy."""
    found = ar.explain(classifier, TEXTS, target="log_probability:all", audit=True)
    for e in found:
        assert abs(e.ledger.rounding) <= LEDGER_FLOAT32 * np.abs(e.ledger.items).sum()
    for start in range(0, len(found), 3):
        labels = found[start : start + 3]
        entropy = -sum(np.exp(e.target_value) * e.target_value for e in labels)
        assert [e.ledger.function for e in labels] == pytest.approx([-entropy] * 3, rel=BATCH)


def test_the_same_function_does_not_recompile(classifier):
    ar.explain(classifier, TEXTS, target=spread)
    before = token_scores._cache_size()
    ar.explain(classifier, TEXTS[::-1], target=spread)
    assert token_scores._cache_size() == before


@pytest.mark.slow
def test_the_original_rules_start_from_logit_times_gradient(classifier):
    """R = logit ∂value/∂logit for each label, as for a contrast."""
    contrast = ar.explain(classifier, TEXTS, target=("positive", "negative"), method="bert_lrp")
    function = ar.explain(classifier, TEXTS, target=lambda logits: logits[2] - logits[0], method="bert_lrp")
    for a, b in zip(function, contrast, strict=True):
        close(a.token_relevance, b.token_relevance, [contrast])
        assert a.target == "<lambda>"


def two(logits):
    return logits[:2]


def fails(logits):
    raise KeyError("nothing here")


class Unhashable:
    __hash__ = None

    def __call__(self, logits):
        return logits[0]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("log_probability:happy", "Unknown label 'happy'"),
        ("log_probability:", "Unknown label ''"),
        ("log_probability:margin", "has no label after 'log_probability:'"),
        ("log_probability:log_probability:positive", "has no label after 'log_probability:'"),
        (two, "The target two must give a number for logits [3]; it gives"),
        (jnp.argmax, "must give a number for logits [3]; it gives"),
        (fails, "The target fails fails for logits [3]: KeyError: 'nothing here'."),
        (Unhashable(), "The target Unhashable is a function without a hash"),
        (None, "two labels or a function of the logits."),
    ],
)
def test_bad_targets_are_refused(classifier, target, said):
    assert said in refusal(ar.explain, classifier, ["a"], target=target)


def test_a_regression_has_neither_probability_nor_margin(tmp_path):
    write_model(tmp_path / "model", labels=("score",))
    classifier = ar.load(tmp_path / "model")
    assert "needs probabilities, which a regression does not have" in refusal(
        ar.explain, classifier, ["a"], target="log_probability:score"
    )
    assert "needs two labels at least" in refusal(ar.explain, classifier, ["a"], target="margin")
    (found,) = ar.explain(classifier, ["a"], target=lambda logits: jax.numpy.square(logits[0]))
    assert found.target_value == pytest.approx(found.prediction.logit**2, rel=BATCH)


def test_the_command(model_folder, tmp_path, capsys):
    for target in ("log_probability:all", "margin"):
        arguments = ["a good film", "--target", target, "--model", str(model_folder)]
        assert main([*arguments, "--output", str(tmp_path / "out.jsonl")]) == 0
        lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert (
            [line["target"].partition(":")[0] for line in lines] == ["margin"]
            if target == "margin"
            else ["log_probability"] * 3
        )
    capsys.readouterr()
