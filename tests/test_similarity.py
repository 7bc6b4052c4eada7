"""Sentence embeddings: vectors, similarities and the matrix of BiLRP."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from family_models import write_family
from models import VOCAB, random_params, refusal, tiny_config, write_model
from safetensors.numpy import load_file, save_file
from tolerances import SAME_TEXT

import autorel_jax as ar
from autorel_jax.cli.similar import main
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights import write

A, B = "the good film, a witty one.", "a bad film"
MODULES = ("Transformer", "Pooling", "Normalize")


def embedder(folder, pooling="pooling_mode_mean_tokens", modules=MODULES, extra=None, **settings):
    """A directory of sentence-transformers with a tiny BERT, and tensors that it does not have."""
    tokenizer = load_tokenizer(VOCAB)
    config = tiny_config(vocab_size=tokenizer.max_id + 1, max_position_embeddings=64, labels=(), num_hidden_layers=2)
    write(folder, config, random_params(config, scale=0.3), tokenizer)
    if extra:
        save_file(load_file(folder / "model.safetensors") | extra, folder / "model.safetensors")
    return with_modules(folder, pooling, modules, **settings)


def with_modules(folder, pooling="pooling_mode_mean_tokens", modules=MODULES, **settings):
    """The files of sentence-transformers in the directory of an encoder."""
    paths = ["", *(f"{number}_{name}" for number, name in enumerate(modules[1:], start=1))]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{name}"}
        for number, (path, name) in enumerate(zip(paths, modules, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({pooling: True, "word_embedding_dimension": 16}))
    for name, value in settings.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return embedder(tmp_path_factory.mktemp("models") / "mean")


@pytest.fixture(scope="module")
def model(folder):
    return ar.load(folder)


@pytest.fixture(scope="module")
def found(model):
    return ar.similarity(model, A, B)


def hidden(model, text):
    """The last layer's output for a text [T, D]."""
    batch, variables = model.batch([text]), {"params": model.params}
    from autorel_jax.model.encoder import Bert

    bert = Bert(model.config)
    embedded = bert.apply(variables, bert.apply(variables, batch.ids, method="lookup"), batch.types, method="embed")
    return np.asarray(bert.apply(variables, embedded, batch.mask, method="encode")[0][0])


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_a_cross_encoder_in_the_same_layout(tmp_path):
    """Its head is its own; the most tokens and prompts are sentence-transformers' as of embedders."""
    write_model(tmp_path / "model", labels=("relevance",), max_position_embeddings=64)
    alone = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.Transformer"}]
    (tmp_path / "model" / "modules.json").write_text(json.dumps(alone))
    assert ar.load(tmp_path / "model").longest_text == 64
    (tmp_path / "model" / "sentence_bert_config.json").write_text('{"max_seq_length": 10}')
    assert ar.load(tmp_path / "model").longest_text == 10
    (tmp_path / "model" / "config_sentence_transformers.json").write_text('{"default_prompt_name": "web"}')
    assert "default_prompt_name='web' puts a prompt before each text" in refusal(ar.load, tmp_path / "model")
    (tmp_path / "model" / "modules.json").write_text(json.dumps([*alone, {"type": "a.Dense", "path": "1"}]))
    assert "has the modules Transformer, Dense, but the weights have a head" in refusal(ar.load, tmp_path / "model")


def test_vectors_are_the_mean_or_the_first_token(model, tmp_path):
    plain = dataclasses.replace(model, config=dataclasses.replace(model.config, normalizes=False))
    np.testing.assert_allclose(plain.logits(plain.batch([A]))[0], hidden(model, A).mean(0), rtol=0, atol=1e-6)
    first = ar.load(embedder(tmp_path / "cls", "pooling_mode_cls_token", MODULES[:2]))
    vector = first.logits(first.batch([A]))[0]
    np.testing.assert_allclose(vector, hidden(model, A)[0], rtol=0, atol=1e-6)  # the same random weights
    assert (model.config.task, model.config.num_labels) == ("sentence_embeddings", 16)


