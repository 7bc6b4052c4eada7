"""Checkpoints as people have them: LoRA adapters, prefixes, heads of their own, Trainer's folders, models in memory."""

import json
import types

import numpy as np
import pytest
from models import FAMILIES, VOCAB, bert_tensors, random_params, refusal, save, tiny_config
from safetensors.numpy import save_file
from test_similarity import with_modules
from tolerances import PARITY_FLOAT32

import autorel_jax as ar
from autorel_jax.cli.convert import main as convert
from autorel_jax.model.config_file import config_json
from autorel_jax.model.encoder import Bert
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights import Changes, fingerprint, read
from autorel_jax.weights.params import to_tensors

CONFIG = tiny_config()
CONFIG_JSON = config_json(CONFIG)
TENSORS = bert_tensors()


def same(found, expected=TENSORS):
    """Whether a checkpoint that was read is that of the tensors."""
    reference = {name: values.copy() for name, values in expected.items()}
    return fingerprint(found.params) == fingerprint(read(reference, config=CONFIG_JSON).params)


# --- prefixes and heads


@pytest.mark.parametrize(
    "prefix",
    ["base.", "model.", "model.bert.", "net.module.", "_orig_mod.model.", "encoder.", "base_model.model.bert."],
)
def test_prefixes(tmp_path, prefix):
    renamed = {prefix + name.removeprefix("bert."): values for name, values in TENSORS.items()}
    renamed = {name.replace(f"{prefix}classifier", "classifier"): values for name, values in renamed.items()}
    assert same(read(save(tmp_path, renamed)))


@pytest.mark.parametrize(
    ("head", "rename"),
    [("out", "out.=classifier."), ("classifier.1", "classifier.1.=classifier."), ("model.fc", "fc.=classifier.")],
)
def test_a_tutorials_own_head(tmp_path, capsys, head, rename):
    tensors = {name.replace("classifier", head): values for name, values in TENSORS.items()}
    folder = save(tmp_path / "own", tensors)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"p{i}" for i in range(56))]))
    said = refusal(read, folder)
    assert f"give --rename '{rename}' (rename= in Python)" in said
    assert same(read(folder, changes=Changes(rename=[rename])))
    assert convert([str(folder), str(tmp_path / "out"), "--rename", rename]) == 0
    assert same(read(tmp_path / "out"))
    capsys.readouterr()


def test_what_is_no_part_of_the_model_is_dropped(tmp_path):
    folder = save(tmp_path, TENSORS | {"loss_fct.weight": np.ones(2, np.float32)})
    said = refusal(read, folder)
    assert said.endswith("What is no part of the model may go: --drop 'loss_fct.weight' (drop= in Python).")
    assert same(read(folder, changes=Changes(drop=["loss_fct.*"])))


@pytest.mark.parametrize("model_type", ["deberta-v2", "roberta"])
def test_a_map_of_the_models_own_head_is_no_output(tmp_path, model_type):
    """Left over when the output is dropped, or has a name of its own."""
    config = FAMILIES[model_type]
    tensors = to_tensors(random_params(config), config)
    output = config.head_facts.output.removesuffix(".weight")
    folder = save(tmp_path / "own", tensors, config)
    said = refusal(read, folder, changes=Changes(drop=[f"{output}.*"]))
    assert "--rename" not in said
    assert said.endswith(f" The rest of that head is missing: {output}.weight.")
    named = {name.replace(f"{output}.", "out."): values for name, values in tensors.items()}
    said = refusal(read, save(tmp_path / "named", named, config))
    assert f"give --rename 'out.={output}.'" in said


def test_nothing_is_suggested_that_would_be_wrong(tmp_path):
    both = TENSORS | {"fc.weight": np.ones((2, 16), np.float32)}  # beside the head
    assert "--rename" not in refusal(read, save(tmp_path / "a", both))
    bare = {name: values for name, values in TENSORS.items() if "classifier" not in name}
    two = bare | {"fc1.weight": np.ones((2, 16), np.float32), "fc2.weight": np.ones((3, 16), np.float32)}
    assert "--rename" not in refusal(read, save(tmp_path / "b", two))
    narrow = bare | {"fc.weight": np.ones((2, 8), np.float32)}
    assert "--rename" not in refusal(read, save(tmp_path / "c", narrow))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Changes(rename=["out.=x."]), "rename 'out.=x.': no tensor of"),
        (Changes(rename=["out."]), "rename 'out.': expected OLD=NEW"),
        (Changes(rename=["bert.pooler.dense.=classifier."]), "makes a second classifier."),
        (Changes(drop=["loss*"]), "drop 'loss*' fits no tensor of"),
        (Changes(drop=["*pooler*"]), "lacks 2 of BERT's tensors: pooler.dense.weight"),
    ],
)
def test_changes_that_do_not_fit(tmp_path, changes, said):
    assert said in refusal(read, save(tmp_path, TENSORS), changes=changes)


