"""Live parity of BERT's relatives with transformers' PyTorch: logits, and directories that each side writes."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from family_models import write_family
from measures import relative_error
from models import FAMILIES, deberta, random_params, tiny_config
from test_family_tokens import TEXTS
from tolerances import PARITY_BASE, PARITY_FLOAT32, PARITY_FLOAT64, PARITY_PARTLY_FLOAT32

import autorel_jax as ar
from autorel_jax.families import family_of
from autorel_jax.families.albert import AlbertDetails
from autorel_jax.families.family import ANSWERS, TOKEN_LABELS
from autorel_jax.families.modernbert import FLAGS, ModernDetails
from autorel_jax.model.config_file import config_json, parse_config
from autorel_jax.model.encoder import Bert
from autorel_jax.weights import read, write
from autorel_jax.weights.params import to_params

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.parity
each = pytest.mark.parametrize("model_type", FAMILIES)


TOKENS_KIND = "ForTokenClassification"
ON_TOKENS = (
    (TOKEN_LABELS, TOKENS_KIND, ("O", "B-X", "I-X")),
    (ANSWERS, "ForQuestionAnswering", ("start", "end")),
)


def theirs(config, kind="ForSequenceClassification", seed=0):
    """A model of transformers with random weights and biases, larger than usual."""
    torch.manual_seed(seed)
    settings = transformers.AutoConfig.for_model(**config_json(config))
    stem = config.family.classifiers[0].removesuffix("ForSequenceClassification")
    model = getattr(transformers, stem + kind)(settings).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1 if "norm.weight" in name.lower() else 0, 0.2)
    return model


def batch(config, length):
    """Three rows padded on the right, whose second half is a second text: ids, mask, types."""
    rng, place = np.random.default_rng(length), np.arange(length)[None]
    mask = (place < np.array([[length], [max(length // 2, 1)], [1]])).astype(int)
    ids = np.where(mask, rng.integers(5, config.vocab_size, (3, length)), config.pad_token_id)
    types = (place >= length // 2) * mask * (config.type_vocab_size > 1)
    return ids, mask, types


def their_logits(model, ids, mask, types):
    given = {"input_ids": ids, "attention_mask": mask}
    if getattr(model.config, "type_vocab_size", 0) > 1:
        given["token_type_ids"] = types
    with torch.no_grad():
        return model(**{name: torch.tensor(value) for name, value in given.items()}).logits.numpy()


def tiny_deberta(hidden_size=12, type_vocab_size=0, embedding_size=None, **changes):
    """A tiny DeBERTa with keys of its config.json changed. 3 K, or 2 K or K, is a square: see `deberta`."""
    sizes = {"hidden_size": hidden_size, "type_vocab_size": type_vocab_size, "embedding_size": embedding_size}
    given = deberta(**{"hidden_size": hidden_size} | changes)
    return tiny_config(**given | sizes, model_type="deberta-v2")


DEBERTAS = {
    "as version 2": {
        "share_att_key": False,
        "position_buckets": -1,
        "max_relative_positions": 6,
        "norm_rel_ebd": "none",
        "position_biased_input": True,
        "type_vocab_size": 2,
    },
    "convolution": {"conv_kernel_size": 3, "conv_act": "gelu"},
    "convolution in groups": {"conv_kernel_size": 5, "conv_groups": 3, "position_buckets": 6},
    "c2p": {"pos_att_type": "c2p", "hidden_size": 32, "share_att_key": False},
    "p2c": {"pos_att_type": ["p2c"], "hidden_size": 32, "share_att_key": False, "max_relative_positions": -1},
    "no terms": {"pos_att_type": None, "hidden_size": 16, "position_biased_input": True},
    "no relative attention": {"relative_attention": False, "position_biased_input": True},
    "narrow embeddings": {"embedding_size": 8, "type_vocab_size": 1, "pooler_hidden_act": "tanh"},
    "narrow embeddings, convolution": {"embedding_size": 8, "conv_kernel_size": 3, "position_biased_input": True},
}
PARTLY_FLOAT32 = ("modernbert",)  # of which transformers computes parts in float32, whatever the rest is
BIASES = ModernDetails(
    local_attention=4,
    layer_types=("sliding_attention", "sliding_attention", "full_attention"),
    local_theta=160000.0,
    global_theta=80000.0,
    classifier_pooling="mean",
    classifier_activation="silu",
    **dict.fromkeys(FLAGS, True),
)
SHORT_WINDOW = dataclasses.replace(FAMILIES["modernbert"].details, local_attention=1)
VARIANTS = FAMILIES | {
    "modernbert, mean, biases": dataclasses.replace(FAMILIES["modernbert"], details=BIASES),
    "modernbert, mean": dataclasses.replace(
        FAMILIES["modernbert"], details=ModernDetails(classifier_pooling="mean"), hidden_act="gelu_new"
    ),
    "modernbert, tokens that see themselves alone": dataclasses.replace(FAMILIES["modernbert"], details=SHORT_WINDOW),
    "modernbert, 1 layer": dataclasses.replace(FAMILIES["modernbert"], num_hidden_layers=1),
    "modernbert, 2 layers": dataclasses.replace(FAMILIES["modernbert"], num_hidden_layers=2),
    "albert, one width": dataclasses.replace(FAMILIES["albert"], embedding_size=16),
    "albert, groups": dataclasses.replace(FAMILIES["albert"], details=AlbertDetails(2, 1)),
    "albert, groups of several": dataclasses.replace(FAMILIES["albert"], details=AlbertDetails(2, 2)),
    "albert, 1 layer": dataclasses.replace(FAMILIES["albert"], num_hidden_layers=1),
    "electra, one width": dataclasses.replace(FAMILIES["electra"], embedding_size=16),
    "roberta, pad 0": dataclasses.replace(FAMILIES["roberta"], pad_token_id=0),
    "distilbert, relu": dataclasses.replace(FAMILIES["distilbert"], hidden_act="relu"),
    **{f"deberta, {name}": tiny_deberta(**changes) for name, changes in DEBERTAS.items()},
    "electra, tanh GELU": dataclasses.replace(FAMILIES["electra"], hidden_act="gelu_new"),  # in layers, not in the head
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_logits_in_float64(variant, outputs):
    labels = tuple(f"label {i}" for i in range(outputs))
    values = config_json(VARIANTS[variant]) | {"id2label": dict(enumerate(labels)), "problem_type": None}
    config = parse_config(values)
    model = theirs(config)
    params = to_params({name: tensor.numpy() for name, tensor in model.state_dict().items()}, config, "theirs").params
    model.double()
    for length in (1, 2, 11, config.longest_text):
        inputs = batch(config, length)
        with jax.enable_x64(True):
            ours = Bert(config).apply({"params": jax.tree.map(np.float64, params)}, *inputs)
        bound = PARITY_PARTLY_FLOAT32 if config.model_type in PARTLY_FLOAT32 else PARITY_FLOAT64
        np.testing.assert_allclose(ours, their_logits(model, *inputs), rtol=0, atol=bound)


@pytest.mark.parametrize(("task", "kind", "labels"), ON_TOKENS)
@each
def test_logits_of_heads_on_tokens(model_type, task, kind, labels, tmp_path):
    """In float64, and a directory of transformers' own read back: its logits, task and labels."""
    config = dataclasses.replace(FAMILIES[model_type], labels=labels, task=task)
    model = theirs(config, kind)
    model.save_pretrained(tmp_path / "model")
    got = read(tmp_path / "model")
    assert (got.config.task, got.config.num_labels, got.ignored, got.warnings) == (task, len(labels), (), ())
    inputs = batch(config, 11)
    given = {"input_ids": inputs[0], "attention_mask": inputs[1]}
    if getattr(model.config, "type_vocab_size", 0) > 1:
        given["token_type_ids"] = inputs[2]
    with torch.no_grad():
        out = model.double()(**{name: torch.tensor(value) for name, value in given.items()})
    expected = out.logits.numpy() if kind == TOKENS_KIND else np.stack([out.start_logits, out.end_logits], axis=-1)
    with jax.enable_x64(True):
        ours = Bert(got.config).apply({"params": jax.tree.map(np.float64, got.params)}, *inputs)
    there = inputs[1].astype(bool)  # what a padded token's query sees is of no use, and NaN in transformers' windows
    bound = PARITY_PARTLY_FLOAT32 if config.model_type in PARTLY_FLOAT32 else PARITY_FLOAT64
    np.testing.assert_allclose(ours.reshape(expected.shape)[there], expected[there], rtol=0, atol=bound)


