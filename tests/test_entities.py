"""Entities and answers from logits: by hand, against a loop, and against transformers' pipeline."""

import itertools

import numpy as np
import pytest
from tolerances import METRIC

from autorel_jax.attribution.answers import best_answer
from autorel_jax.attribution.entities import entities

LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def found(tags, labels=LABELS, special=(), strength=2.0):
    """The (kind, tokens) of the entities where each token's highest logit is that of its tag."""
    logits = np.full((len(tags), len(labels)), -1.0)
    logits[np.arange(len(tags)), [labels.index(tag) for tag in tags]] = strength
    exponentials = np.exp(logits)
    marked = np.isin(np.arange(len(tags)), special)
    return entities(logits, exponentials / exponentials.sum(-1, keepdims=True), labels, marked)


def listed(tags, **options):
    return [(question.name, question.tokens.tolist()) for question in found(tags, **options)]


def test_entities_by_hand():
    assert listed(["O", "B-LOC", "I-LOC", "O"]) == [("LOC", [1, 2])]
    assert listed(["B-LOC", "B-LOC", "I-LOC"]) == [("LOC", [0]), ("LOC", [1, 2])]  # B- begins another
    assert listed(["I-LOC", "I-PER", "I-PER"]) == [("LOC", [0]), ("PER", [1, 2])]  # IOB1, which has no B- here
    assert listed(["B-PER", "I-LOC", "O", "I-LOC"]) == [("PER", [0]), ("LOC", [1]), ("LOC", [3])]
    assert listed(["O", "O"]) == []


@pytest.mark.parametrize(("last", "single"), ["ES", "LU"])
def test_labels_of_ends_and_of_single_tokens(last, single):
    labels = ("O", *(f"{start}-{kind}" for kind in ("LOC", "PER") for start in ("B", "I", last, single)))
    tags = ["B-LOC", "I-LOC", f"{last}-LOC", f"{single}-LOC", f"{single}-LOC", "I-LOC", f"{last}-PER", "O", "B-PER"]
    assert listed(tags, labels=labels) == [
        ("LOC", [0, 1, 2]),
        ("LOC", [3]),
        ("LOC", [4]),
        ("LOC", [5]),
        ("PER", [6]),
        ("PER", [8]),
    ]


def test_special_tokens_belong_to_no_entity():
    assert listed(["B-LOC", "I-LOC", "I-LOC"], special=(0, 2)) == [("LOC", [1])]


def test_labels_without_b_and_i():
    labels = ("noun", "verb", "O")
    assert listed(["noun", "noun", "verb", "O", "noun"], labels=labels) == [
        ("noun", [0, 1]),
        ("verb", [2]),
        ("noun", [4]),
    ]


def test_an_entity_is_the_mean_over_its_tokens():
    """Each token's own label weighs 1/n; probability and logit are means of the same."""
    (entity,) = found(["O", "B-LOC", "I-LOC"])
    np.testing.assert_array_equal(entity.weights, [[0, 0.5, 0, 0, 0], [0, 0, 0.5, 0, 0]])
    label, probability, logit = entity.predicted
    assert (label, logit) == ("LOC", 2.0)
    assert probability == pytest.approx(np.exp(2) / (np.exp(2) + 4 * np.exp(-1)), rel=METRIC)


@pytest.mark.parametrize("seed", range(20))
def test_the_best_answer_against_a_loop(seed):
    rng = np.random.default_rng(seed)
    logits, context, most = 2 * rng.standard_normal((9, 2)), np.arange(9) >= 4, int(rng.integers(1, 6))
    allowed = [0, *range(4, 9)]
    start, end = (np.exp(logits[:, side]) / np.exp(logits[allowed, side]).sum() for side in (0, 1))
    spans = [(s, e) for s, e in itertools.product(range(4, 9), repeat=2) if s <= e < s + most]
    best = max(spans, key=lambda span: start[span[0]] * end[span[1]])
    answer = best_answer(logits, context, most)
    assert (answer.first, answer.last) == best
    assert answer.score == pytest.approx(start[best[0]] * end[best[1]], rel=METRIC)
    assert answer.none == pytest.approx(start[0] * end[0], rel=METRIC)


def test_a_context_without_tokens_has_no_answer():
    assert best_answer(np.zeros((3, 2)), np.zeros(3, bool), 15) is None


@pytest.mark.parity
def test_entities_as_in_transformers():
    pipeline = pytest.importorskip("transformers.pipelines.token_classification")

    class Stub(pipeline.TokenClassificationPipeline):
        def __init__(self, labels):
            self.model = type("Model", (), {"config": type("Config", (), {"id2label": dict(enumerate(labels))})})
            self.tokenizer = type("Tokenizer", (), {"convert_tokens_to_string": staticmethod(" ".join)})

    rng = np.random.default_rng(0)
    for labels in (LABELS, ("O", "I-LOC", "I-PER"), ("noun", "verb", "O"), ("O", "B-a-b", "I-a-b", "S-a")):
        for _ in range(50):
            scores = rng.dirichlet(np.ones(len(labels)), 12)
            given = [
                {"scores": row, "index": i, "word": str(i), "start": i, "end": i + 1, "is_subword": False}
                for i, row in enumerate(scores)
            ]
            theirs = [e for e in Stub(labels).aggregate(given, pipeline.AggregationStrategy.SIMPLE)]
            theirs = [e for e in theirs if e["entity_group"] != "O"]
            ours = entities(np.log(scores), scores, labels, np.zeros(12, bool))
            assert [(q.name, q.tokens[0], q.tokens[-1] + 1) for q in ours] == [
                (e["entity_group"], e["start"], e["end"]) for e in theirs
            ]
            np.testing.assert_allclose([q.predicted[1] for q in ours], [e["score"] for e in theirs], rtol=1e-12)