def test_own_names_in_architectures(tmp_path):
    folder = save(tmp_path, TENSORS)
    raw = CONFIG_JSON | {"architectures": ["MyBertClassifier"]}
    (folder / "config.json").write_text(json.dumps(raw))
    said = refusal(read, folder)
    assert "change the line architectures to ['BertForSequenceClassification']." in said


# --- folders


def test_a_trainers_output_folder(tmp_path):
    for number in (50, 1000, 200):
        save(tmp_path / f"checkpoint-{number}", TENSORS)
    said = refusal(read, tmp_path)
    assert "give one of the folders in it, checkpoint-50, checkpoint-200, checkpoint-1000; trainer_state.json" in said
    assert same(read(tmp_path / "checkpoint-200"))


def test_a_folder_of_tensorflows_weights(tmp_path):
    (tmp_path / "tf_model.h5").touch()
    (tmp_path / "config.json").write_text("{}")
    said = refusal(read, tmp_path)
    assert "It has tf_model.h5: with transformers before 5, AutoModelForSequenceClassification.from_pretrained(" in said


# --- LoRA


RANK = 2
QUERY = "bert.encoder.layer.1.attention.self.query"
WORDS = "bert.embeddings.word_embeddings"


def write_adapter(folder, base, tensors=None, **settings):
    rng = np.random.default_rng(5)
    factors = {
        f"{QUERY}.lora_A.weight": rng.standard_normal((RANK, 16), np.float32),
        f"{QUERY}.lora_B.weight": rng.standard_normal((16, RANK), np.float32),
    }
    factors = factors if tensors is None else tensors
    folder.mkdir()
    save_file(
        {f"base_model.model.{name}": values for name, values in factors.items()}, folder / "adapter_model.safetensors"
    )
    raw = {"peft_type": "LORA", "base_model_name_or_path": str(base), "r": RANK, "lora_alpha": 6} | settings
    (folder / "adapter_config.json").write_text(json.dumps(raw))
    return factors


def with_change(factors, scale):
    delta = scale * factors[f"{QUERY}.lora_B.weight"] @ factors[f"{QUERY}.lora_A.weight"]
    return TENSORS | {f"{QUERY}.weight": TENSORS[f"{QUERY}.weight"] + delta}


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({}, 6 / RANK),
        ({"use_rslora": True}, 6 / RANK**0.5),
        ({"alpha_pattern": {"query": 8}}, 8 / RANK),
        ({"alpha_pattern": {"value": 8}}, 6 / RANK),
        ({"alpha_pattern": {r"layer\.1\.attention\.self\.query": 4}}, 4 / RANK),
    ],
)
def test_an_adapter_is_merged(tmp_path, settings, scale):
    save(tmp_path / "base", TENSORS)
    factors = write_adapter(tmp_path / "adapter", tmp_path / "base", **settings)
    found = to_tensors(read(tmp_path / "adapter").params, CONFIG)
    expected = with_change(factors, scale)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6, atol=1e-6, err_msg=name)
    assert np.abs(found[f"{QUERY}.weight"] - TENSORS[f"{QUERY}.weight"]).max() > 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lora_alpha": None}, "the alpha of lora_alpha is null; expected a number."),
        ({"lora_alpha": "16"}, 'the alpha of lora_alpha is "16"; expected a number.'),
        ({"alpha_pattern": {"query": "x"}}, 'the alpha of query is "x"; expected a number.'),
        ({"alpha_pattern": [1]}, "alpha_pattern=[1]: expected an object of numbers by pattern."),
        ({"alpha_pattern": {"(": 1}}, "alpha_pattern '(' is no pattern: "),
    ],
)
def test_alphas_that_are_none(tmp_path, settings, said):
    save(tmp_path / "base", TENSORS)
    write_adapter(tmp_path / "adapter", tmp_path / "base", **settings)
    assert said in refusal(read, tmp_path / "adapter")


