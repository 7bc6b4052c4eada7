"""Live parity with sentence-transformers: vectors and similarities of directories that it writes."""

import json
import warnings

import numpy as np
import pytest
from models import VOCAB, refusal
from tolerances import PARITY_VECTORS

import autorel_jax as ar

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sentence_transformers = pytest.importorskip("sentence_transformers")

pytestmark = pytest.mark.parity
TEXTS = ["the good film, a witty one.", "a bad film", "", "  the the  good\nfilm", "a"]
WIDTH = 16


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A tiny encoder and tokenizer, as transformers writes them."""
    import torch

    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = transformers.BertTokenizer(vocab=str(VOCAB))
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=40,
    )
    torch.manual_seed(0)
    model = transformers.BertModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1 if "Norm.weight" in name else 0, 0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def written(encoder, folder, pooling, behind, **options):
    """What sentence-transformers writes of these modules, read again by it."""
    import torch
    from sentence_transformers.sentence_transformer import modules as made

    torch.manual_seed(1)
    reads = {"max_seq_length": options.pop("max_seq_length", None)}
    kinds = {
        "tanh": lambda: made.Dense(WIDTH, 8),
        "identity": lambda: made.Dense(WIDTH, 24, bias=False, activation_function=torch.nn.Identity()),
        "gelu": lambda: made.Dense(WIDTH, WIDTH, activation_function=torch.nn.GELU()),
        "unit": made.Normalize,
    }
    modules = [made.Transformer(str(encoder), **reads), made.Pooling(WIDTH, pooling), *(kinds[one]() for one in behind)]
    sentence_transformers.SentenceTransformer(modules=modules, device="cpu", **options).save(str(folder))
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("pooling", "behind", "options"),
    [
        ("cls", ["unit"], {}),
        ("mean", [], {"similarity_fn_name": "dot"}),
        ("max", [], {"max_seq_length": 5}),
        ("mean", ["tanh", "unit"], {}),
        ("max", ["identity"], {"similarity_fn_name": "dot"}),
        ("cls", ["gelu", "unit"], {"prompts": {"query": "the good "}, "similarity_fn_name": "cosine"}),
    ],
)
def test_vectors_and_similarities(encoder, tmp_path, pooling, behind, options):
    theirs = written(encoder, tmp_path / "model", pooling, behind, **options)
    ours = ar.load(tmp_path / "model")
    batch = ours.batch(TEXTS)
    expected = np.stack([theirs.encode(text) for text in TEXTS])
    np.testing.assert_allclose(ours.logits(batch), expected, rtol=0, atol=PARITY_VECTORS)
    np.testing.assert_allclose(expected, theirs.encode(TEXTS), rtol=0, atol=PARITY_VECTORS)  # padding has no say
    found = ar.similarity(ours, TEXTS[0], TEXTS[1])
    measure = {"similarity_fn_name": "cosine"} | options
    assert found.measure == measure["similarity_fn_name"]
    value = theirs.similarity(*theirs.encode(TEXTS[:2])).item()
    assert found.value == pytest.approx(value, abs=PARITY_VECTORS * max(abs(value), 1))
    for prompt in options.get("prompts", {}).values():
        vector = theirs.encode(TEXTS[1], prompt=prompt)
        np.testing.assert_allclose(ours.logits(ours.batch([prompt + TEXTS[1]]))[0], vector, rtol=0, atol=PARITY_VECTORS)


def test_what_counts_of_two_lengths(encoder, tmp_path):
    """max_seq_length of the old file goes before model_max_length of the tokenizer."""
    written(encoder, tmp_path / "model", "mean", [], max_seq_length=4)
    path = tmp_path / "model" / "sentence_bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_seq_length": 6}))
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "model"), device="cpu")
    ours = ar.load(tmp_path / "model")
    assert (theirs.max_seq_length, ours.longest_text) == (6, 6)
    np.testing.assert_allclose(
        ours.logits(ours.batch(TEXTS[:1]))[0], theirs.encode(TEXTS[0]), rtol=0, atol=PARITY_VECTORS
    )


@pytest.mark.parametrize("pooling", ["mean_sqrt_len_tokens", "weightedmean", "lasttoken", ("cls", "mean")])
def test_other_poolings_are_refused(encoder, tmp_path, pooling):
    """By name, in the files of this version and in those of older ones."""
    written(encoder, tmp_path / "model", pooling, [])
    named = ", ".join(pooling) if isinstance(pooling, tuple) else pooling
    assert f"pooling by {named} is not supported; accepted: " in refusal(ar.load, tmp_path / "model")


def test_a_cross_encoder(encoder, tmp_path):
    """It scores by a sigmoid of our logit; its length is that of the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a head that is drawn
        made = sentence_transformers.CrossEncoder(str(encoder), num_labels=1, max_length=9, device="cpu")
    made.save_pretrained(str(tmp_path / "model"))
    theirs = sentence_transformers.CrossEncoder(str(tmp_path / "model"), device="cpu")
    ours = ar.load(tmp_path / "model")
    assert ours.longest_text == 9
    assert "a CrossEncoder of sentence-transformers is several modules; write it by" in refusal(ar.load, theirs)
    pairs = [("a film", "the good film, a witty one."), ("the good film, a witty one.", "a bad film")]
    logits = ours.logits(ours.batch(*map(list, zip(*pairs, strict=True))))[: len(pairs), 0]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), theirs.predict(pairs), rtol=0, atol=PARITY_VECTORS)
