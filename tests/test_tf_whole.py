"""Google's release of BERT from end to end: a checkpoint that TensorFlow wrote -> params, a directory, logits."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from tolerances import PARITY_FLOAT32

from autorel_jax.cli.convert import main
from autorel_jax.model.encoder import Bert
from autorel_jax.weights import fingerprint, read
from autorel_jax.weights.params import leaves

CHECKPOINT = Path(__file__).parent / "fixtures" / "tf_whole" / "bert_model.ckpt"
LAYER = {  # ours -> Google's, under bert/encoder/layer_N
    "query": "attention/self/query",
    "key": "attention/self/key",
    "value": "attention/self/value",
    "attention_output": "attention/output/dense",
    "attention_norm": "attention/output/LayerNorm",
    "inner": "intermediate/dense",
    "output": "output/dense",
    "output_norm": "output/LayerNorm",
}
SIZES = {"inner": (8, 12), "output": (12, 8)}  # [in, out]; other maps are [8, 8]


def drawn(name, *shape):
    """As in fixtures/make_tf_fixtures.py."""
    return np.random.RandomState(zlib.crc32(name.encode())).uniform(-1, 1, shape).astype(np.float32)


def affine(name, rows=8, columns=8):
    return {"kernel": drawn(f"{name}/kernel", rows, columns), "bias": drawn(f"{name}/bias", columns)}


def norm(name):
    return {"scale": drawn(f"{name}/gamma", 8), "bias": drawn(f"{name}/beta", 8)}


def layer(number):
    """One layer's leaves by our paths."""
    found = {}
    for ours, google in LAYER.items():
        name = f"bert/encoder/layer_{number}/{google}"
        parts = norm(name) if ours.endswith("norm") else affine(name, *SIZES.get(ours, (8, 8)))
        found |= {f"{ours}/{part}": values for part, values in parts.items()}
    return found


def expected():
    """Every leaf by its path, from the values that were written under Google's names."""
    words, positions, types = (f"bert/embeddings/{name}_embeddings" for name in ("word", "position", "token_type"))
    parts = {"embeddings/norm": norm("bert/embeddings/LayerNorm"), "pooler": affine("bert/pooler/dense")}
    return {
        "embeddings/word": drawn(words, 20, 8),
        "embeddings/position": drawn(positions, 16, 8),
        "embeddings/type": drawn(types, 2, 8),
        **{f"{path}/{part}": values for path, made in parts.items() for part, values in made.items()},
        **{f"layers/{path}": values[None] for path, values in layer(0).items()},
        **{f"last_layer/{path}": values for path, values in layer(1).items()},
        "classifier/kernel": drawn("output_weights", 2, 8).T,  # Google keeps this one as [C, D]
        "classifier/bias": drawn("output_bias", 2),
    }


@pytest.fixture
def converted(tmp_path, capsys):
    """What autorel-convert makes of the checkpoint, and what it says."""
    code = main([str(CHECKPOINT), str(tmp_path / "out"), "--labels", "no,yes"])
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    return tmp_path / "out", captured.out


def test_every_leaf_is_what_tensorflow_wrote():
    got, leaf = read(CHECKPOINT), expected()
    found = dict(leaves(got.params))
    assert found.keys() == leaf.keys()
    for path, values in found.items():
        np.testing.assert_array_equal(values, leaf[path], err_msg=path, strict=True)
    assert got.warnings == ()
    assert got.config.num_labels == 2


def test_the_rest_of_the_training_is_ignored_by_name():
    ignored = set(read(CHECKPOINT).ignored)
    assert "global_step" in ignored
    assert {name.split("/")[1] for name in ignored if name.startswith("cls/")} == {"predictions", "seq_relationship"}
    assert {"output_weights/adam_m", "bert/embeddings/word_embeddings/adam_v"} <= ignored
    assert all(name.startswith("cls/") or name.endswith(("/adam_m", "/adam_v", "global_step")) for name in ignored)


def test_it_becomes_a_directory(converted):
    directory, said = converted
    assert "2 layers of width 8, labels no, yes (single_label_classification)" in said
    assert "20 word pieces, uncased" in said
    assert sorted(file.name for file in directory.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    assert fingerprint(read(directory).params) == fingerprint(read(CHECKPOINT).params)


@pytest.mark.parity
def test_transformers_computes_the_same_logits(converted):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model, report = transformers.BertForSequenceClassification.from_pretrained(converted[0], output_loading_info=True)
    assert not any(report.values()), report
    encoded = transformers.AutoTokenizer.from_pretrained(converted[0])(
        ["a good film, not dull", "bad"], ["very witty", "it is the film."], padding=True, return_tensors="np"
    )
    inputs = [encoded[name] for name in ("input_ids", "attention_mask", "token_type_ids")]
    with torch.no_grad():
        theirs = model.eval()(*map(torch.tensor, inputs[:2]), token_type_ids=torch.tensor(inputs[2])).logits.numpy()
    got = read(CHECKPOINT)
    ours = Bert(got.config).apply({"params": got.params}, *inputs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=PARITY_FLOAT32)