def test_what_peft_writes_of_a_plain_adapter(tmp_path):
    """The keys of LoraConfig in PEFT 0.21, with the values that it has where nothing is said."""
    save(tmp_path / "base", TENSORS)
    raw = {
        **dict.fromkeys(("arrow_config", "auto_mapping", "corda_config", "eva_config", "exclude_modules", "revision")),
        **dict.fromkeys(("kasa_config", "layer_replication", "layers_pattern", "layers_to_transform", "use_bdlora")),
        **dict.fromkeys(("lora_ga_config", "megatron_config", "modules_to_save", "monteclora_config", "velora_config")),
        **dict.fromkeys(("alora_invocation_tokens", "target_parameters", "trainable_token_indices")),
        **dict.fromkeys(("ensure_weight_tying", "fan_in_fan_out", "lora_bias", "use_dora", "use_qalora"), False),
        **{key: {} for key in ("alpha_pattern", "loftq_config", "rank_pattern")},
        **{"bias": "none", "inference_mode": True, "init_lora_weights": True, "lora_dropout": 0.1},
        **{"megatron_core": "megatron.core", "peft_version": "0.21.2", "qalora_group_size": 16, "use_rslora": False},
        **{"target_modules": ["query"], "task_type": "SEQ_CLS"},
    }
    write_adapter(tmp_path / "adapter", tmp_path / "base", **raw)
    write_adapter(tmp_path / "bare", tmp_path / "base")
    assert fingerprint(read(tmp_path / "adapter").params) == fingerprint(read(tmp_path / "bare").params)


def test_an_adapter_says_what_its_head_is_for(tmp_path):
    """Its base is an encoder, whose config does not; a head of tokens on BERT has no pooler."""
    save(tmp_path / "base", TENSORS)
    write_adapter(tmp_path / "adapter", tmp_path / "base", task_type="TOKEN_CLS")
    found = read(tmp_path / "adapter")
    assert found.config.task == "token_classification"
    assert "pooler" not in found.params
    assert {name.rpartition("pooler.")[2] for name in found.ignored} == {"dense.weight", "dense.bias"}


def test_what_was_trained_in_full_and_tables(tmp_path):
    """A base without head and prefix, as BertModel is saved; a head, a bias and a table in the adapter."""
    bare = {name.removeprefix("bert."): v for name, v in TENSORS.items() if "classifier" not in name}
    save(tmp_path / "base", bare, tiny_config(labels=()))
    rng = np.random.default_rng(6)
    a, b = rng.standard_normal((RANK, 60), np.float32), rng.standard_normal((16, RANK), np.float32)
    more = {
        "classifier.modules_to_save.weight": TENSORS["classifier.weight"],
        "classifier.bias": TENSORS["classifier.bias"],
        "classifier.modules_to_save.default.bias": TENSORS["classifier.bias"],  # with bias="all"
        "classifier.original_module.bias": np.zeros(2, np.float32),
        f"{QUERY}.base_layer.bias": np.full(16, 7, np.float32),
        f"{WORDS}.lora_embedding_A": a,
        f"{WORDS}.lora_embedding_B": b,
    }
    write_adapter(tmp_path / "adapter", tmp_path / "base", more)
    checkpoint = read(tmp_path / "adapter")
    assert checkpoint.config.labels == ("LABEL_0", "LABEL_1")
    found = to_tensors(checkpoint.params, CONFIG)
    expected = TENSORS | {f"{QUERY}.bias": np.full(16, 7, np.float32)}
    expected |= {f"{WORDS}.weight": TENSORS[f"{WORDS}.weight"] + 3 * (b @ a).T}
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


def test_an_adapter_for_labels_on_a_model_of_sentence_embeddings(tmp_path):
    """Its task goes before modules.json of its base: its labels, and texts of any length."""
    bare = {name.removeprefix("bert."): v for name, v in TENSORS.items() if "classifier" not in name}
    with_modules(save(tmp_path / "base", bare, tiny_config(labels=())), sentence_bert_config={"max_seq_length": 6})
    rng = np.random.default_rng(6)
    head = {"classifier.weight": rng.standard_normal((3, 16), np.float32), "classifier.bias": np.ones(3, np.float32)}
    write_adapter(tmp_path / "adapter", tmp_path / "base", head, task_type="SEQ_CLS")
    assert read(tmp_path / "base", pretrained_heads=True).config.longest_text == 6
    silent = read(tmp_path / "adapter", pretrained_heads=True).config
    assert (silent.task, silent.labels, silent.longest_text) == (
        "sequence_classification",
        ("LABEL_0", "LABEL_1", "LABEL_2"),
        20,
    )
    own = config_json(tiny_config(labels=("bad", "fair", "good")))
    (tmp_path / "adapter" / "config.json").write_text(json.dumps(own))
    assert read(tmp_path / "adapter", pretrained_heads=True).config.labels == ("bad", "fair", "good")