@pytest.mark.parametrize(("task", "kind", "labels"), ON_TOKENS)
@each
def test_transformers_loads_heads_on_tokens_that_we_write(model_type, task, kind, labels, tmp_path):
    config = dataclasses.replace(FAMILIES[model_type], labels=labels, task=task)
    write(tmp_path / "out", config, random_params(config))
    auto = getattr(transformers, f"AutoModel{kind}")
    model, report = auto.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report.values()), report
    assert type(model).__name__ == config.architecture


def test_a_model_in_memory_is_read_by_its_class():
    """Its config may name the architecture that its encoder was first trained as."""
    config = dataclasses.replace(FAMILIES["bert"], labels=("O", "B-X", "I-X"), task=TOKEN_LABELS)
    model = theirs(config, TOKENS_KIND)
    model.config.architectures = ["BertForMaskedLM"]
    assert read(model).config.task == TOKEN_LABELS


BASE = {  # field -> its value in a model of base size, with few word pieces
    "vocab_size": 500,
    "hidden_size": 768,
    "embedding_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 514,
}
BASE_OWN = {"deberta-v2": {"position_buckets": 256, "max_relative_positions": 512}}
ARCHITECTURES = [name for name in FAMILIES if name not in ("xlm-roberta", "camembert")]  # those are RoBERTa's


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_logits_at_base_size(model_type):
    """In float32 on both sides, of a text longer than DeBERTa's first 128 distances and of shorter ones."""
    raw, family = config_json(FAMILIES[model_type]), family_of(model_type)
    sizes = {own.keys[0]: BASE[own.field] for own in family.settings if own.keys and own.field in BASE}
    config = parse_config(raw | sizes | BASE_OWN.get(model_type, {}))
    torch.manual_seed(0)
    stem = family.classifiers[0]
    model = getattr(transformers, stem)(transformers.AutoConfig.for_model(**config_json(config))).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1 if "norm.weight" in name.lower() else 0, 0.05)
    params = to_params({name: tensor.numpy() for name, tensor in model.state_dict().items()}, config, "theirs").params
    inputs = batch(config, 200)
    ours = jax.jit(Bert(config).apply)({"params": params}, *inputs)
    assert relative_error(ours, their_logits(model, *inputs)) <= PARITY_BASE