def test_a_directory_that_normalizes_has_unit_vectors(model):
    """Stored vectors, and the dot product, which then is the cosine."""
    vectors = [hidden(model, text).mean(0).astype(np.float64) for text in (A, B)]
    unit = model.logits(model.batch([A]))[0]
    np.testing.assert_allclose(unit, vectors[0] / np.linalg.norm(vectors[0]), rtol=0, atol=1e-6)
    dot = ar.similarity(model, A, vectors[1], measure="dot")
    assert dot.value == pytest.approx(vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]), abs=1e-5)
    plain = dataclasses.replace(model, config=dataclasses.replace(model.config, normalizes=False))
    other = ar.similarity(plain, A, vectors[1], measure="dot")  # norms are constants: the same shares of another sum
    np.testing.assert_allclose(
        dot.a.token_relevance * np.linalg.norm(vectors[0]), other.a.token_relevance, rtol=0, atol=1e-4
    )


def test_the_measure_is_the_models_own(folder, model, tmp_path):
    def measured(name):
        return dataclasses.replace(model, config=dataclasses.replace(model.config, measure=name))

    vector = np.arange(16.0)
    assert [ar.similarity(measured(name), A, vector).measure for name in ("dot", "cosine", "")] == [
        "dot",
        "cosine",
        "cosine",
    ]
    assert "similarity_fn_name='euclidean'" in refusal(ar.similarity, measured("euclidean"), A, vector)
    assert ar.similarity(measured("euclidean"), A, vector, measure="dot").measure == "dot"
    made = embedder(tmp_path / "dot", config_sentence_transformers={"similarity_fn_name": "dot"})
    assert (ar.load(made).config.measure, ar.load(folder).config.measure) == ("dot", "")