@pytest.mark.parametrize("of_base", [True, False])
def test_an_adapter_with_modules_of_its_own(tmp_path, of_base):
    """As sentence-transformers writes one: pooling, length and Dense are those beside it, whatever its base has."""
    bare = {name.removeprefix("bert."): v for name, v in TENSORS.items() if "classifier" not in name}
    base = save(tmp_path / "base", bare, tiny_config(labels=()))
    if of_base:
        with_modules(base, sentence_bert_config={"max_seq_length": 6})
    factors = write_adapter(tmp_path / "adapter", base, task_type="FEATURE_EXTRACTION")
    dense = np.random.default_rng(7).standard_normal((4, 16), np.float32)
    kinds = ("Transformer", "Pooling", "Dense")
    folder = with_modules(
        tmp_path / "adapter", "pooling_mode_cls_token", kinds, sentence_bert_config={"max_seq_length": 9}
    )
    (folder / "2_Dense").mkdir()
    settings = {"in_features": 16, "out_features": 4, "bias": False}
    (folder / "2_Dense" / "config.json").write_text(json.dumps(settings))
    save_file({"linear.weight": dense}, folder / "2_Dense" / "model.safetensors")
    found = read(folder, pretrained_heads=True)
    assert (found.config.pools, found.config.longest_text, found.config.dense_width) == ("first", 9, 4)
    np.testing.assert_array_equal(found.params["dense"]["kernel"], dense.T)
    own = to_tensors(found.params, found.config)
    name = f"{QUERY}.weight"
    np.testing.assert_allclose(own[name], with_change(factors, 3)[name], rtol=1e-5, atol=1e-5)


def test_an_adapter_of_a_cross_encoder(tmp_path):
    """Its head and its length are beside it, and its base has neither."""
    bare = {name.removeprefix("bert."): v for name, v in TENSORS.items() if "classifier" not in name}
    save(tmp_path / "base", bare, tiny_config(labels=()))
    head = {"classifier.weight": np.ones((1, 16), np.float32), "classifier.bias": np.ones(1, np.float32)}
    write_adapter(tmp_path / "adapter", tmp_path / "base", head, task_type="SEQ_CLS")
    with_modules(tmp_path / "adapter", modules=("Transformer",), sentence_bert_config={"max_seq_length": 9})
    found = read(tmp_path / "adapter", pretrained_heads=True).config
    assert (found.task, found.num_labels, found.longest_text) == ("sequence_classification", 1, 9)


def test_a_folder_of_several_adapters(tmp_path):
    save(tmp_path / "base", TENSORS)
    folder = tmp_path / "adapters"
    folder.mkdir()
    for name in ("default", "other"):
        write_adapter(folder / name, tmp_path / "base")
    assert refusal(read, folder).endswith(" It has adapters in default, other: give one of these folders.")


