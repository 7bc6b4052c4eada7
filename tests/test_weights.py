"""A checkpoint's tensors <-> params: every spelling of the names, and every refusal."""

import dataclasses
import hashlib
import re

import jax
import ml_dtypes
import numpy as np
import pytest
from models import bert_tensors, refusal, shapes, tiny_config

from autorel_jax.model.parameters import parameters
from autorel_jax.weights import fingerprint
from autorel_jax.weights.params import to_params, to_tensors

CONFIG = tiny_config()
QUERY = "bert.encoder.layer.1.attention.self.query.weight"
WORD = "bert.embeddings.word_embeddings.weight"
POOLER = "bert.pooler.dense.weight"


def convert(tensors, config=CONFIG):
    return to_params(dict(tensors), config, "here.bin")


@pytest.fixture(scope="module")
def plain():
    return convert(bert_tensors()).params


def in_out(name, values):
    """As TensorFlow and Flax keep it: the weight of a linear map is [in, out]."""
    norm_or_table = "LayerNorm" in name or "embeddings" in name
    return values if norm_or_table or not name.endswith("weight") else values.T


def tensorflow(tensors):
    renamed = {}
    for name, values in tensors.items():
        if name.startswith("classifier"):
            renamed[name.replace("classifier.weight", "output_weights").replace("classifier.bias", "output_bias")] = (
                values
            )
            continue
        tf = re.sub(r"layer\.(\d+)", r"layer_\1", name)
        tf = tf.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        tf = tf.replace("_embeddings.weight", "_embeddings").replace(".weight", ".kernel")
        renamed[tf.replace(".", "/")] = in_out(name, values)
    return renamed


def flax_names(tensors):
    renamed = {}
    for name, values in tensors.items():
        new = name.replace("LayerNorm.weight", "LayerNorm.scale").replace("_embeddings.weight", "_embeddings.embedding")
        renamed[new.replace(".weight", ".kernel").replace(".", "/")] = in_out(name, values)
    return renamed


def old_names(tensors):
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): values
        for name, values in tensors.items()
    }


