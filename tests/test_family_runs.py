"""What works for a BERT directory works for every family's: explanations, ledger, methods, files, training."""

import contextlib
import json

import jax
import numpy as np
import pytest
from family_models import CHANGES, tokenizer_of, write_family
from measures import relative_error
from models import FAMILIES, random_params, refusal, tiny_config
from questions import call_of
from tolerances import BATCH, FORWARD, LEDGER_FLOAT32, LEDGER_FLOAT64, OCCLUDED, SUM_FLOAT32
from training import LABELS, write_task

import autorel_jax as ar
from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.methods import METHODS
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.classifier import forward
from autorel_jax.cli.convert import main as convert
from autorel_jax.cli.train import main as train
from autorel_jax.export.write import export
from autorel_jax.lrp.composites import COMPOSITES, EMBEDDINGS, RELEVANCE, WORD_EMBEDDINGS, Composite
from autorel_jax.report.ledger import ledger_of
from autorel_jax.weights import fingerprint, read, write

TEXTS = ["a good film 😀", "it 's not terrible, but far from good", "naïve"]
ARCHITECTURES = [model_type for model_type in FAMILIES if model_type not in ("xlm-roberta", "camembert")]  # as RoBERTa
architectures = pytest.mark.parametrize("model_type", ARCHITECTURES)
each = pytest.mark.parametrize(
    "model_type",
    [*ARCHITECTURES, *(pytest.param(name, marks=pytest.mark.slow) for name in ("xlm-roberta", "camembert"))],
)
SOME = ("attnlrp", "bert_lrp")  # each is a program to compile, which takes seconds
QUICK_COMPOSITES = [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in COMPOSITES]
OTHERS = [name for name, method in METHODS.items() if not isinstance(method, Composite)]
QUICK_METHODS = [
    name if name in ("generic_attention", "lime") else pytest.param(name, marks=pytest.mark.slow) for name in OTHERS
]


def explained(classifier, text, **options):
    """The explanation of one text and target."""
    (found,) = ar.explain(classifier, text, **options)
    return found