@each
def test_transformers_loads_what_we_write(model_type, tmp_path):
    config, params = FAMILIES[model_type], random_params(FAMILIES[model_type])
    write(tmp_path / "out", config, params)
    model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not any(report.values()), report
    inputs = batch(config, 11)
    ours = Bert(config).apply({"params": params}, *inputs)
    np.testing.assert_allclose(ours, their_logits(model, *inputs), rtol=0, atol=PARITY_FLOAT32)


@each
def test_reads_what_transformers_saves(model_type, tmp_path):
    config = FAMILIES[model_type]
    theirs(config).save_pretrained(tmp_path / "model")
    got = read(tmp_path / "model")
    assert (got.config.labels, got.ignored, got.warnings) == (config.labels, (), ())
    assert got.config.family is family_of(model_type)


@each
@pytest.mark.parametrize("kind", ["Model", "ForMaskedLM"])
def test_reads_encoders(model_type, kind, tmp_path):
    config = FAMILIES[model_type]
    theirs(config, kind).save_pretrained(tmp_path / "model")
    got = read(tmp_path / "model", encoder=True)
    assert got.config.labels == ()
    assert "classifier" not in got.params


@each
def test_texts_and_pairs_through_both_tokenizers(model_type, tmp_path):
    """A written directory: the logits of transformers' own tokenizer and model, in float32."""
    folder = write_family(tmp_path / "model", model_type)
    classifier = ar.load(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    longest = classifier.config.longest_text
    texts = [text for text in TEXTS[:4] if text]
    for pairs in (None, texts[::-1]):
        given = tokenizer(texts, pairs, padding=True, truncation=True, max_length=longest, return_tensors="pt")
        with torch.no_grad():
            expected = model(**given).logits.numpy()
        ours = classifier.logits(classifier.batch(texts, pairs))
        np.testing.assert_allclose(ours, expected, rtol=0, atol=PARITY_FLOAT32)


def test_a_pad_token_in_a_text():
    """The one place where we differ: transformers numbers positions by ids, and skips `<pad>` in a text."""
    config = FAMILIES["roberta"]
    model = theirs(config)
    params = to_params({name: tensor.numpy() for name, tensor in model.state_dict().items()}, config, "theirs").params
    ids = np.array([[0, 7, config.pad_token_id, 8, 2]])
    given = {"input_ids": torch.tensor(ids), "attention_mask": torch.ones(1, 5, dtype=int)}
    ours = Bert(config).apply({"params": params}, ids, 1 + 0 * ids, 0 * ids)
    with torch.no_grad():
        skipped = model(**given).logits.numpy()
        along = model(**given, position_ids=torch.arange(2, 7)[None]).logits.numpy()
    np.testing.assert_allclose(ours, along, rtol=0, atol=PARITY_FLOAT32)
    assert abs(ours - skipped).max() > 100 * PARITY_FLOAT32


def test_configs_that_transformers_writes(tmp_path):
    for model_type, config in FAMILIES.items():
        theirs(config).config.save_pretrained(tmp_path)
        read_back = parse_config(json.loads((tmp_path / "config.json").read_text()))
        assert read_back.model_type == model_type
        assert read_back.longest_text == config.longest_text