@pytest.mark.parametrize("place", ["classifier.base_layer", "classifier.modules_to_save"])
def test_a_change_of_what_was_trained_in_full(tmp_path, place):
    """With target_modules="all-linear" the head is both; the change is one of the adapter's own matrix."""
    save(tmp_path / "base", TENSORS)
    rng = np.random.default_rng(8)
    a, b = rng.standard_normal((RANK, 16), np.float32), rng.standard_normal((2, RANK), np.float32)
    own = rng.standard_normal((2, 16), np.float32)
    more = {f"{place}.weight": own, "classifier.lora_A.weight": a, "classifier.lora_B.weight": b}
    write_adapter(tmp_path / "adapter", tmp_path / "base", more)
    found = to_tensors(read(tmp_path / "adapter").params, CONFIG)["classifier.weight"]
    np.testing.assert_allclose(found, own + 3 * (b @ a), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"peft_type": "PROMPT_TUNING"},
            "peft_type='PROMPT_TUNING' is not supported; accepted: 'LORA'. merge it with PEFT",
        ),
        ({"use_dora": True}, "use_dora=True is not supported; merge it with PEFT"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights=pissa changed the base's own weights"),
        ({"init_lora_weights": "lora_ga"}, "init_lora_weights=lora_ga changed the base's own weights"),
        ({"base_model_name_or_path": "./nowhere/base"}, "is a LoRA adapter of ./nowhere/base, which is not at hand ("),
        ({"base_model_name_or_path": None}, "names no base model"),
        ({"kasa_config": {"beta": 1}}, "kasa_config={'beta': 1} is not supported; merge it with PEFT"),
        ({"not_known_yet": 4}, "not_known_yet=4 is not supported; merge it with PEFT"),
        ({"revision": "v2"}, "at revision 'v2', but "),
        ({"revision": 2}, "revision=2: expected a branch, a tag or a commit."),
    ],
)
def test_adapters_that_are_refused(tmp_path, settings, said):
    save(tmp_path / "base", TENSORS)
    write_adapter(tmp_path / "adapter", tmp_path / "base", **settings)
    assert said in refusal(read, tmp_path / "adapter")


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({f"{QUERY}.lora_A.weight": np.ones((2, 16), np.float32)}, "has not both factors"),
        (
            {
                "bert.nowhere.lora_A.weight": np.ones((2, 16), np.float32),
                "bert.nowhere.lora_B.weight": np.ones((16, 2), np.float32),
            },
            "bert.nowhere has not both factors, or is not in the base model.",
        ),
        (
            {
                f"{QUERY}.lora_A.weight": np.ones((2, 8), np.float32),
                f"{QUERY}.lora_B.weight": np.ones((16, 2), np.float32),
            },
            "has shape [16, 8], not [16, 16]",
        ),
        (
            {"classifier.bias": np.ones(2), "classifier.modules_to_save.default.bias": np.zeros(2)},
            "holds classifier.bias twice, with other values",
        ),
        ({f"{QUERY}.lora_magnitude_vector": np.ones(16, np.float32)}, "tensors that BERT's classifier does not have"),
    ],
)
def test_factors_that_do_not_fit(tmp_path, tensors, said):
    save(tmp_path / "base", TENSORS)
    write_adapter(tmp_path / "adapter", tmp_path / "base", tensors)
    assert said in refusal(read, tmp_path / "adapter")


def test_an_adapter_without_its_weights(tmp_path):
    save(tmp_path / "base", TENSORS)
    write_adapter(tmp_path / "adapter", tmp_path / "base")
    (tmp_path / "adapter" / "adapter_model.safetensors").unlink()
    assert "holds adapter_config.json but none of adapter_model.safetensors" in refusal(read, tmp_path / "adapter")


def test_a_model_with_an_adapter_inside():
    wrapped = {
        name.replace("1.attention.self.query.", "1.attention.self.query.base_layer."): v for name, v in TENSORS.items()
    }
    wrapped[f"{QUERY}.lora_A.default.weight"] = np.ones((2, 16), np.float32)
    said = refusal(read, wrapped, config=CONFIG_JSON)
    assert said.endswith("It holds a LoRA adapter that is not merged: model.merge_and_unload() of PEFT merges it.")


# --- in memory


def test_a_state_dict_in_memory():
    tokenizer = load_tokenizer(VOCAB)
    config = tiny_config(vocab_size=tokenizer.max_id + 1)
    state = bert_tensors(config)
    classifier = ar.load(state, config=config_json(config), tokenizer=VOCAB)
    assert classifier.name == "the dict"
    assert len(ar.explain(classifier, "a good film")) == 1
    assert "has no config; give config=" in refusal(ar.load, state, tokenizer=VOCAB)
    assert "brings no tokenizer; give tokenizer=" in refusal(ar.load, state, config=config_json(config))
    said = refusal(ar.load, state, config=config_json(config), tokenizer=5)
    assert said == "tokenizer is a int; expected one of transformers, or a path."
    model = types.SimpleNamespace(save_pretrained=lambda folder: None)
    said = refusal(ar.load, state, config=config_json(config), tokenizer=model)
    assert said == "tokenizer is a SimpleNamespace; expected one of transformers, or a path."
    said = refusal(ar.load, state | {"x": "y"}, config=config_json(config), tokenizer=VOCAB)
    assert said.startswith("x is a str, not a tensor")
    said = refusal(ar.load, {"x._packed_params.dtype": "qint8"} | state, config=config_json(config), tokenizer=VOCAB)
    assert said == (
        "x._packed_params.dtype is of a quantized model, which is not read; give the model of floats that it was made "
        "from."
    )


