"""The record of facts: what is made from it holds for every family, and nothing in it contradicts the rest."""

import dataclasses
import re

import jax
import numpy as np
import pytest
from models import FAMILIES as TINY
from models import random_params, refusal

from autorel_jax import families
from autorel_jax.families.bert import BERT
from autorel_jax.families.family import A, B
from autorel_jax.model.config_file import config_json, parse_config
from autorel_jax.model.encoder import Bert, init, shapes
from autorel_jax.model.heads import HEADS
from autorel_jax.model.parameters import parameters
from autorel_jax.text.classes import class_of
from autorel_jax.text.layout import around, lay, room
from autorel_jax.weights.names import slots
from autorel_jax.weights.params import leaves, to_params, to_tensors

EVERY = pytest.mark.parametrize("config", TINY.values(), ids=TINY)
FACTS = pytest.mark.parametrize("family", dict.fromkeys(families.FAMILIES.values()), ids=lambda family: family.name)


def test_every_registered_family_is_in_the_suite():
    assert TINY.keys() == families.FAMILIES.keys()


def test_an_unknown_family_is_refused_by_name():
    for model_type in ("gpt2", None, ["bert"]):
        said = refusal(families.family_of, model_type)
        assert said.startswith(f"model_type={model_type!r} is not supported; accepted: 'bert'")


@EVERY
def test_config_json_is_read_back(config):
    read = parse_config(config_json(config))
    assert read == dataclasses.replace(config, problem_type=config.problem)
    assert read.family is families.FAMILIES[config.model_type]


@EVERY
def test_checkpoints_are_read_back(config):
    params = random_params(config)
    tensors = to_tensors(params, config)
    found = to_params(tensors, config, "here")
    assert found.config == config
    jax.tree.map(np.testing.assert_array_equal, found.params, params)


@EVERY
def test_the_model_has_the_parameters_of_the_table(config):
    made = {path: leaf.shape for path, leaf in leaves(init(config, jax.random.key(0)))}
    assert made == {path: parameter.shape for path, parameter in parameters(config).items()}
    assert made == {path: leaf.shape for path, leaf in leaves(shapes(config))}


@EVERY
def test_linens_own_init_draws_the_same(config):
    ids = np.ones((1, 4), np.int32)
    drawn = Bert(config).init(jax.random.key(0), ids, ids, 0 * ids)["params"]
    jax.tree.map(np.testing.assert_array_equal, drawn, init(config, jax.random.key(0)))


@EVERY
def test_the_last_layer_computes_what_the_head_reads(config):
    assert Bert(config).queries == HEADS[config.head_kind].reads
    assert Bert(config, every_query=True).queries is None


@EVERY
def test_names_in_files_are_unique(config):
    written = [slot.written for slot in slots(config).values()]
    assert len(set(written)) == len(written)


@FACTS
def test_facts_agree(family):
    fields = [setting.field for setting in family.settings]
    assert len(set(fields)) == len(fields)
    tops = {leaf.path.split("/")[0] for leaf in (*family.outside, *family.head.leaves)}
    assert set(family.drawn) <= tops
    assert family.head.output in {leaf.tensor for leaf in family.head.leaves}
    for pattern in family.ignored:
        re.compile(pattern)


@FACTS
def test_the_tokenizer_class_is_of_the_family_s_kind(family):
    known = class_of(family, None)
    assert known is None or known.kind == family.tokens.kind


@FACTS
def test_templates_hold_each_text_once_in_order(family):
    for template, texts in ((family.tokens.single, [A]), (family.tokens.pair, [A, B])):
        assert [place.holds for place in template if not isinstance(place.holds, str)] == texts
        assert {place.holds for place in template if isinstance(place.holds, str)} <= family.tokens.special.keys()


SPECIAL = {"cls_token": ["<"], "sep_token": ["|"]}


