"""Sentence embeddings: vectors, similarities and the matrix of BiLRP."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_models import write_family
from models import VOCAB, random_params, refusal, tiny_config, write_model
from safetensors.numpy import load_file, save_file
from tolerances import SAME_TEXT

import autorel_jax as ar
from autorel_jax.cli.similar import main
from autorel_jax.families.family import EMBEDDINGS, MAX
from autorel_jax.model.heads import HEADS
from autorel_jax.model.ops import PLAIN
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
    (tmp_path / "model" / "modules.json").write_text(
        json.dumps([*alone, {"type": "sentence_transformers.models.Dense", "path": "1"}])
    )
    assert "has the modules Transformer, Dense, but the weights have a head" in refusal(ar.load, tmp_path / "model")


def test_vectors_are_the_mean_or_the_first_token(model, tmp_path):
    plain = dataclasses.replace(model, config=dataclasses.replace(model.config, normalizes=False))
    np.testing.assert_allclose(plain.logits(plain.batch([A]))[0], hidden(model, A).mean(0), rtol=0, atol=1e-6)
    first = ar.load(embedder(tmp_path / "cls", "pooling_mode_cls_token", MODULES[:2]))
    vector = first.logits(first.batch([A]))[0]
    np.testing.assert_allclose(vector, hidden(model, A)[0], rtol=0, atol=1e-6)  # the same random weights
    assert (model.config.task, model.config.num_labels) == ("sentence_embeddings", 16)


def test_the_maximum_of_each_dimension(model, tmp_path):
    """Vectors, and a matrix that adds up; padding has no say."""
    largest = ar.load(embedder(tmp_path / "max", "pooling_mode_max_tokens", MODULES[:2]))
    expected = [hidden(model, text).max(0) for text in (A, B)]  # the same random weights
    np.testing.assert_allclose(largest.logits(largest.batch([A, B]))[:2], expected, rtol=0, atol=1e-6)
    found = ar.similarity(largest, A, B)
    assert found.value == pytest.approx(cosine(*np.array(expected, np.float64)), abs=1e-6)
    assert found.matrix.sum() == pytest.approx(found.value, abs=1e-12)
    np.testing.assert_allclose(found.matrix.sum(1)[:-1], by_hand(largest, A, B), rtol=0, atol=1e-6)


def test_relevance_of_a_maximum_is_of_the_first_token_that_has_it():
    config = tiny_config(labels=(), task=EMBEDDINGS, pools=MAX)
    x = jnp.array([[[-1.0, 2.0], [-3.0, 5.0], [-1.0, 4.0], [9.0, 9.0]]])  # two tie in the first dimension
    mask = jnp.array([[1, 1, 1, 0]])

    def vectors(x):
        return HEADS[config.head_kind].logits(PLAIN, config, {}, x, mask, None, x.dtype)

    found, back = jax.vjp(vectors, x)
    assert found.tolist() == [[-1, 5]]
    (shares,) = back(jnp.array([[6.0, 8.0]]))
    assert shares[0].tolist() == [[6, 0], [0, 8], [0, 0], [0, 0]]


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


def by_hand(model, text, other, method="attnlrp"):
    """The relevance of a text's tokens for the cosine, by one vjp whose cotangent is the other text's vector."""
    batch = model.batch([text])
    x, other = model.embeddings(method, batch), model.logits(model.batch([other]))[0]
    vector, vjp = jax.vjp(model.logits_of(method, batch), x)
    (relevance,) = vjp(np.asarray(vector) * other[None])  # it takes relevance, R = output * weight
    return relevance[0].sum(-1) / np.linalg.norm(vector) / np.linalg.norm(other)


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


def test_a_map_behind_pooling(dense, model, tmp_path):
    """Vectors in float64 by hand; a matrix of BiLRP that adds up; where the map is linear, its rule too."""
    kernel, bias = made_dense(8)
    vectors = [np.tanh(hidden(model, text).mean(0).astype(np.float64) @ kernel.T + bias) for text in (A, B)]
    np.testing.assert_allclose(dense.logits(dense.batch([A, B]))[:2], vectors, rtol=0, atol=1e-6)
    assert (dense.config.num_labels, dense.config.dense_activation) == (8, "tanh")
    found = ar.similarity(dense, A, B, measure="dot")
    assert found.value == pytest.approx(vectors[0] @ vectors[1], abs=1e-6)
    assert found.matrix.sum() == pytest.approx(found.value, abs=1e-12)
    alone = ar.similarity(dense, A, dense.logits(dense.batch([B]))[0], measure="dot")
    np.testing.assert_allclose(alone.a.token_relevance, found.a.token_relevance, rtol=0, atol=1e-6)
    assert "expected [8]" in refusal(ar.similarity, dense, A, np.ones(16))


def test_relevance_of_a_map_is_conserved(tmp_path):
    """Without biases, by a model and a rule that lose nothing: pairs of tokens explain all, tanh or not."""
    for activation in ("linear.Identity", "activation.Tanh"):
        folder = with_modules(
            write_family(tmp_path / activation, "modernbert", labels=()), modules=("Transformer", "Pooling", "Dense")
        )
        write_dense(folder, bias=False, activation_function=f"torch.nn.modules.{activation}", out_features=20)
        found = ar.similarity(ar.load(folder), A, B, method="cp_lrp")
        assert found.matrix.shape[0] > 2
        assert found.share == pytest.approx(1, abs=SAME_TEXT * 10)


def made_dense(out, width=16):
    rng = np.random.default_rng(5)
    return rng.normal(size=(out, width)).astype(np.float32), rng.normal(size=out).astype(np.float32)


def write_dense(folder, tensors=None, **settings):
    """The files of a Dense module; `settings` are keys of its config."""
    asked = {"in_features": 16, "out_features": 8, "bias": True} | settings
    kernel, bias = made_dense(asked["out_features"])
    held = {"linear.weight": kernel} | ({"linear.bias": bias} if asked["bias"] else {})
    (folder / "2_Dense").mkdir(exist_ok=True)
    (folder / "2_Dense" / "config.json").write_text(json.dumps(asked))
    save_file(held if tensors is None else tensors, folder / "2_Dense" / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def dense(dense_folder):
    return ar.load(dense_folder)


@pytest.fixture(scope="module")
def dense_folder(tmp_path_factory):
    made = embedder(tmp_path_factory.mktemp("models") / "dense", modules=("Transformer", "Pooling", "Dense"))
    return write_dense(made)


def test_what_a_map_behind_pooling_may_not_be(dense_folder, tmp_path):
    folder = shutil.copytree(dense_folder, tmp_path / "dense")
    for settings, said in (
        ({"activation_function": "torch.nn.modules.activation.Softmax"}, "activation_function='torch.nn.modules"),
        ({"activation_function": "mine.Tanh"}, "activation_function='mine.Tanh' is not supported; accepted: torch.nn"),
        ({"use_residual": True}, "use_residual=true is not supported"),
        ({"module_input_name": "token_embeddings"}, 'module_input_name="token_embeddings" is not supported'),
        ({"in_features": 8}, "in_features=8 is not supported; accepted: 16"),
        ({"out_features": 9}, None),
        ({"out_features": 0}, "out_features=0: expected a whole number of at least 1"),
        ({"bias": 1}, "bias=1 is not supported"),
        ({"scale": 2}, "scale=2 is not known here"),
    ):
        write_dense(folder, **settings)
        if said:
            assert said in refusal(ar.load, folder)
    kernel, bias = made_dense(8)
    write_dense(folder, {"linear.weight": kernel.T.copy(), "linear.bias": bias})
    assert "holds linear.bias [8], linear.weight [16, 8]; its config asks for linear.weight [8, 16]" in refusal(
        ar.load, folder
    )
    write_dense(folder, {"linear.weight": kernel})
    assert "its config asks for linear.weight [8, 16], linear.bias [8]" in refusal(ar.load, folder)
    (folder / "2_Dense" / "model.safetensors").unlink()
    assert "2_Dense holds no weights" in refusal(ar.load, folder)


def test_a_vector_of_a_map_is_cut_by_its_own_width(dense_folder, tmp_path):
    folder = shutil.copytree(dense_folder, tmp_path / "dense")
    general = folder / "config_sentence_transformers.json"
    general.write_text('{"truncate_dim": 8}')
    assert ar.load(folder).config.num_labels == 8
    general.write_text('{"truncate_dim": 7}')
    assert "accepted: null, or at least 8" in refusal(ar.load, folder)


def test_a_transformer_in_a_folder_of_its_own(folder, tmp_path):
    """Whether something stands beside modules.json or not."""
    made = shutil.copytree(folder, tmp_path / "made")
    listed = json.loads((made / "modules.json").read_text())
    (made / "modules.json").write_text(json.dumps([listed[0] | {"path": "0_Transformer"}, *listed[1:]]))
    shutil.copytree(folder, made / "0_Transformer")
    assert f"the Transformer is in {made / '0_Transformer'}, but is read only beside" in refusal(ar.load, made)
    for name in ("config.json", "model.safetensors"):
        (made / name).unlink()
    assert f"the Transformer is in {made / '0_Transformer'}, but is read only beside" in refusal(ar.load, made)


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
    wrong = embedder(tmp_path / "wrong", "pooling_mode_weightedmean_tokens")
    assert "pooling by pooling_mode_weightedmean_tokens is not supported" in refusal(ar.load, wrong)
    dropout = embedder(tmp_path / "dropout", modules=("Transformer", "Pooling", "Dropout"))
    assert "has the modules Transformer, Pooling, Dropout; accepted: a Transformer, then" in refusal(ar.load, dropout)
    prompt = embedder(tmp_path / "prompt", config_sentence_transformers={"default_prompt_name": "query"})
    assert "default_prompt_name='query'" in refusal(ar.load, prompt)
    for kept in (8, 15, 0, -1, True, "8"):
        general = {"truncate_dim": kept, "prompts": {"query": "q: "}, "default_prompt_name": None}
        (folder / "config_sentence_transformers.json").write_text(json.dumps(general))
        said = refusal(ar.load, folder)
        assert f"truncate_dim={json.dumps(kept)} keeps a part of each vector" in said
        assert "accepted: null, or at least 16, the vector's width" in said
    for whole in (None, 16, 32):  # changes nothing
        (folder / "config_sentence_transformers.json").write_text(json.dumps({"truncate_dim": whole}))
        assert ar.load(folder).config.num_labels == 16
    (folder / "config_sentence_transformers.json").unlink()
    other = {"modality_config": {"text": {"method": "get_text_features", "method_output_name": "last_hidden_state"}}}
    assert "modality_config without a text's last" in refusal(
        ar.load, embedder(tmp_path / "other", sentence_bert_config=other)
    )
    lower = embedder(tmp_path / "lower", sentence_bert_config={"do_lower_case": True})
    assert "do_lower_case=true" in refusal(ar.load, lower)
    foreign = embedder(tmp_path / "foreign", extra={"qa_outputs.weight": np.ones((2, 16), np.float32)})
    assert "qa_outputs.weight is of" in refusal(ar.load, foreign)
    assert "a model of sentence embeddings" in refusal(ar.load, foreign)
    (folder / "model_head.pkl").touch()
    assert "has model_head.pkl, of SetFit, whose scikit-learn head is a pickle and not read" in refusal(ar.load, folder)
    (folder / "model_head.pkl").unlink()
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


def test_a_file_of_pairs(folder, model, found, tmp_path, capsys):
    """Two results for each row; those of a pair alone."""
    source, output = tmp_path / "pairs.csv", tmp_path / "why.jsonl"
    source.write_text(f'number,a,b\n7,"{A}","{B}"\n8,"{B}","{B}"\n')
    columns = ("--text-column", "a", "--pair-column", "b", "--id-column", "number")
    assert main([str(source), *columns, "--model", str(folder), "--output", str(output)]) == 0
    made = list(ar.read_results(output))
    assert [(one["id"], one["text"], one["target"]) for one in made] == [
        ("7:1", A, "cosine"),
        ("7:2", B, "cosine"),
        ("8:1", B, "cosine"),
        ("8:2", B, "cosine"),
    ]
    for one, alone in zip(made, (found.a, found.b), strict=False):
        assert one["target_value"] == pytest.approx(found.value, abs=1e-6)
        np.testing.assert_allclose(one["token_relevance"], alone.token_relevance, rtol=0, atol=1e-6)
    assert made[2]["target_value"] == pytest.approx(1, abs=1e-6)
    how = ("--model", str(folder))
    for words, said in (
        ((str(source), *how), "needs --pair-column, the column of the second texts, and --output"),
        ((A, *how), "is one text and no file that exists"),
        ((A, B, *how, *columns), "give the file alone"),
        ((str(source), B, *how), "names a source, not a text; for pairs give one file alone, with --text-column"),
        ((A, str(source), *how), "names a source, not a text"),
        ((A, "missing.csv", *how), "'missing.csv' names a source"),
        ((A, B, "--model", "no/model", "--output", "why.docx"), "cannot write .docx"),  # before the model is read
        ((str(source), *columns, "--keep-columns", "a", *how, "--output", str(output)), "--keep-columns and"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err