def batch(config, lengths):
    """Rows of random ids of those lengths, padded; the tokens from the fifth on are a second text: ids, mask, types."""
    place = np.arange(max(lengths))
    mask = (place < np.array(lengths)[:, None]).astype(int)
    ids = np.random.default_rng(0).integers(5, config.vocab_size, mask.shape)
    return ids, mask, (place > 4) * mask * (config.type_vocab_size > 1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A directory of a tiny classifier for each model type."""
    root = tmp_path_factory.mktemp("families")
    return {model_type: write_family(root / model_type, model_type) for model_type in FAMILIES}


@pytest.fixture(scope="module")
def classifiers(folders):
    return {model_type: ar.load(folder) for model_type, folder in folders.items()}


@architectures
@pytest.mark.parametrize("name", QUICK_COMPOSITES)
def test_composites_leave_the_logits_alone_and_compile_once(model_type, name):
    config = FAMILIES[model_type]
    ids, mask, types = batch(config, [9, 4])
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(config, scale=0.2))
        plain = forward(config, None, params, ids, mask, types)
        if COMPOSITES[name].boundary is RELEVANCE and config.value("beyond"):
            said = refusal(Settings, config, COMPOSITES[name], EMBEDDINGS)
            assert said.startswith(f"{name} is for layers as BERT's: it has no rule for ")
            assert said.endswith(
                "Methods for this model: attnlrp, cp_lrp, blend, epsilon, gamma, alpha_beta, zplus, gradient_x_input."
            )
            return
        settings = Settings(config, COMPOSITES[name], COMPOSITES[name].reads[0])
        result = token_scores(settings, params, Texts(ids, mask, types), None, settings.values)
        assert relative_error(result.logits, plain) <= FORWARD
        assert np.isfinite(result.relevance).all()
        assert not np.asarray(result.relevance)[:, 0][mask == 0].any()
        before = token_scores._cache_size()
        other = jax.tree.map(np.float64, random_params(config, seed=1))
        token_scores(settings, other, Texts(ids[::-1], mask, types), None, settings.values)
        assert token_scores._cache_size() == before


@architectures
def test_no_recompilation_on_the_second_call(model_type):
    config = FAMILIES[model_type]
    at = Settings(config, COMPOSITES["attnlrp"], WORD_EMBEDDINGS)
    first, second = (
        token_scores(at, random_params(config, seed), Texts(*batch(config, lengths)), None, at.values).relevance
        for seed, lengths in ((0, [9, 4]), (5, [3, 9]))
    )
    before = token_scores._cache_size()
    token_scores(at, random_params(config, 7), Texts(*batch(config, [9, 9])), None, at.values)
    assert token_scores._cache_size() == before
    assert relative_error(second, first) > BATCH


@architectures
@pytest.mark.parametrize("method", ["attnlrp", "cp_lrp"])
def test_the_ledger_closes(model_type, method):
    config = FAMILIES[model_type]
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(config, scale=0.2))
        at = Settings(config, COMPOSITES[method], WORD_EMBEDDINGS, None, True, (), 5)
        weights = np.eye(config.num_labels)[None, :1]
        result = jax.device_get(token_scores(at, params, Texts(*batch(config, [9])), weights, at.values))
    absorbed = jax.tree.map(lambda array: array[0, 0], result.absorbed)
    ledger = ledger_of(float(result.logits[0, 0]), result.relevance[0, 0], np.zeros(9, bool), absorbed, False)
    assert abs(ledger.rounding) <= LEDGER_FLOAT64 * sum(map(abs, ledger.parts.values()))
    assert bool(ledger.segments) == (config.type_vocab_size > 0)


@each
def test_a_text_alone_and_in_a_batch(classifiers, model_type):
    together = ar.explain(classifiers[model_type], TEXTS, audit=True, readouts=("layers", "heads", "positions"))
    for text, found in zip(TEXTS, together, strict=True):
        alone = explained(classifiers[model_type], text)
        scale = abs(alone.token_relevance).max()
        np.testing.assert_allclose(found.token_relevance, alone.token_relevance, rtol=0, atol=BATCH * scale)
        assert found.words[1:-1] == tuple(text.split())
        assert found.word_relevance.sum() == pytest.approx(found.token_relevance.sum(), abs=SUM_FLOAT32)
        assert abs(found.ledger.rounding) <= LEDGER_FLOAT32 * sum(map(abs, found.ledger.parts.values()))


@architectures
@pytest.mark.parametrize("method", QUICK_METHODS)
def test_methods(classifiers, model_type, method):
    found = explained(classifiers[model_type], TEXTS[0], **call_of(method))
    assert np.isfinite(found.token_relevance).all()
    assert found.words[0] == classifiers[model_type].tokenizer.facts.special["cls_token"]


@each
@pytest.mark.parametrize("baseline", ["pad", "mask"])
def test_occlusion_takes_the_familys_own_tokens(classifiers, model_type, baseline):
    """By hand: the word's ids replaced by those of the token that stands in place of it."""
    classifier = classifiers[model_type]
    is_told = baseline == "pad" and classifier.tokenizer.facts.numbered  # that transformers would skip it
    with pytest.warns(ar.InputWarning, match="^baseline=pad: ") if is_told else contextlib.nullcontext():
        found = explained(classifier, "a good", method="occlusion", target=0, parameters={"baseline": baseline})
    batch = classifier.batch(["a good"])
    whole = classifier.logits(batch)[0, 0]
    absent = classifier.tokenizer.pad_id if baseline == "pad" else classifier.tokenizer.mask_id
    (tokens,) = classifier.tokens(["a good"])
    for word in (1, 2):
        ids = batch.ids.copy()
        ids[0, tokens.word_index == word] = absent
        changed = classifier.logits(type(batch)(ids, batch.mask, batch.types))[0, 0]
        assert found.word_relevance[word] == pytest.approx(whole - changed, abs=OCCLUDED)


@each
def test_windows_of_a_long_text(classifiers, model_type):
    text = "a good film and not a bad one " * 8
    found = explained(classifiers[model_type], text, long="windows")
    assert len(found.windows) > 1
    assert found.words[1:-1] == tuple(text.split())


@each
def test_an_exported_program(classifiers, model_type, tmp_path):
    pytest.importorskip("flatbuffers")
    classifier = classifiers[model_type]
    export(classifier, tmp_path / "a.zip", ar.ExplainConfig(target="all"), platforms=("cpu",))
    program = ar.load_program(tmp_path / "a.zip")
    assert program.about["model_type"] == model_type
    for (tokens, logits, relevance), text in zip(program.explain(TEXTS), TEXTS, strict=True):
        expected = ar.explain(classifier, text, target="all")
        assert tokens.words == expected[0].words
        np.testing.assert_allclose(logits, expected[0].logits, rtol=0, atol=BATCH)
        for one, found in zip(expected, relevance, strict=True):
            scale = abs(one.token_relevance).max()
            np.testing.assert_allclose(found, one.token_relevance, rtol=0, atol=BATCH * scale)


@each
def test_conversion(folders, model_type, tmp_path, capsys):
    assert convert([str(folders[model_type]), str(tmp_path / "out")]) == 0
    assert fingerprint(read(tmp_path / "out").params) == fingerprint(read(folders[model_type]).params)
    assert ar.load(tmp_path / "out").config == ar.load(folders[model_type]).config


@pytest.mark.slow  # a training step for each length
@architectures
def test_fine_tuning_from_an_encoder(model_type, tmp_path):
    tokenizer = tokenizer_of(tmp_path / "tokenizer", model_type)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "max_position_embeddings": 66, "initializer_range": 0.5}
    values = {"vocab_size": tokenizer.max_id + 1, "labels": ()} | CHANGES[model_type] | sizes
    config = tiny_config(**values, model_type=model_type)
    write(tmp_path / "encoder", config, random_params(config), tokenizer)
    task = write_task(tmp_path / "task", max_length=64, max_steps=20)
    assert train(["--config", str(task), "--output", str(tmp_path / "run")]) == 0
    made = ar.load(tmp_path / "run" / "model")
    assert made.config.labels == LABELS
    assert made.config.model_type == model_type
    assert json.loads((tmp_path / "run" / "model" / "config.json").read_text())["model_type"] == model_type
    assert explained(made, "a good film").words[1:-1] == ("a", "good", "film")