SPELLINGS = {
    "none": lambda: bert_tensors(prefix=""),
    "module": lambda: bert_tensors(prefix="module.bert.", head="module."),
    "module, none": lambda: bert_tensors(prefix="module.", head="module."),
    "compiled": lambda: bert_tensors(prefix="_orig_mod.bert.", head="_orig_mod."),
    "compiled module": lambda: bert_tensors(prefix="_orig_mod.module.bert.", head="_orig_mod.module."),
    "gamma, beta": lambda: old_names(bert_tensors()),
    "tensorflow": lambda: tensorflow(bert_tensors()),
    "flax": lambda: flax_names(bert_tensors()),
    "another order": lambda: dict(reversed(bert_tensors().items())),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_gives_the_same_params(spelling, plain):
    jax.tree.map(np.testing.assert_array_equal, convert(SPELLINGS[spelling]()).params, plain)


def test_tensors_land_where_they_belong(plain):
    tensors = bert_tensors()
    np.testing.assert_array_equal(plain["embeddings"]["word"], tensors[WORD])
    np.testing.assert_array_equal(plain["embeddings"]["norm"]["scale"], tensors["bert.embeddings.LayerNorm.weight"])
    np.testing.assert_array_equal(plain["layers"]["query"]["kernel"][1], tensors[QUERY].T)
    np.testing.assert_array_equal(
        plain["last_layer"]["inner"]["kernel"], tensors["bert.encoder.layer.2.intermediate.dense.weight"].T
    )
    np.testing.assert_array_equal(
        plain["layers"]["attention_norm"]["bias"][0],
        tensors["bert.encoder.layer.0.attention.output.LayerNorm.bias"],
    )
    np.testing.assert_array_equal(plain["classifier"]["kernel"], tensors["classifier.weight"].T)


@pytest.mark.parametrize("labels", [(), ("a", "b", "c")])
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_params_have_the_tree_of_the_model(layers, labels):
    config = tiny_config(num_hidden_layers=layers, labels=labels, type_vocab_size=3)
    params = convert(bert_tensors(config), config).params
    jax.tree.map(
        lambda leaf, want: np.testing.assert_equal((leaf.shape, leaf.dtype), (want.shape, want.dtype)),
        params,
        shapes(config),
    )
    assert parameters(config).keys() == dict(_flat(shapes(config))).keys()


def _flat(tree):
    return {"/".join(key.key for key in path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def test_to_tensors_is_the_inverse():
    tensors = bert_tensors()
    back = to_tensors(convert(tensors).params, CONFIG)
    assert back.keys() == tensors.keys()
    for name, values in back.items():
        assert values.flags.c_contiguous
        np.testing.assert_array_equal(values, tensors[name])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_floats_become_float32(dtype):
    tensors = {name: values.astype(dtype) for name, values in bert_tensors().items()}
    params = convert(tensors).params
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(params["pooler"]["kernel"], tensors[POOLER].astype(np.float32).T)


IGNORABLE = (
    "bert.embeddings.position_ids",
    "embeddings.token_type_ids",
    "cls.predictions.transform.LayerNorm.gamma",
    "module.cls.seq_relationship.weight",
    "cls/predictions/output_bias",
    "bert/encoder/layer_0/output/dense/kernel/adam_m",
    "output_weights/adam_v",
    "global_step",
)


def test_what_a_classifier_does_not_need_is_ignored_and_named():
    got = convert(bert_tensors() | {name: np.arange(3) for name in IGNORABLE})
    assert got.ignored == IGNORABLE
    assert got.warnings == ()


def test_the_head_decides_the_labels():
    silent = dataclasses.replace(CONFIG, labels=())
    assert convert(bert_tensors(), silent).config.labels == ("LABEL_0", "LABEL_1")
    assert convert(bert_tensors(silent), silent).config.labels == ()
    headless = convert(bert_tensors(silent), CONFIG)
    assert headless.config.labels == ()
    assert "classifier" not in headless.params
    assert "no classification head" in headless.warnings[0]


def test_nan_and_inf_are_named():
    tensors = bert_tensors()
    tensors[QUERY][0, 0], tensors[POOLER][1, 2] = np.nan, np.inf
    tensors[WORD] = tensors[WORD].astype(np.float64)
    tensors[WORD][0, 0] = 1e300
    (warning,) = convert(tensors).warnings
    assert warning.startswith("here.bin: NaN or inf in ")
    assert all(name in warning for name in (QUERY, POOLER, WORD))


def without(*drop):
    return {name: values for name, values in bert_tensors().items() if name not in drop}


def headless(prefix=""):
    return {name: values for name, values in bert_tensors(prefix=prefix).items() if "classifier" not in name}


REFUSED = {
    "missing": (lambda: without(QUERY), ["here.bin", "lacks 1 of", QUERY.removeprefix("bert.")]),
    "many missing": (
        lambda: {n: v for n, v in bert_tensors().items() if "layer.1.output" not in n and "query" not in n},
        ["lacks 10 of", "and 5 more"],
    ),
    "no pooler": (
        lambda: without(POOLER, "bert.pooler.dense.bias"),
        ["pooler.dense.weight, pooler.dense.bias"],
    ),
    "half a head": (lambda: without("classifier.weight"), ["classifier.weight"]),
    "unknown": (
        lambda: bert_tensors() | {"bert.extra.weight": np.ones(2, np.float32)},
        ["bert.extra.weight"],
    ),
    "nothing": (dict, ["lacks"]),
    "rows": (
        lambda: bert_tensors() | {WORD: np.ones((59, 16), np.float32)},
        [WORD, "[59, 16]", "vocab_size=60", "[60, 16]"],
    ),
    "shape": (
        lambda: bert_tensors() | {"bert.encoder.layer.0.output.dense.weight": np.ones((24, 16), np.float32)},
        ["bert.encoder.layer.0.output.dense.weight", "[24, 16]", "[16, 24]"],
    ),
    "rank": (
        lambda: bert_tensors() | {POOLER: np.float32(1)[None]},
        [POOLER, "[1]", "hidden_size=16", "[16, 16]"],
    ),
    "0-d": (lambda: bert_tensors() | {POOLER: np.array(1, np.float32)}, [POOLER, "[]"]),
    "fewer layers": (
        lambda: bert_tensors(tiny_config(num_hidden_layers=2)),
        ["holds 2 layers", "num_hidden_layers=3"],
    ),
    "more layers": (
        lambda: bert_tensors(tiny_config(num_hidden_layers=4)),
        ["holds 4 layers", "num_hidden_layers=3"],
    ),
    "a gap": (
        lambda: {name: v for name, v in bert_tensors().items() if "layer.1." not in name},
        ["holds 2 layers", "num_hidden_layers=3"],
    ),
    "another layer number": (
        lambda: bert_tensors() | {"bert.encoder.layer.01.output.dense.bias": np.ones(16)},
        ["bert.encoder.layer.01.output.dense.bias"],
    ),
    "twice": (
        lambda: bert_tensors() | {"pooler.dense.weight": np.ones((16, 16), np.float32)},
        ["both bert.pooler.dense.weight and pooler.dense.weight"],
    ),
    "outputs": (
        lambda: bert_tensors(tiny_config(labels=tuple("abc"))),
        ["here.bin", "classifier.weight", "3 outputs", "2 labels"],
    ),
    "no outputs": (
        lambda: bert_tensors() | {"classifier.weight": np.ones((0, 16), np.float32)},
        ["classifier.weight is empty"],
    ),
    "integers": (lambda: bert_tensors() | {POOLER: np.ones((16, 16), np.int8)}, [POOLER, "int8", "float16"]),
    "RoBERTa": (
        lambda: headless() | {"classifier.dense.weight": np.ones(1)},
        ["classifier.dense.weight", "RoBERTa"],
    ),
    "answers": (
        lambda: headless() | {"qa_outputs.weight": np.ones(1)},
        ["qa_outputs.weight", "question-answering"],
    ),
    "newline": (lambda: bert_tensors() | {"a\nb": np.ones(1)}, ["'a\\nb'"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tensors_that_do_not_fit_are_refused_by_name(case):
    tensors, expected = REFUSED[case]
    message = refusal(convert, tensors())
    assert all(part in message for part in expected), message


def test_an_encoder_needs_a_pooler_too():
    config = tiny_config(labels=())
    tensors = {name: values for name, values in bert_tensors(config).items() if "pooler" not in name}
    assert "pooler.dense.weight" in refusal(convert, tensors, config)


def test_fingerprint_is_sha256_of_paths_shapes_and_bytes(plain):
    digest = hashlib.sha256()
    for path, leaf in sorted(_flat(plain).items()):
        digest.update(f"{path} {leaf.shape}\n".encode() + leaf.astype("<f4").tobytes())
    assert fingerprint(plain) == digest.hexdigest()
    assert fingerprint(dict(reversed(plain.items()))) == digest.hexdigest()
    assert fingerprint(jax.tree.map(jax.numpy.asarray, plain)) == digest.hexdigest()
    changed = jax.tree.map(np.copy, plain)
    changed["pooler"]["bias"][3] += 1e-6
    assert fingerprint(changed) != digest.hexdigest()
