"""Every key of config.json: honoured, harmless, refused by name, or warned of; and what one output is."""

import json

import numpy as np
import pytest
from models import FAMILIES, bert_tensors, refusal, save, tiny_config, write_model
from tolerances import BATCH, PARITY_FLOAT32

import autorel_jax as ar
from autorel_jax.cli.explain import main
from autorel_jax.families.keys import HARMLESS, READ, REFUSALS
from autorel_jax.model.config import MULTI, REGRESSION, SINGLE
from autorel_jax.model.config_file import config_json, doubts, parse_config
from autorel_jax.weights import read

RAW = config_json(tiny_config())


def doubted(raw):
    return list(doubts(raw, parse_config(raw)))


def unknown(raw):
    return [doubt for doubt in doubted(raw) if doubt.startswith("unknown keys")]


def test_a_key_that_nobody_knows_is_warned_of_once(tmp_path):
    save(tmp_path, bert_tensors())
    raw = RAW | {"rope_theta": 1e4, "hidden_scale": 2, "transformers_version": "5.0", "_name_or_path": "x"}
    (tmp_path / "config.json").write_text(json.dumps(raw))
    (said,) = read(tmp_path).warnings
    assert said.startswith(f"{tmp_path}/config.json: unknown keys, which are not read: rope_theta, hidden_scale;")


@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_we_write_is_known(model_type):
    assert doubted(config_json(FAMILIES[model_type])) == []


def test_no_key_is_in_two_lists():
    refused = {key for refusal in REFUSALS for key in refusal.keys}
    for config in FAMILIES.values():
        family = config.family
        settings = {key for setting in family.settings for key in setting.keys}
        own = {key for refusal in family.refusals for key in refusal.keys}
        lists = [set(READ), set(HARMLESS), set(family.harmless), settings, refused, own]
        assert len(set().union(*lists)) == sum(map(len, lists)), family.name
    assert all(reason for reason in HARMLESS.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"is_encoder_decoder": True}, "is_encoder_decoder=True is not supported; accepted: a plain encoder."),
        ({"directionality": "unidirectional"}, "directionality='unidirectional' is not supported; accepted: 'bidi'."),
        ({"pooler_type": "mean"}, "pooler_type='mean' is not supported; accepted: 'first_token_transform'."),
        ({"quantization_config": {"load_in_8bit": True}}, "is not supported; quantized weights are not read"),
        ({"adapters": {"a": 1}}, "is not supported; merge the adapters first."),
        ({"auto_map": {"AutoModelForSequenceClassification": "m.M"}}, "names code of the model's own, which is not"),
    ],
)
def test_keys_that_are_refused(change, said):
    assert said in refusal(parse_config, RAW | change)


def test_googles_keys_are_accepted():
    google = {"directionality": "bidi", "pooler_type": "first_token_transform", "pooler_fc_size": 768}
    assert parse_config(RAW | google | {"auto_map": {"AutoConfig": "c.C"}}) == parse_config(RAW)
    assert not unknown(RAW | google)


def test_both_spellings_of_distilberts_sizes():
    raw = config_json(FAMILIES["distilbert"])
    del raw["n_heads"]
    assert parse_config(raw | {"num_attention_heads": 2}).num_attention_heads == 2
    said = refusal(parse_config, raw | {"n_heads": 4, "num_attention_heads": 2})
    assert said == "n_heads=4 and num_attention_heads=2 contradict each other."
    assert parse_config(raw | {"n_heads": 4, "num_attention_heads": 4}).num_attention_heads == 4


def test_a_label2id_alone_is_said_not_to_be_read():
    raw = {key: value for key, value in RAW.items() if key != "id2label"}
    (said,) = doubted(raw | {"label2id": {"x": 1, "y": 0}})
    assert said.startswith("label2id stands without id2label, and is not read")


@pytest.mark.parametrize(
    ("label2id", "warned"),
    [
        ({"negative": 0, "positive": 1}, False),
        ({"negative": "0", "positive": "1"}, False),
        ({}, False),
        (None, False),
        ({"negative": 1, "positive": 0}, True),
        ({"LABEL_0": 0, "LABEL_1": 1}, True),
    ],
)
def test_a_label2id_that_contradicts(label2id, warned):
    assert any("label2id contradicts id2label" in doubt for doubt in doubted(RAW | {"label2id": label2id})) == warned


def test_a_config_in_memory_has_numbers_for_keys():
    names = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
    assert doubted(RAW | names) == []


@pytest.mark.parametrize(("count", "warned"), [(None, False), (len(RAW["id2label"]), False), (7, True)])
def test_num_labels_beside_names(count, warned):
    assert any("contradicts id2label, whose" in doubt for doubt in doubted(RAW | {"num_labels": count})) == warned


# --- one output


@pytest.fixture(scope="module")
def one_output(tmp_path_factory):
    """A model with one output whose config says nothing of it."""
    folder = tmp_path_factory.mktemp("one") / "model"
    write_model(folder, labels=("toxic",))
    return folder


