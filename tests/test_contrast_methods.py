"""Contrast-CAT against a second model in NumPy, float64: loops over tokens, gradients by central differences."""

from argparse import Namespace

import jax
import numpy as np
import oracles
import pytest
from measures import relative_error
from models import random_params, refusal, tiny_config
from questions import CONFIG, IDS, LENGTHS, REFERENCES, TYPES, exact, rows
from tolerances import BATCH, CENTRAL, METHOD_EXACT

import autorel_jax as ar
from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.methods import METHODS
from autorel_jax.attribution.methods.contrast import held_by_layers
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.cli.method_flags import read_references
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.references import chosen

METHOD = METHODS["contrast_cat"]
STEP = 1e-5  # of central differences
FILMS = ["a good film", "bad", "not a good film, and not a bad one", "a film, and not a good one"]
EVERY = {"below": 1.0}  # the tiny model is sure of nothing


def linear(x, own):
    return x @ own["kernel"] + own["bias"]


def layer_norm(x, own):
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + CONFIG.layer_norm_eps)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation * own["scale"] + own["bias"]


def gelu(x):
    return np.vectorize(lambda one: one * oracles.normal_cdf(one))(x)


def layer(x, own):
    """The output [T, D] of a layer, and the attention that each token gets [T]."""
    heads, tokens = CONFIG.num_attention_heads, len(x)
    query, key, value = (linear(x, own[name]).reshape(tokens, heads, -1) for name in ("query", "key", "value"))
    context, got = np.zeros_like(value), np.zeros(tokens)
    for h in range(heads):
        for t in range(tokens):
            scores = np.exp(key[:, h] @ query[t, h] / np.sqrt(key.shape[-1]))
            weights = scores / scores.sum()
            context[t, h] = weights @ value[:, h]
            got += weights / (heads * tokens)
    x = layer_norm(x + linear(context.reshape(x.shape), own["attention_output"]), own["attention_norm"])
    return layer_norm(x + linear(gelu(linear(x, own["inner"])), own["output"]), own["output_norm"]), got


def layers(params):
    """The parameters of each layer."""
    stack = [jax.tree.map(lambda x, n=n: x[n], params["layers"]) for n in range(CONFIG.num_hidden_layers - 1)]
    return [*stack, params["last_layer"]]


def embedded(params, ids, types):
    """The input of the first layer [T, D]."""
    tables = params["embeddings"]
    total = tables["word"][ids] + tables["position"][: len(ids)] + tables["type"][types]
    return layer_norm(total, tables["norm"])


def logits_from(params, number, x):
    """Logits [C] of the input [T, D] of that layer."""
    for own in layers(params)[number:]:
        x, _ = layer(x, own)
    return linear(np.tanh(linear(x[0], params["pooler"])), params["classifier"])


def expected(row, label, references):
    """Scores [T] of a row of TEXTS, references [L, S, D]."""
    params, length = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3)), LENGTHS[row]
    x, scores = embedded(params, IDS[row, :length], TYPES[row, :length]), np.zeros(length)
    for number, own in enumerate(layers(params)):
        after, got = layer(x, own)
        for token in range(length):
            beyond = np.zeros_like(x)
            reference = references[number, token] if token < references.shape[1] else 0
            beyond[token] = x[token] - reference
            up, down = (logits_from(params, number, x + sign * STEP * beyond)[label] for sign in (1, -1))
            scores[token] += got[token] * (up - down) / (2 * STEP)
        x = after
    return scores


@pytest.mark.parametrize("row", [0, 2, 3])
def test_contrast_cat_by_a_second_model(row):
    """References shorter and longer than the text; of each label its own."""
    _, scores, _ = exact(METHOD, rows(row), weights=np.eye(3, dtype=np.float32)[None])
    for label in range(3):
        want = expected(row, label, np.float64(REFERENCES[label]))
        assert relative_error(scores[0, label, : LENGTHS[row]], want) <= CENTRAL
    assert not scores[0, :, LENGTHS[row] :].any()


def held(texts):
    """What layers hold of texts [B, L, T, D], float64."""
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3))
        return np.asarray(held_by_layers(Settings(CONFIG, METHOD, "layer_inputs"), params, texts))


def contrasted(texts, references, weights=None):
    """Scores [B, N, T] in float64, with references [C, L, S, D]."""
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3))
        return np.asarray(
            token_scores(
                Settings(CONFIG, METHOD, "layer_inputs"), params, Texts(*texts), weights, {"references": references}
            ).relevance
        )


def test_contrast_cat_with_itself_is_zero():
    """Of a text without padding, in each layer."""
    mine = held(rows(0))
    assert np.abs(contrasted(rows(0), np.repeat(mine, 3, axis=0))).max() <= METHOD_EXACT
    assert np.abs(contrasted(rows(0), np.zeros((3, 3, 9, 16)))).max() > 1e-3


def test_contrast_cat_of_a_mean_is_the_mean():
    """Over references; a contrast of labels is against the references of its first."""
    both = held(rows(0, 1))
    each = [contrasted(rows(0), np.repeat(one[None], 3, axis=0)) for one in both]
    together = contrasted(rows(0), np.repeat(both.mean(axis=0)[None], 3, axis=0))
    np.testing.assert_allclose(together, sum(each) / 2, atol=METHOD_EXACT)
    weights = np.array([[[1, 0, 0], [0, 1, 0], [1, -1, 0]]], np.float32)
    alike = contrasted(rows(0), np.repeat(both[:1], 3, axis=0), weights)[0]
    np.testing.assert_allclose(alike[2], alike[0] - alike[1], atol=METHOD_EXACT)
    first = contrasted(rows(0), np.stack([both[0], both[1], both[1]]), weights)[0]
    np.testing.assert_allclose(first[2], alike[2], atol=METHOD_EXACT)