@pytest.mark.parity
@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert"])
def test_a_model_of_transformers_in_memory(model_type):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = FAMILIES[model_type]
    raw = {key: value for key, value in config_json(config).items() if key != "architectures"}
    model = transformers.AutoModelForSequenceClassification.from_config(transformers.AutoConfig.for_model(**raw)).eval()
    for given in (model, model.state_dict()):
        found = read(given, config=None if given is model else model.config)
        ids = np.random.default_rng(0).integers(5, 50, (2, 9))
        with torch.no_grad():
            expected = model(torch.tensor(ids)).logits.numpy()
        logits = Bert(found.config).apply({"params": found.params}, ids, np.ones_like(ids), np.zeros_like(ids))
        np.testing.assert_allclose(logits, expected, rtol=0, atol=PARITY_FLOAT32)
    model = model.to(torch.bfloat16)
    assert read(model).params["classifier"]["kernel"].dtype == np.float32


@pytest.mark.parity
def test_settings_put_on_a_tokenizer_in_memory():
    """transformers saves them as they were read; what counts is what they are."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.BertTokenizerFast(str(VOCAB))
    config = tiny_config(vocab_size=len(tokenizer))
    tokenizer.truncation_side, tokenizer.model_max_length = "left", 6
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    classifier = ar.load(bert_tensors(config), config=config_json(config), tokenizer=tokenizer)
    first, second = "a good film , not a bad one", "so it is"
    (cut,) = classifier.tokens([first])
    assert list(cut.ids) == tokenizer(first, truncation=True)["input_ids"]
    tokenizer.model_max_length = 64
    classifier = ar.load(bert_tensors(config), config=config_json(config), tokenizer=tokenizer)
    (pair,) = classifier.tokens([first], [second])
    assert list(pair.ids) == tokenizer(first, second)["input_ids"]
    assert not any(pair.types)


@pytest.mark.parity
def test_changes_of_a_tokenizer_in_memory_that_its_files_lack():
    """What its files make is compared with what it makes; transformers itself ignores some of what is set later."""
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    config = tiny_config(vocab_size=len(transformers.BertTokenizer(str(VOCAB))))

    def said(change):
        tokenizer = transformers.BertTokenizer(str(VOCAB))
        change(tokenizer)
        return refusal(ar.load, bert_tensors(config), config=config_json(config), tokenizer=tokenizer)

    def cased(tokenizer):
        tokenizer.backend_tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=False)

    def bare(tokenizer):
        tokenizer.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            "[CLS] $A", None, [("[CLS]", 2)]
        )

    def pairs(tokenizer):
        tokenizer.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            "[CLS] $A [SEP]", "[CLS] $A $B [SEP]", [("[CLS]", 2), ("[SEP]", 3)]
        )

    def types(tokenizer):
        tokenizer.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            "[CLS]:1 $A:1 [SEP]:1", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
        )

    def unclean(tokenizer):
        tokenizer.backend_tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(clean_text=False)

    changes = [cased, bare, pairs, types, unclean]
    changes += [lambda tokenizer: setattr(tokenizer, "split_special_tokens", True)]
    changes += [lambda tokenizer: setattr(tokenizer, "do_lower_case", False)]
    changes += [lambda tokenizer: setattr(tokenizer, "sep_token", "good")]
    for change in changes:
        assert "something was changed on it after loading. Give such settings to from_pretrained" in said(change)


@pytest.mark.parity
def test_models_in_memory_that_compute_something_else():
    """A forward of their own is said, modules that the config would not make are refused."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    sizes = dict(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    config = transformers.BertConfig(**sizes, num_labels=2)

    class Mean(transformers.BertForSequenceClassification):
        def forward(self, input_ids, **others):
            return self.classifier(self.bert(input_ids, **others).last_hidden_state.mean(dim=1))

    class Named(transformers.BertForSequenceClassification):
        pass

    with_names = config.to_dict() | {"architectures": ["BertForSequenceClassification"]}
    assert any(
        "a forward of its own, which is not read" in line for line in read(Mean(config), config=with_names).warnings
    )
    model = Named(config)
    assert not any("forward" in line for line in read(model, config=with_names).warnings)
    model.forward = lambda input_ids: None
    assert any("a forward of its own" in line for line in read(model, config=with_names).warnings)
    model = transformers.BertForSequenceClassification(config)
    model.resize_token_embeddings(60, mean_resizing=False)
    with_names["vocab_size"] = 60
    model.classifier.loss = torch.nn.CrossEntropyLoss()
    assert not any("forward" in line for line in read(torch.nn.DataParallel(model), config=with_names).warnings)
    assert read(torch.nn.DataParallel(model)).config == read(model).config  # the wrapped model brings its config
    model.bert.pooler.activation = torch.nn.ReLU()
    said = refusal(read, torch.nn.DataParallel(model), config=with_names)
    assert said.startswith(
        "bert.pooler.activation of the BertForSequenceClassification is ReLU(), but its config makes Tanh()"
    )
    model.bert.pooler.activation = torch.nn.Tanh()
    model.bert.embeddings.LayerNorm.eps = 0.1
    assert refusal(read, model).startswith("bert.embeddings.LayerNorm of the")
    model.bert.embeddings.LayerNorm.eps = config.layer_norm_eps
    model.config.num_attention_heads = 4  # the model still computes with 2
    assert "num_attention_heads=2" in refusal(read, model)
    model.config.num_attention_heads = 2
    model.bert.encoder.layer[0].attention.self.scaling = 1.0
    assert "scaling=1.0" in refusal(read, model)


