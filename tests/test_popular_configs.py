"""Checkpoints with the configs of popular repositories and random weights: labels, problem, logits of transformers."""

import json

import numpy as np
import pytest
from models import refusal
from popular_configs import CONFIGS, named, write_config
from tolerances import PARITY_FLOAT32

from autorel_jax.model.config import MULTI, REGRESSION, SINGLE
from autorel_jax.model.config_file import parse_config
from autorel_jax.model.encoder import Bert
from autorel_jax.weights import read

each = pytest.mark.parametrize("name", CONFIGS)
PROBLEMS = {"SamLowe/roberta-base-go_emotions": MULTI, "BAAI/bge-reranker-base": REGRESSION}


@each
def test_what_it_says(name):
    raw = CONFIGS[name]
    config = parse_config(raw)
    assert config.labels == tuple(raw["id2label"].values())
    assert config.problem == PROBLEMS.get(name, SINGLE)
    assert (config.hidden_size, config.intermediate_size, config.num_hidden_layers) == (16, 24, 2)
    assert config.longest_text == (40 if raw["pad_token_id"] == 1 else 42)


def test_labels_by_their_ids_not_by_their_place():
    names = {"2": "c", "0": "a", "1": "b"}
    config = parse_config(CONFIGS["ProsusAI/finbert"] | {"id2label": names})
    assert config.labels == ("a", "b", "c")


def test_labels_that_are_missing():
    raw = {key: value for key, value in CONFIGS["ProsusAI/finbert"].items() if key not in ("id2label", "label2id")}
    assert parse_config(raw).labels == ()
    assert parse_config(raw | {"num_labels": 2}).labels == ("LABEL_0", "LABEL_1")
    said = refusal(parse_config, raw | named("a", "b") | {"id2label": {"0": "a", "2": "b"}})
    assert "id2label has the ids [0, 2]; expected 0, 1, 2" in said


@pytest.mark.parity
@each
def test_logits_are_those_of_transformers(name, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    raw = write_config(tmp_path, name)
    settings = transformers.AutoConfig.from_pretrained(tmp_path)
    torch.manual_seed(0)
    model = getattr(transformers, raw["architectures"][0])(settings).eval()
    with torch.no_grad():
        for weight, parameter in model.named_parameters():
            parameter.normal_(1 if "norm.weight" in weight.lower() else 0, 0.2)
    model.save_pretrained(tmp_path / "model")
    write_config(tmp_path / "model", name)  # as published, not as this version of transformers would write it
    got = read(tmp_path / "model")
    assert (got.ignored, got.warnings) == ((), ())
    ids = np.random.default_rng(0).integers(5, 60, (2, 12))
    mask = (np.arange(12) < np.array([[12], [7]])).astype(int)
    ids = np.where(mask, ids, raw["pad_token_id"])
    ours = Bert(got.config).apply({"params": got.params}, ids, mask, 0 * ids)
    with torch.no_grad():
        theirs = model(torch.tensor(ids), attention_mask=torch.tensor(mask)).logits.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=PARITY_FLOAT32)
    assert json.loads((tmp_path / "model" / "config.json").read_text()) == raw