def test_references_are_the_least_probable():
    method = METHOD.set(below=0.3, most=2)
    likely = np.array([[0.1, 0.9], [0.4, 0.6], [0.2, 0.8], [0.2, 0.8], [0.9, 0.1], [0.0, 1.0]])
    assert [found.tolist() for found in chosen(method, likely, ("a", "b"))] == [[5, 0], [4]]
    assert [found.tolist() for found in chosen(METHOD.set(below=0.2), likely, ("a", "b"))] == [[5, 0], [4]]
    assert refusal(chosen, METHOD.set(below=0.1), likely, ("a", "b")) == (
        "contrast_cat: no reference has a probability of 'b' under 0.1; the least is 0.1. Add texts of other labels, "
        "or raise `below`."
    )


def explained(classifier, texts, **more):
    return ar.explain(classifier, texts, method="contrast_cat", **{"parameters": EVERY, "references": FILMS} | more)


def test_contrast_cat_in_the_library(classifier):
    """The explained text need not be in any batch with others; the one reference is the text itself; what is said."""
    together = explained(classifier, FILMS[:3], batch_size=2)
    (alone,) = explained(classifier, FILMS[1])
    assert relative_error(alone.token_relevance, together[1].token_relevance) <= BATCH
    assert together[0].parameters["references"].startswith("4 texts, sha256 ")
    assert together[0].parameters["below"] == 1
    (itself,) = explained(classifier, FILMS[0], references=FILMS[0])
    assert np.abs(itself.token_relevance).max() <= BATCH * np.abs(together[0].token_relevance).max()
    (other,) = explained(classifier, FILMS[0], references=FILMS[1:3])
    assert relative_error(other.token_relevance, together[0].token_relevance) > BATCH
    assert other.parameters["references"] != together[0].parameters["references"]


def test_references_in_float64(model_folder, classifier):
    """They are not rounded on their way: the scores of float32 are near, and no nearer than its rounding."""
    with jax.enable_x64(True):
        exactly = ar.load(model_folder, dtype="float64")
    made = ExplainConfig(method="contrast_cat", parameters=EVERY, references=FILMS)
    assert Explainer(exactly, made).computer.values["references"].dtype == np.float64
    (one,), (other,) = explained(exactly, FILMS[0]), explained(classifier, FILMS[0])
    assert one.token_relevance.dtype == np.float64
    assert 0 < relative_error(other.token_relevance, one.token_relevance) <= BATCH


def test_references_do_not_depend_on_their_batches(classifier):
    """Nor on their order, where all are taken."""
    made = [
        np.asarray(
            Explainer(
                classifier,
                ExplainConfig(method="contrast_cat", parameters=EVERY, references=texts, batch_size=size),
            ).computer.values["references"]
        )
        for texts, size in ((FILMS, None), (FILMS[::-1], 1))
    ]
    assert relative_error(*made) <= BATCH


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"method": "contrast_cat"},
            "contrast_cat needs references, texts of every label with which a text is contrasted; give "
            "references=[…], or --references FILE.",
        ),
        (
            {"references": FILMS},
            "attnlrp takes no references; they are of contrast_cat. Leave them out.",
        ),
        (
            {"method": "contrast_cat", "references": FILMS, "parameters": {"below": 1e-6}},
            "contrast_cat: no reference has a probability of 'negative' under 1e-06; the least is ",
        ),
        (
            {"method": "contrast_cat", "references": [3]},
            "references[0] is 3 (int); a text is a string or a list of words.",
        ),
        (
            {"method": "contrast_cat", "references": [("a good film", "bad")]},
            "references[0] looks like a pair of texts; expected single texts, or lists of words.",
        ),
        (
            {"method": "contrast_cat", "references": FILMS, "parameters": EVERY, "pairs": ["bad"]},
            "Text 1: contrast_cat contrasts single texts, and this is a pair; use another.",
        ),
        (
            {"method": "contrast_cat", "references": FILMS, "audit": True},
            "contrast_cat has no audit and no read-outs; use a composite for them.",
        ),
        (
            {"method": "contrast_cat", "references": FILMS, "target": "margin"},
            "contrast_cat explains labels and contrasts, not functions of the logits.",
        ),
    ],
)
def test_references_that_are_refused(classifier, options, said):
    assert refusal(ar.explain, classifier, "a good film", **options).startswith(said)


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("refs.csv", "id;film\n1;café\n2;bad, bad\n", {"delimiter": ";", "encoding": "cp1252"}),
        ("refs.csv", "1;café\n2;bad, bad\n", {"delimiter": ";", "input_columns": ("id", "film")}),
        ("refs.data", "film\tid\ncafé\t1\nbad, bad\t2\n", {"format": "tsv"}),
        ("refs.txt", "café\nbad, bad\n", {"delimiter": ";", "text_column": None}),
    ],
)
def test_references_are_read_as_the_input_is(tmp_path, name, content, options):
    (tmp_path / name).write_text(content, encoding=options.get("encoding", "utf-8"))
    flags = {"text_column": "film", "format": None, "delimiter": None, "input_columns": (), "encoding": None} | options
    assert read_references(Namespace(references=tmp_path / name, **flags)) == ["café", "bad, bad"]


def test_contrast_cat_needs_probabilities():
    said = (
        "contrast_cat chooses references by the probability of a text's label, which this model does not have; use a "
    )
    regression = tiny_config(labels=("score",), problem_type="regression")
    assert refusal(Settings, regression, METHOD, "layer_inputs").startswith(said)