@pytest.mark.parity
def test_what_no_tensor_of_a_model_in_memory_tells():
    """Buffers that no file holds, rows that are scaled, attention by a function of one's own."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    sizes = dict(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    modern = transformers.ModernBertConfig(
        **sizes, **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 1)
    )

    def bert():
        return transformers.BertForSequenceClassification(transformers.BertConfig(**sizes)).eval()

    model = bert()
    model.bert.embeddings.position_ids += 1
    assert refusal(read, model).startswith("bert.embeddings.position_ids of the BertForSequenceClassification is not")
    model = bert()
    model.bert.embeddings.word_embeddings = torch.nn.Embedding(50, 16, max_norm=0.3)
    assert "Embedding(max_norm=0.3)" in refusal(read, model)
    model = bert()
    transformers.AttentionInterface.register("of_a_test", lambda *args, **more: None)
    model.set_attn_implementation("of_a_test")
    assert "is computed by 'of_a_test', a function that transformers does not bring" in refusal(read, model)
    model.set_attn_implementation("eager")
    assert read(model).config.task == "sequence_classification"
    model = transformers.ModernBertForSequenceClassification(modern)
    assert read(model.double()).warnings == ()
    for made in (model.to(torch.bfloat16), model.float()):  # which rounds its rotary frequencies
        assert any("is in half precision; exact numbers are read" in line for line in read(made).warnings)
    model = transformers.ModernBertForSequenceClassification(modern)
    model.config.rope_parameters["full_attention"]["rope_theta"] = 7.0  # the model was made with another
    assert "inv_freq of the ModernBertForSequenceClassification is not what its config makes" in refusal(read, model)


@pytest.mark.parity
def test_settings_of_a_model_in_memory_that_change_no_number():
    """Names, the way that attention is computed, the number of layers that was counted once, tied layers."""
    transformers = pytest.importorskip("transformers")
    sizes = dict(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    albert = transformers.AlbertForSequenceClassification(transformers.AlbertConfig(**sizes, embedding_size=8))
    albert.set_attn_implementation("eager")
    albert.config._name_or_path = "me/mine"
    assert read(albert).config.num_hidden_layers == 2
    config = transformers.DistilBertConfig(vocab_size=50, dim=16, n_layers=2, n_heads=2, hidden_dim=32)
    distilbert = transformers.DistilBertForSequenceClassification(config)
    del distilbert.distilbert.transformer.layer[1]
    distilbert.config.n_layers = 1
    assert read(distilbert).config.num_hidden_layers == 1
    tied = transformers.BertForSequenceClassification(transformers.BertConfig(**sizes))
    tied.bert.encoder.layer[1] = tied.bert.encoder.layer[0]
    assert read(tied).config.num_hidden_layers == 2


@pytest.mark.parity
def test_a_model_in_memory_beside_another_config():
    transformers = pytest.importorskip("transformers")
    sizes = dict(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    model = transformers.BertForSequenceClassification(transformers.BertConfig(**sizes))
    named = transformers.BertConfig(**sizes, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})
    assert read(model, config=named).config.labels == ("bad", "good")
    said = refusal(read, model, config=transformers.BertConfig(**sizes, hidden_act="relu", layer_norm_eps=0.1))
    assert said.startswith("config= differs in hidden_act, layer_norm_eps from the config that the BertForSequence")
    deberta = transformers.DebertaV2Config(**sizes, relative_attention=True, pos_att_type=["c2p", "p2c"])
    model = transformers.DebertaV2ForSequenceClassification(deberta)
    model.config.pos_att_type = ["c2p"]  # the model was made with both
    assert "pos_att_type" in refusal(read, model)


@pytest.mark.parity
def test_a_tokenizer_of_ones_own_by_a_known_name():
    transformers = pytest.importorskip("transformers")

    class BertTokenizer(transformers.BertTokenizer):
        def __call__(self, text, *more, **options):
            return super().__call__(text.replace("2023", "year"), *more, **options)

    config = tiny_config(vocab_size=len(transformers.BertTokenizer(str(VOCAB))))
    tokenizer = BertTokenizer(str(VOCAB))
    said = refusal(ar.load, bert_tensors(config), config=config_json(config), tokenizer=tokenizer)
    assert said.startswith("the BertTokenizer is a class of test_own_checkpoints, whose code is not run")


@pytest.mark.parity
def test_heads_that_only_architectures_tells_apart():
    """ModernBERT's for tokens, answers and texts have the same tensors; multiple choice is refused."""
    transformers = pytest.importorskip("transformers")
    sizes = dict(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    modern = transformers.ModernBertConfig(
        **sizes, **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 1)
    )

    class Tagger(transformers.ModernBertForTokenClassification):
        pass

    model = Tagger(modern)
    assert read(model).config.task == "token_classification"
    assert not any("names no head" in line for line in read(model).warnings)
    (said,) = (line for line in read(model.state_dict(), config=modern).warnings if "names no head" in line)
    assert "those of ModernBertForTokenClassification and ModernBertForQuestionAnswering have the same tensors" in said
    model = transformers.BertForMultipleChoice(transformers.BertConfig(**sizes))
    assert "architecture 'BertForMultipleChoice' is not supported" in refusal(read, model)