def test_one_output_of_which_nothing_is_said_stays_so(one_output):
    assert json.loads((one_output / "config.json").read_text())["problem_type"] is None
    (found,) = ar.explain(ar.load(one_output), "a good film")
    assert found.prediction.probability is None


@pytest.mark.parametrize("problem", [SINGLE, MULTI])
def test_one_output_as_a_probability_is_its_sigmoid(one_output, problem):
    classifier = ar.load(one_output, problem_type=problem)
    found = ar.explain(classifier, ["a good film", "bad"])
    for e in found:
        expected = 1 / (1 + np.exp(-e.prediction.logit))
        assert 0 < expected < 1
        assert e.prediction.probability == pytest.approx(expected, rel=BATCH)
    (logarithm,) = ar.explain(classifier, "a good film", target="log_probability:toxic")
    assert logarithm.target_value == pytest.approx(np.log(found[0].prediction.probability), rel=BATCH)
    assert np.abs(logarithm.token_relevance).max() > 0


def test_problem_type_of_a_file_is_read(one_output, tmp_path):
    """transformers refuses to load such a file; what we write it loads, and it is the same sigmoid."""
    raw = json.loads((one_output / "config.json").read_text()) | {"problem_type": SINGLE}
    config = parse_config(raw)
    assert (config.problem, config.is_sigmoid) == (SINGLE, True)
    assert config_json(config)["problem_type"] == MULTI
    assert not parse_config(raw | {"problem_type": REGRESSION}).is_sigmoid
    assert parse_config(RAW | {"problem_type": MULTI}).is_sigmoid
    assert not parse_config(RAW).is_sigmoid


def test_an_unknown_problem_type(one_output):
    said = refusal(ar.load, one_output, problem_type="ranking")
    assert said == f"problem_type='ranking' is unknown; accepted: {SINGLE}, {MULTI}, {REGRESSION}."


@pytest.mark.parametrize(
    ("flags", "introduced", "shown"),
    [
        (
            (),
            "labels toxic (one output: a regression, as no problem_type says otherwise; see --problem-type)",
            "toxic ",
        ),
        (("--problem-type", SINGLE), "labels toxic (one output: a probability)", " % (target toxic"),
        (("--problem-type", REGRESSION), "labels toxic (one output: a regression)", "toxic "),
    ],
)
def test_the_command_says_what_one_output_is(one_output, capsys, flags, introduced, shown):
    assert main(["a good film", "--model", str(one_output), *flags]) == 0
    captured = capsys.readouterr()
    assert introduced in captured.err.splitlines()[0]
    assert shown in captured.out.splitlines()[0]
    assert "100" not in captured.out.splitlines()[0]


# --- ids beyond their tables, which XLA clamps


def test_a_pair_for_a_model_of_one_segment(tmp_path):
    write_model(tmp_path / "model", type_vocab_size=1)
    classifier = ar.load(tmp_path / "model")
    assert "tells 1 kind(s) of segments apart" in refusal(ar.explain, classifier, ["a film"], ["good"])
    assert len(ar.explain(classifier, ["a film"])) == 1


# --- beside transformers


@pytest.mark.parity
@pytest.mark.parametrize("model_type", FAMILIES)
def test_every_key_of_transformers_is_in_a_list(model_type):
    transformers = pytest.importorskip("transformers")
    raw = transformers.AutoConfig.for_model(model_type).to_dict() | {"architectures": None}
    assert unknown(json.loads(json.dumps(raw, default=str))) == []


FORM = {"return_dict", "use_return_dict", "torchscript", "dtype", "torch_dtype"}  # of what is returned; its precision


def odd(automatic, raw, key):
    """A config of transformers with another value of that key, of whichever type it takes."""
    for value in ("eager",) if key == "attn_implementation" else (True, 1, 0.5, "gelu", [1]):
        try:
            return automatic.for_model(**raw | {key: value})
        except Exception:  # its validation has errors of several kinds
            continue
    raise AssertionError(key)


@pytest.mark.parity
@pytest.mark.parametrize("model_type", ["bert", "distilbert", "electra", "modernbert", "roberta"])
def test_harmless_keys_change_no_logit_of_transformers(model_type):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = FAMILIES[model_type]
    raw = {key: value for key, value in config_json(config).items() if key != "architectures"}
    automatic = transformers.AutoModelForSequenceClassification
    plain = automatic.from_config(transformers.AutoConfig.for_model(**raw)).eval()
    ids = torch.tensor(np.random.default_rng(0).integers(5, 50, (2, 9)))
    for key in (HARMLESS.keys() | config.family.harmless.keys()) - FORM:
        other = automatic.from_config(odd(transformers.AutoConfig, raw, key)).eval()
        other.load_state_dict(plain.state_dict())
        with torch.no_grad():
            expected, found = plain(ids).logits, other(ids).logits
        np.testing.assert_allclose(found, expected, rtol=0, atol=PARITY_FLOAT32, err_msg=key)