def test_lay_by_hand():
    single, pair = BERT.tokens.single, BERT.tokens.pair
    assert lay(single, [["a", "b"]], SPECIAL) == [(["<"], 0, 0), (["a", "b"], 0, 0), (["|"], 0, 0)]
    assert lay(pair, [["a"], ["b"]], SPECIAL) == [
        (["<"], 0, 0),
        (["a"], 0, 0),
        (["|"], 0, 0),
        (["b"], 1, 1),
        (["|"], 1, 1),
    ]
    assert around(single) == (1, 1)


def test_room_by_hand():
    assert room(BERT.tokens.single, 10) == 8
    assert room(BERT.tokens.pair, 10) == 7
    assert "max_length=3 leaves no room for text; use at least 4" in refusal(room, BERT.tokens.pair, 3)


def test_positions_may_start_at_a_later_row(monkeypatch):
    config = TINY["bert"]
    params, ids = random_params(config), np.array([[3, 4, 5]])

    def logits(positions):
        embeddings = params["embeddings"] | {"position": positions}
        return Bert(config).apply({"params": params | {"embeddings": embeddings}}, ids, ids, 0 * ids)

    positions = params["embeddings"]["position"]
    assert config.longest_text == 20
    moved = logits(np.roll(positions, -2, axis=0))
    monkeypatch.setitem(families.FAMILIES, "bert", dataclasses.replace(BERT, position_offset=2))
    assert config.longest_text == 18
    np.testing.assert_array_equal(logits(positions), moved)


def test_a_setting_may_have_another_name_in_the_file(monkeypatch):
    settings = tuple(
        setting._replace(keys=("dim",)) if setting.field == "hidden_size" else setting for setting in BERT.settings
    )
    monkeypatch.setitem(families.FAMILIES, "bert", dataclasses.replace(BERT, settings=settings))
    raw = config_json(TINY["bert"])
    assert "hidden_size" not in raw
    assert parse_config(raw).hidden_size == raw["dim"] == 16
    assert "the config lacks dim" in refusal(parse_config, {**raw, "dim": None})
    assert "dim='16': expected a number" in refusal(parse_config, {**raw, "dim": "16"})


def test_a_constant_of_a_family_has_no_key_and_no_other_value():
    config = TINY["distilbert"]
    raw = config_json(config)
    assert not {"type_vocab_size", "layer_norm_eps"} & raw.keys()
    assert parse_config({**raw, "layer_norm_eps": 1e-5}).layer_norm_eps == 1e-12  # transformers does not read it either
    said = refusal(dataclasses.replace, config, type_vocab_size=2)
    assert "type_vocab_size=2 in the model's config: DistilBERT has 0" in said


def test_the_dropout_of_distilberts_head_is_never_null():
    assert config_json(TINY["distilbert"])["seq_classif_dropout"] == 0.2
    config = dataclasses.replace(TINY["distilbert"], classifier_dropout=None, hidden_dropout_prob=0.3)
    assert config_json(config)["seq_classif_dropout"] == 0.3
    assert config_json(TINY["bert"])["classifier_dropout"] is None


@pytest.mark.parametrize(
    ("model_type", "task", "rate"),
    [
        ("bert", "token_classification", 0.3),
        ("bert", "question_answering", 0),
        ("distilbert", "sequence_classification", 0.3),
        ("distilbert", "token_classification", 0.2),
        ("distilbert", "question_answering", 0.4),
        ("deberta-v2", "sequence_classification", 0.3),
        ("deberta-v2", "token_classification", 0.2),
        ("deberta-v2", "question_answering", 0),
        ("modernbert", "question_answering", 0.3),
    ],
)
def test_dropout_in_the_head_of_a_task(model_type, task, rate):
    """As in transformers' classes: DistilBERT's and DeBERTa's taggers drop as their layers, few readers at all."""
    rates = {"classifier_dropout": 0.3, "hidden_dropout_prob": 0.2, "answers_dropout": 0.4}
    assert dataclasses.replace(TINY[model_type], task=task, **rates).head_dropout == rate