def test_the_matrix_adds_up(model, found):
    vectors = [hidden(model, text).mean(0).astype(np.float64) for text in (A, B)]
    assert found.value == pytest.approx(cosine(*vectors), abs=1e-6)
    assert found.matrix.sum() == pytest.approx(found.value, abs=1e-12)
    np.testing.assert_allclose(found.a.token_relevance, found.matrix.sum(1)[:-1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.b.token_relevance, found.matrix.sum(0)[:-1], rtol=0, atol=1e-6)
    assert found.words.sum() == pytest.approx(found.value, abs=1e-12)
    assert found.share == pytest.approx(found.matrix[:-1, :-1].sum() / found.value)


def test_rows_are_the_relevance_with_the_other_text_held_fixed(model):
    """By one vjp whose cotangent is the other text's vector."""
    found = ar.similarity(model, A, B, measure="dot", method="gradient_x_input")
    batch = model.batch([A])
    other = model.logits(model.batch([B]))[0]
    x = model.embeddings("gradient_x_input", batch)
    vector, vjp = jax.vjp(model.logits_of("gradient_x_input", batch), x)
    (relevance,) = vjp(np.asarray(vector) * other[None])  # it takes relevance, R = output * weight
    np.testing.assert_allclose(found.a.token_relevance, relevance[0].sum(-1), rtol=0, atol=1e-5)
    assert found.value == pytest.approx(float(vector[0] @ other), abs=1e-5)


def test_a_text_beside_itself(model):
    found = ar.similarity(model, A, A)
    assert found.value == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(found.matrix, found.matrix.T, rtol=0, atol=SAME_TEXT)


def test_a_vector_in_place_of_the_second_text(model, found):
    """Its rows are those of the text that has this vector, in one pass."""
    other = model.logits(model.batch([B]))[0]
    alone = ar.similarity(model, A, other)
    assert alone.value == pytest.approx(found.value, abs=1e-6)
    np.testing.assert_allclose(alone.a.token_relevance, found.a.token_relevance, rtol=0, atol=1e-6)
    assert alone.matrix.sum() == pytest.approx(alone.value, abs=1e-12)
    assert alone.b is None
    assert {pair.b for pair in alone.pairs()} == {"the vector"}
    assert "expected [16]" in refusal(ar.similarity, model, A, np.ones(3))


def test_pairs_explain_all_where_relevance_is_conserved(tmp_path):
    """A ModernBERT has no biases and no positions that are added, and with cp_lrp nothing of its vectors is lost."""
    folder = with_modules(write_family(tmp_path / "modern", "modernbert", labels=()))
    found = ar.similarity(ar.load(folder), A, B, method="cp_lrp")
    assert found.share == pytest.approx(1, abs=SAME_TEXT * 10)
    assert found.a.explained == pytest.approx(found.value, abs=SAME_TEXT * 10)


def test_the_strongest_pairs(found):
    pairs, matrix = found.pairs(3), np.abs(found.words[:-1, :-1])
    assert [abs(pair.score) for pair in pairs] == sorted(matrix.ravel(), reverse=True)[:3]
    assert (pairs[0].a in found.a.words, pairs[0].b in found.b.words) == (True, True)
    assert repr(found).startswith(f"cosine {found.value:.3f}; pairs of words explain")
    assert "<pre>" in found._repr_html_()


def test_what_is_refused(folder, model, tmp_path):
    assert "ar.similarity or autorel similar" in refusal(ar.explain, model, A)
    assert "modules.json" in refusal(ar.similarity, ar.load(), A, B)
    assert "is an embedder" in refusal(ar.rank, model, A, [B])
    assert "predict is for classifiers" in refusal(ar.predict, model, [[2, 3]])
    assert "for sentence embeddings, without labels" in refusal(ar.load, folder, labels=["a", "b"])
    assert "for sentence embeddings" in refusal(ar.load, folder, problem_type="regression")
    for unknown in ("x", ""):
        assert f"measure={unknown!r} is unknown" in refusal(ar.similarity, model, A, B, measure=unknown)
    assert "target does not go with similarity" in refusal(ar.similarity, model, A, B, target="all")
    assert "linear in its target" in refusal(ar.similarity, model, A, B, method="bert_lrp")
    assert "linear in its target" in refusal(ar.similarity, model, A, B, method="occlusion")
    wrong = embedder(tmp_path / "max", "pooling_mode_max_tokens")
    assert "pooling by pooling_mode_max_tokens is not supported" in refusal(ar.load, wrong)
    dense = embedder(tmp_path / "dense", modules=("Transformer", "Pooling", "Dense"))
    assert "modules Transformer, Pooling, Dense" in refusal(ar.load, dense)
    prompt = embedder(tmp_path / "prompt", config_sentence_transformers={"default_prompt_name": "query"})
    assert "default_prompt_name='query'" in refusal(ar.load, prompt)
    lower = embedder(tmp_path / "lower", sentence_bert_config={"do_lower_case": True})
    assert "do_lower_case=true" in refusal(ar.load, lower)
    foreign = embedder(tmp_path / "foreign", extra={"qa_outputs.weight": np.ones((2, 16), np.float32)})
    assert "qa_outputs.weight is of" in refusal(ar.load, foreign)
    assert "a model of sentence embeddings" in refusal(ar.load, foreign)
    unknown = embedder(tmp_path / "unknown", extra={"dense.weight": np.ones((2, 16), np.float32)})
    assert "does not have: dense.weight" in refusal(ar.load, unknown)


def test_the_longest_text_is_that_of_its_files(tmp_path):
    short = ar.load(embedder(tmp_path / "short", sentence_bert_config={"max_seq_length": 6}))
    found = ar.similarity(short, A, B)
    assert (len(found.a.tokens), found.a.truncated_tokens > 0) == (6, True)
    of_roberta = {"sentence_xlm-roberta_config": {"max_seq_length": 7}}
    assert ar.load(embedder(tmp_path / "roberta", **of_roberta)).longest_text == 7


def test_the_command(folder, tmp_path, capsys):
    output = tmp_path / "why.jsonl"
    assert main([A, B, "--model", str(folder), "--top", "2", "--output", str(output)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("cosine ")
    assert [line.count(" – ") for line in out[1:4]] == [1, 1, 0]
    assert len(list(ar.read_results(output))) == 2
    assert main([A, B, "--model", str(folder), "--target", "x"]) == 2
    assert "target does not go with similarity" in capsys.readouterr().err
