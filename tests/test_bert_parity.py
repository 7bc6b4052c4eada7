"""Live parity with PyTorch's transformers: logits, checkpoints that it saves, directories that we write."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from models import random_params, tiny_config
from tolerances import PARITY_FLOAT32, PARITY_FLOAT64, PARITY_REAL_MODEL

from autorel_jax.model.config_file import config_json, parse_config
from autorel_jax.model.encoder import Bert
from autorel_jax.weights import read, write
from autorel_jax.weights.params import to_params

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.parity
SINGLE = "single_label_classification"
MINILM = Path(__file__).parents[2] / "shared/models/minilm-sst2"


def hf_model(config, kind="BertForSequenceClassification", seed=0):
    """A model of transformers with random weights and biases, larger than BERT's own."""
    torch.manual_seed(seed)
    settings = transformers.BertConfig(**config_json(config))
    model = getattr(transformers, kind)(settings).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1 if "LayerNorm.weight" in name else 0, 0.2)
    return model


def batch(config):
    """Three sentence pairs, padded on the right: ids, mask, types."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, config.vocab_size, (3, 11))
    lengths, seconds = np.array([[11], [7], [3]]), np.array([[6], [4], [2]])
    place = np.arange(11)[None]
    mask = (place < lengths).astype(int)
    return ids * mask, mask, ((place >= seconds) & (place < lengths)).astype(int)


def hf_logits(model, ids, mask, types):
    with torch.no_grad():
        tensors = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return model(**{name: torch.tensor(value) for name, value in tensors.items()}).logits.numpy()


def our_logits(config, params, inputs):
    return np.asarray(Bert(config).apply({"params": params}, *inputs))


def arrays(model):
    return {name: values.numpy() for name, values in model.state_dict().items()}


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_logits_in_float64(activation, outputs):
    labels = tuple(f"label {i}" for i in range(outputs))
    config = tiny_config(hidden_act=activation, labels=labels, num_hidden_layers=1 + outputs % 3)
    model, inputs = hf_model(config), batch(config)
    params = to_params(arrays(model), config, "transformers").params
    with jax.enable_x64(True):
        ours = our_logits(config, jax.tree.map(np.float64, params), inputs)
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, hf_logits(model.double(), *inputs), rtol=0, atol=PARITY_FLOAT64)


def as_safetensors(model, directory):
    model.save_pretrained(directory)


def as_shards(model, directory):
    model.save_pretrained(directory, max_shard_size="4KB")
    assert (directory / "model.safetensors.index.json").is_file()


def as_zip(model, directory):
    model.config.save_pretrained(directory)
    torch.save(model.state_dict(), directory / "pytorch_model.bin")


def as_legacy(model, directory):
    model.config.save_pretrained(directory)
    torch.save(model.state_dict(), directory / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def as_bin_shards(model, directory):
    model.config.save_pretrained(directory)
    tensors = list(model.state_dict().items())
    parts = {f"pytorch_model-0000{i + 1}-of-00002.bin": dict(tensors[i::2]) for i in range(2)}
    for file, part in parts.items():
        torch.save(part, directory / file)
    weight_map = {name: file for file, part in parts.items() for name in part}
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))


def as_data_parallel(model, directory):
    """As the original BERT_LRP: names with `module.`, the config under Google's name."""
    model.config.save_pretrained(directory)
    (directory / "config.json").rename(directory / "bert_config.json")
    tensors = {f"module.{name}": values for name, values in model.state_dict().items()}
    torch.save(tensors, directory / "model.pt", _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("save", [as_safetensors, as_shards, as_zip, as_legacy, as_bin_shards, as_data_parallel])
def test_reads_what_pytorch_saves(tmp_path, save):
    config = tiny_config(problem_type=SINGLE)
    model, inputs = hf_model(config), batch(config)
    tmp_path.joinpath("model").mkdir()
    save(model, tmp_path / "model")
    got = read(tmp_path / "model")
    assert (got.config, got.ignored, got.warnings) == (config, (), ())
    np.testing.assert_allclose(
        our_logits(config, got.params, inputs), hf_logits(model, *inputs), rtol=0, atol=PARITY_FLOAT32
    )


@pytest.mark.parametrize("kind", ["BertModel", "BertForPreTraining", "BertForNextSentencePrediction"])
def test_reads_encoders(tmp_path, kind):
    config = tiny_config(labels=())
    model = hf_model(config, kind)
    model.save_pretrained(tmp_path / "model")
    got = read(tmp_path / "model")
    assert got.config == config
    assert all(name.startswith("cls.") for name in got.ignored)
    assert bool(got.ignored) == (kind != "BertModel")
    pooler = getattr(model, "bert", model).pooler.dense.weight
    np.testing.assert_array_equal(got.params["pooler"]["kernel"], pooler.detach().numpy().T)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_transformers_loads_what_we_write(tmp_path, dtype):
    config = tiny_config(hidden_act="gelu_new", labels=("a", "b", "c"))
    params, inputs = random_params(config), batch(config)
    write(tmp_path / "out", config, params, dtype=dtype)
    model, report = transformers.BertForSequenceClassification.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not any(report.values()), report
    assert str(model.dtype) == f"torch.{dtype}"
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}
    ours = our_logits(config, read(tmp_path / "out").params, inputs)
    np.testing.assert_allclose(ours, hf_logits(model.float(), *inputs), rtol=0, atol=PARITY_FLOAT32)


def test_transformers_loads_an_encoder_that_we_write(tmp_path):
    config = tiny_config(labels=())
    write(tmp_path / "out", config, random_params(config))
    model, report = transformers.BertModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report.values()), report
    kernel = random_params(config)["last_layer"]["query"]["kernel"]
    np.testing.assert_array_equal(model.encoder.layer[2].attention.self.query.weight.detach().numpy(), kernel.T)


def test_our_config_is_that_of_transformers():
    settings = hf_model(tiny_config(problem_type=SINGLE)).config.to_dict()
    assert parse_config(settings) == tiny_config(problem_type=SINGLE)


@pytest.mark.shared
def test_logits_of_the_real_model():
    if not MINILM.is_dir():
        pytest.skip(f"{MINILM} is on the development machines only")
    tokenizer = transformers.AutoTokenizer.from_pretrained(MINILM)
    model = transformers.BertForSequenceClassification.from_pretrained(MINILM, dtype=torch.float32).eval()
    texts = ["a gorgeous, witty, seductive movie.", "dull", "it 's not terrible , but far from good ."]
    encoded = tokenizer(texts, padding=True, return_tensors="np")
    inputs = [encoded[name] for name in ("input_ids", "attention_mask", "token_type_ids")]
    got = read(MINILM)
    assert got.config.labels == ("negative", "positive")
    assert (got.ignored, got.warnings) == ((), ())
    np.testing.assert_allclose(
        our_logits(got.config, got.params, inputs), hf_logits(model, *inputs), rtol=0, atol=PARITY_REAL_MODEL
    )