def test_the_dropout_of_distilberts_answers_is_read_and_written():
    raw = config_json(TINY["distilbert"])
    assert raw["qa_dropout"] == 0.1
    assert config_json(parse_config({**raw, "qa_dropout": 0.25}))["qa_dropout"] == 0.25
    assert "qa_dropout" not in config_json(TINY["bert"])


def test_positions_after_the_pad_token():
    config = TINY["roberta"]
    assert config.longest_text == config.max_position_embeddings - 2
    assert dataclasses.replace(config, pad_token_id=0).longest_text == config.max_position_embeddings - 1
    assert "leaves no position" in refusal(dataclasses.replace, config, max_position_embeddings=2)
    assert "pad_token_id=-1" in refusal(dataclasses.replace, config, pad_token_id=-1)
    raw = {key: value for key, value in config_json(config).items() if key != "pad_token_id"}
    assert parse_config(raw).pad_token_id == 1


@pytest.mark.parametrize(
    "model_type",
    ["longformer", "xlnet", "big_bird", "nomic_bert", "deberta", "xlm-roberta-xl", "roberta-prelayernorm", "bart"],
)
def test_families_that_are_not_supported(model_type):
    said = refusal(parse_config, config_json(TINY["roberta"]) | {"model_type": model_type})
    assert said.startswith(f"model_type={model_type!r} is not supported; accepted: 'bert'")


@pytest.mark.parametrize(
    ("model_type", "tensor", "said"),
    [
        ("roberta", "classifier.weight", "a head for tokens or multiple choice"),
        ("roberta", "qa_outputs.weight", "a question-answering head"),
        ("distilbert", "classifier.out_proj.weight", "RoBERTa's classification head"),
    ],
)
def test_tensors_of_other_heads_are_refused(model_type, tensor, said):
    config = TINY[model_type]
    tensors = to_tensors(random_params(config), config) | {tensor: np.zeros((2, 16), np.float32)}
    assert f"tensor {tensor} is of {said}" in refusal(to_params, tensors, config, "here")


def test_tensors_that_roberta_does_not_need():
    config = TINY["roberta"]
    needless = [
        "roberta.pooler.dense.weight",
        "roberta.embeddings.position_ids",
        "lm_head.bias",
        "lm_head.dense.weight",
    ]
    tensors = to_tensors(random_params(config), config)
    found = to_params(tensors | dict.fromkeys(needless, np.zeros(2, np.float32)), config, "here")
    assert sorted(found.ignored) == sorted(needless)


def test_electra_widens_its_embeddings_only_where_they_are_narrower():
    config = TINY["electra"]
    assert parameters(config)["embeddings/widening/kernel"].shape == (8, 16)
    for equal in (None, 16):
        same = dataclasses.replace(config, embedding_size=equal)
        assert not [path for path in parameters(same) if "widening" in path]
        assert config_json(same)["embedding_size"] == 16
    tensors = to_tensors(random_params(config), config)
    assert tensors["electra.embeddings_project.weight"].shape == (16, 8)
    assert "embedding_width=0" in refusal(dataclasses.replace, config, embedding_size=0)
    said = refusal(dataclasses.replace, TINY["bert"], embedding_size=8)
    assert "BERT's embeddings are as wide as its layers, hidden_size=16" in said


@pytest.mark.parametrize(
    ("model_type", "key", "value", "said"),
    [
        ("roberta", "position_embedding_type", "relative_key", "accepted: 'absolute'"),
        ("xlm-roberta", "is_decoder", True, "accepted: a plain encoder"),
        ("camembert", "classifier_pooling", "mean", "CamemBERT's head reads <s>"),
        ("distilbert", "pruned_heads", {"0": [1]}, "accepted: a plain encoder"),
        ("electra", "pooling_mode", "mean", "ELECTRA's head reads [CLS]"),
    ],
)
def test_settings_that_are_refused_by_name(model_type, key, value, said):
    raw = config_json(TINY[model_type]) | {key: value}
    assert refusal(parse_config, raw) == f"{key}={value!r} is not supported; {said}."