@pytest.mark.parity
def test_models_in_memory_with_hooks():
    """Hooks, a submodule's own forward and a class of the same name are not run: that is said, or refused."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    sizes = dict(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)

    def made():
        return transformers.BertForSequenceClassification(transformers.BertConfig(**sizes, num_labels=2)).eval()

    model = made()
    model(torch.tensor([[1, 2]]), output_hidden_states=True, output_attentions=True)  # transformers' own hooks
    assert not any("hook" in line for line in read(model).warnings)
    model.bert.encoder.layer[1].register_forward_hook(lambda module, given, found: None)
    said = "bert.encoder.layer.1 of the BertForSequenceClassification has a hook or a forward of its own, not read here"
    assert said in read(model).warnings
    model = made()
    model.classifier.forward = lambda given: given
    assert any(line.startswith("classifier of the") for line in read(model).warnings)

    class Linear(torch.nn.Linear):
        def forward(self, given):
            return 2 * super().forward(given)

    model = made()
    model.classifier = Linear(16, 2)
    assert refusal(read, model).startswith("classifier of the BertForSequenceClassification is test_own_checkpoints.")


@pytest.mark.parity
def test_a_lightning_checkpoint(tmp_path):
    torch = pytest.importorskip("torch")
    save(tmp_path, {}, file="none")
    state = {f"model.{name}": torch.tensor(values) for name, values in TENSORS.items()}
    state |= {"criterion.weight": torch.ones(2)}
    whole = {
        "epoch": 2,
        "global_step": 100,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": state,
        "hyper_parameters": {"lr": 1e-5},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "dirpath": "x"}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-5}]}],
        "lr_schedulers": [],
    }
    torch.save(whole, tmp_path / "last.ckpt")
    for path in (tmp_path, tmp_path / "last.ckpt"):
        assert same(read(path, changes=Changes(drop=["criterion.*"])))
