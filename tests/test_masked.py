"""Models of masked words through the library and the command: fillings of a mask, named words, several masks."""

import json
import warnings

import jax
import numpy as np
import pytest
from masked_models import TEXT, masked_config, write_masked
from models import refusal
from safetensors.numpy import load_file, save_file
from scipy.special import erf
from tolerances import LEDGER_FLOAT32, PARITY_FLOAT64, SAME_TEXT, SUM_FLOAT32

import autorel_jax as ar
from autorel_jax.cli.explain import main
from autorel_jax.families.family import TEXT_LABELS
from autorel_jax.model.config_file import parse_config
from autorel_jax.model.encoder import Bert
from autorel_jax.text.fillings import id_of, name_of
from autorel_jax.weights import read


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_masked(tmp_path_factory.mktemp("models") / "masked")


@pytest.fixture(scope="module")
def filler(folder):
    return ar.load(folder)


@pytest.fixture(scope="module")
def likeliest(filler):
    return ar.explain(filler, TEXT, top=3, audit=True)


def by_hand(filler, text):
    """The logits [T, V] of every token, from the encoder's output in NumPy."""
    batch = filler.batch([text])
    params = jax.tree.map(np.float64, filler.params)
    variables, model = {"params": filler.params}, Bert(filler.config)
    words = model.apply(variables, batch.ids, method="lookup")
    embedded = model.apply(variables, words, batch.types, method="embed")
    x = np.float64(model.apply(variables, embedded, batch.mask, method="encode")[0][0])
    x = x @ params["transform"]["kernel"] + params["transform"]["bias"]
    x = x * (1 + erf(x / 2**0.5)) / 2
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + filler.config.layer_norm_eps)
    x = x * params["transform_norm"]["scale"] + params["transform_norm"]["bias"]
    return batch.ids[0], x @ params["embeddings"]["word"].T + params["decoder"]["bias"]


def test_load_says_what_it_found(folder, filler):
    assert (filler.config.task, filler.config.labels) == ("masked_words", ())
    assert filler.config.num_labels == filler.config.vocab_size
    assert filler.params["decoder"].keys() == {"bias"}  # the word embeddings are the rest of it
    config = json.loads((folder / "config.json").read_text())
    assert (config["architectures"], config["tie_word_embeddings"]) == (["BertForMaskedLM"], True)


def test_training_and_converting_read_its_encoder(folder):
    for encoder in (read(folder, encoder=True), read(folder, encoder=True, pretrained_heads=False)):
        assert (encoder.config.task, encoder.config.labels, encoder.config.own_decoder) == (TEXT_LABELS, (), False)
        assert encoder.params.keys() == {"embeddings", "layers", "last_layer"}
        assert "cls.predictions.transform.dense.weight" in encoder.ignored


def test_the_likeliest_fillings(filler, likeliest):
    """Logits, order and probabilities of the mask's place, by hand."""
    ids, logits = by_hand(filler, TEXT)
    (place,) = np.flatnonzero(ids == filler.tokenizer.mask_id)
    order = np.argsort(-logits[place])[:5]
    likely = np.exp(logits[place] - logits[place].max())
    names = tuple(filler.tokenizer.pieces[number] for number in order)
    assert [one.target for one in likeliest] == list(names[:3])
    for one, value in zip(likeliest, logits[place][order], strict=False):
        assert one.fillings == names
        assert (one.prediction.label, one.span, one.span_text, one.span_segment) == (names[0], (4, 10), "[MASK]", 0)
        np.testing.assert_allclose(one.logits, logits[place][order], rtol=0, atol=1e-5)
        np.testing.assert_allclose(one.probabilities, (likely / likely.sum())[order], rtol=0, atol=1e-6)
        assert one.target_value == pytest.approx(value, abs=1e-5)
    (default,) = ar.explain(filler, TEXT)
    assert default.target == names[0]


def test_the_ledger_is_closed(likeliest):
    for one in likeliest:
        ledger = one.ledger
        items = sum(np.abs(item).sum() for item in ledger.absorbed.values())
        size = items + abs(ledger.words) + abs(ledger.special_tokens) + abs(ledger.positions) + abs(ledger.segments)
        assert abs(ledger.rounding) <= LEDGER_FLOAT32 * size
        assert one.explained == pytest.approx(one.word_relevance.sum(), abs=SUM_FLOAT32)


def test_named_words_and_two_of_them(filler, likeliest):
    (good,) = ar.explain(filler, TEXT, target="good")
    (bad,) = ar.explain(filler, TEXT, target="Bad")  # as the tokenizer, which knows no capitals, has it
    assert (good.target, bad.target) == ("good", "bad")
    assert {*likeliest[0].fillings, "good"} <= {*good.fillings}
    assert len(good.fillings) == len(bad.fillings) == 6
    assert good.target_value == pytest.approx(float(good.logits[good.fillings.index("good")]), abs=1e-6)
    (both,) = ar.explain(filler, TEXT, contrast=("good", "bad"))
    assert (both.target, len(both.fillings)) == ("good - bad", 7)
    assert both.target_value == pytest.approx(good.target_value - bad.target_value, abs=1e-5)
    np.testing.assert_allclose(both.token_relevance, good.token_relevance - bad.token_relevance, rtol=0, atol=1e-5)
    (given,) = ar.explain(filler, TEXT, target="given", labels=["good"])
    np.testing.assert_allclose(given.token_relevance, good.token_relevance, rtol=0, atol=SAME_TEXT)
    number = next(number for number, piece in filler.tokenizer.pieces.items() if piece == "good")
    (numbered,) = ar.explain(filler, TEXT, target=f"id:{number}")
    assert numbered.target == "good"


def test_margins_and_logarithms(filler, likeliest):
    """The logarithm's relevance is that of its gradient at the logits: e_w - p, here with gradients alone."""
    how = {"method": "gradient_x_input"}
    (margin,) = ar.explain(filler, TEXT, target="margin", **how)
    (pair,) = ar.explain(filler, TEXT, contrast=tuple(one.target for one in likeliest[:2]), **how)
    assert margin.target == "margin"
    assert margin.target_value == pytest.approx(pair.target_value, abs=1e-6)
    np.testing.assert_allclose(margin.token_relevance, pair.token_relevance, rtol=0, atol=SAME_TEXT * 10)
    (good,) = ar.explain(filler, TEXT, target="log_probability:good", **how)
    place = good.fillings.index("good")
    assert good.target == "log_probability:good"
    assert good.target_value == pytest.approx(np.log(good.probabilities[place]), abs=1e-5)
    batch = filler.batch([TEXT])
    x = filler.embeddings("gradient_x_input", batch)
    number = next(number for number, piece in filler.tokenizer.pieces.items() if piece == "good")
    logits, pull = jax.vjp(filler.logits_of("gradient_x_input", batch), x)
    gradient = jax.grad(lambda logits: jax.nn.log_softmax(logits)[number])(logits[0])
    expected = pull((gradient * logits[0])[None])[0][0].sum(-1)  # it takes relevance, R = logit * gradient
    np.testing.assert_allclose(good.token_relevance, expected, rtol=0, atol=1e-5)
    (found,) = ar.explain(filler, TEXT, target="log_probability:predicted", **how)
    assert found.target == f"log_probability:{likeliest[0].target}"
    (given,) = ar.explain(filler, TEXT, target="log_probability:given", labels=["good"], **how)
    np.testing.assert_allclose(given.token_relevance, good.token_relevance, rtol=0, atol=SAME_TEXT * 10)


def test_relevance_is_the_gradients_times_input(filler):
    """By hand from one vjp: relevance of the logit, which is the logit times cotangent 1."""
    (one,) = ar.explain(filler, TEXT, method="gradient_x_input", target="good")
    batch = filler.batch([TEXT])
    x = filler.embeddings("gradient_x_input", batch)
    logits, pull = jax.vjp(filler.logits_of("gradient_x_input", batch), x)
    seed = np.zeros(logits.shape, np.float32)
    number = next(number for number, piece in filler.tokenizer.pieces.items() if piece == "good")
    seed[0, number] = logits[0, number]
    np.testing.assert_allclose(one.token_relevance, pull(seed)[0][0].sum(-1), rtol=0, atol=1e-5)


def test_each_mask_is_one_explanation(filler):
    text, other = "the [MASK] film, a [MASK] one.", "a [MASK]"
    both = ar.explain(filler, [text, other, TEXT])
    assert [(one.id, one.span) for one in both] == [(1, (4, 10)), (1, (19, 25)), (2, (2, 8)), (3, (4, 10))]
    (second,) = ar.explain(filler, text, at="token:6")
    assert second.span == (19, 25)
    np.testing.assert_allclose(second.token_relevance, both[1].token_relevance, rtol=0, atol=SAME_TEXT * 10)
    (first,) = ar.explain(filler, text, at="word:2")
    assert first.span == (4, 10)
    (pair,) = ar.explain(filler, "the good film", "a [MASK] one")
    assert (pair.span, pair.span_segment, pair.span_text) == ((2, 8), 1, "[MASK]")
    (named,) = ar.explain(filler, "the good film", "a [MASK] one", at="[MASK]", target="good")
    assert named.span_segment == 1


def test_what_is_refused(filler, folder):
    assert "It has no [MASK]; write [MASK] in place of the word" in refusal(ar.explain, filler, "the good film")
    assert "It has no [MASK]" in refusal(ar.explain, filler, "the <mask> film")
    cut = refusal(ar.explain, filler, "the good film, a [MASK]", max_length=5)
    assert "Its [MASK] is among the 3 word pieces that were cut off; shorten the text, raise max_length" in cut
    for at in ("good", "good [MASK]"):
        refused = refusal(ar.explain, filler, "a good [MASK]", at=at)
        assert f"at='{at}' is not a [MASK] alone, and no other word is filled; give one of token:3" in refused
    both = refusal(ar.explain, filler, "a [MASK]", "good [MASK]", at="[MASK]")
    assert "at='[MASK]' is in both texts; give one as token:NUMBER" in both
    several = refusal(ar.explain, filler, TEXT, target="seductively")
    assert "pieces of the vocabulary there, " in several
    assert "a mask is filled with one" in several
    assert "is one piece with what stands beside the mask" in refusal(ar.explain, filler, "fil[MASK]", target="m")
    assert "a contrast needs two" in refusal(ar.explain, filler, TEXT, contrast=("Good", "good")).lower()
    for target in ("all", "log_probability:all", "log_probability:margin", "log_probability:", 7, max):
        assert "give predicted, a word of the vocabulary" in refusal(ar.explain, filler, TEXT, target=target)
    assert "top=2 is of the likeliest fillings" in refusal(ar.explain, filler, TEXT, target="good", top=2)
    assert "exceeds the" in refusal(ar.explain, filler, TEXT, top=10**6)
    assert "is no piece; the model has id:0" in refusal(ar.explain, filler, TEXT, target="id:99999")
    assert "null_answer" in refusal(ar.explain, filler, TEXT, null_answer=True)
    assert "zero_shot" in refusal(ar.explain, filler, TEXT, zero_shot=("a", "b"))
    assert "must have one mask to fill; this one has 2" in refusal(filler.batch, ["[MASK] [MASK]"])
    batch = filler.batch([TEXT])
    unmarked = type(batch)(batch.ids, np.minimum(batch.mask, 1), batch.types)
    assert "marks the token to fill" in refusal(filler.logits, unmarked)
    assert "problem_type=" in refusal(ar.load, folder, problem_type="regression")
    assert "without labels" in refusal(ar.load, folder, labels=["a", "b"])
    assert "evaluate measures" in refusal(ar.evaluate, filler, [TEXT])
    assert "predict is for" in refusal(ar.predict, filler, [[2, 3]])
    assert "passages are ranked by" in refusal(ar.rank, filler, "a", ["b"])
    assert "top=2 is of masked words" in refusal(ar.explain, ar.load(), "good", top=2)


def test_masks_in_a_long_text(filler):
    """Each in the window where it has the most context, as if that window were the text."""
    text = "the good film is [MASK] but a bad one is [MASK] too"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = ar.explain(filler, text, long="windows", max_length=8, stride=3)
    assert (first.span, second.span) == ((17, 23), (41, 47))
    assert first.words[1:-1] == ("the", "good", "film", "is", "[MASK]", "but")  # at the text's beginning nothing is cut
    assert second.words[1:-1] == ("bad", "one", "is", "[MASK]", "too")
    assert "the text was read in" in first.warnings[0]
    (alone,) = ar.explain(filler, "the good film is [MASK] but")
    np.testing.assert_allclose(first.token_relevance, alone.token_relevance, rtol=0, atol=SAME_TEXT * 10)
    (named,) = ar.explain(filler, text, long="windows", max_length=8, stride=3, at="word:11", target="good")
    assert (named.span, named.target) == ((41, 47), "good")


def test_masks_that_are_cut_off_are_told(filler):
    (one,) = ar.explain(filler, "a [MASK] film, a [MASK]", max_length=5)
    assert "1 of its 2 [MASK] were cut off and not filled" in one.warnings


@pytest.mark.parametrize("method", ["cp_lrp", "bert_lrp", "occlusion", "rollout", "generic_attention"])
def test_methods(filler, method):
    """Methods of attention begin at the mask; the scores of two masks differ."""
    text = "the [MASK] film, a [MASK] one."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = ar.explain(filler, text, method=method)
    assert np.isfinite(first.token_relevance).all()
    assert not np.allclose(first.token_relevance, second.token_relevance)
    if method == "rollout":
        assert first.token_relevance.sum() == pytest.approx(1, abs=1e-5)
    if method == "occlusion":  # by hand: the drop of the filling's logit where a word is masked too
        batch = filler.batch([TEXT])
        (alone,) = ar.explain(filler, TEXT, method=method)
        ids = batch.ids.copy()
        ids[0, 1] = filler.tokenizer.mask_id
        column = next(number for number, piece in filler.tokenizer.pieces.items() if piece == alone.target)
        drop = filler.logits(batch) - filler.logits(type(batch)(ids, batch.mask, batch.types))
        assert alone.token_relevance[1] == pytest.approx(drop[0, column], abs=1e-5)


def edited(folder, target, change, **settings):
    """A copy of a directory with other tensors and settings."""
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, target / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(config | settings))
    return target


def test_what_a_file_holds_twice_or_under_another_name(folder, filler, tmp_path):
    def doubled(tensors):
        tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].copy()
        tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"].copy()

    def renamed(tensors):
        tensors["cls.predictions.decoder.bias"] = tensors.pop("cls.predictions.bias")

    def other_bias(tensors):
        doubled(tensors)
        tensors["cls.predictions.decoder.bias"][3] += 1

    def other_decoder(tensors):
        doubled(tensors)
        tensors["cls.predictions.decoder.weight"] += 1

    def headless(tensors):
        for name in [name for name in tensors if name.startswith("cls.")]:
            del tensors[name]

    expected = filler.logits(filler.batch([TEXT]))
    for number, change in enumerate((doubled, renamed)):
        same = ar.load(edited(folder, tmp_path / f"same{number}", change))
        np.testing.assert_array_equal(same.logits(same.batch([TEXT])), expected)
    assert "differ, and should be one" in refusal(ar.load, edited(folder, tmp_path / "bias", other_bias))
    assert "but the config ties them" in refusal(ar.load, edited(folder, tmp_path / "tied", other_decoder))
    untied = ar.load(edited(folder, tmp_path / "untied", other_decoder, tie_word_embeddings=False))
    assert untied.config.own_decoder
    own_bias = ar.load(edited(folder, tmp_path / "own bias", other_bias, tie_word_embeddings=False))
    moved_by_it = own_bias.logits(own_bias.batch([TEXT]))[0] - expected[0]
    np.testing.assert_allclose(moved_by_it, np.eye(len(moved_by_it))[3], rtol=0, atol=1e-5)
    moved = untied.logits(untied.batch([TEXT])) - expected
    assert np.ptp(moved) < 1e-4 < abs(moved).max()  # every column of the decoder got the same
    lacking = edited(folder, tmp_path / "lacking", lambda tensors: None, tie_word_embeddings=False)
    assert "cls.predictions.decoder.weight" in refusal(ar.load, lacking)
    assert "lacks" in refusal(ar.load, edited(folder, tmp_path / "headless", headless))


def test_fillings_of_a_tokenizer_with_spaces_in_its_pieces(tmp_path):
    """A word is taken as the tokenizer has it where the mask stands: behind a space, or at the beginning."""
    filler = ar.load(write_masked(tmp_path / "roberta", "roberta"))
    pieces = {piece: number for number, piece in filler.tokenizer.pieces.items()}
    assert {"Ġfilm", "a", "Ġa"} <= pieces.keys()

    def taken(text, target):
        (one,) = ar.explain(filler, text, target=target)
        batch = filler.batch([text])
        logits = filler.logits(batch)[0]
        number = int(np.abs(logits - one.target_value).argmin())
        return one.target, filler.tokenizer.pieces[number]

    assert taken("a good <mask> and", "film") == ("film", "Ġfilm")
    assert taken("a good <mask> and", " a") == ("a", "Ġa")
    assert taken("<mask> good film", "a") == ("##a", "a")
    assert taken("a good <mask> and", "##a") == ("##a", "a")
    assert taken("a good <mask> and", "Ġa") == ("a", "Ġa")
    (one,) = ar.explain(filler, "a good <mask> and")
    assert one.span_text == "<mask>"
    assert {"Ġ", "x"} <= pieces.keys()
    assert "Ġx" not in pieces
    assert "'x' is 2 pieces of the vocabulary there, Ġ, x" in refusal(ar.explain, filler, "a <mask> and", target="x")
    beyond = filler.tokenizer.max_id + 1  # a model may have more rows than its tokenizer has pieces
    assert id_of(f"id:{beyond}", "a <mask>", (2, 8), filler.tokenizer, beyond + 1) == beyond


def test_files(folder, tmp_path, capsys):
    (tmp_path / "in.csv").write_text(f'text\n"{TEXT}"\n"a good one"\n"[MASK] [MASK]"\n')
    source, model = str(tmp_path / "in.csv"), ["--model", str(folder), "--top", "2"]
    for suffix in (".parquet", ".npz", ".jsonl", ".csv", ".html"):
        assert main([source, *model, "--output", str(tmp_path / f"out{suffix}")]) == 0
        if suffix != ".html":
            rejected = (tmp_path / f"out{suffix}.rejected.jsonl").read_text().splitlines()
            assert [json.loads(line)["line"] for line in rejected] == [3]
    by_format = [list(ar.read_results(tmp_path / f"out{suffix}")) for suffix in (".parquet", ".jsonl")]
    for records in by_format:
        assert [record["span"] for record in records] == [[4, 10]] * 2 + [[0, 6]] * 2 + [[7, 13]] * 2
        for record in records:
            assert len(record["fillings"]) == len(record["logits"]) == len(record["probabilities"]) == 5
            assert record["prediction"]["label"] == record["fillings"][0]
    assert [record["fillings"] for record in by_format[0]] == [record["fillings"] for record in by_format[1]]
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays["fillings_offsets"].tolist() == [0, 5, 10, 15, 20, 25, 30]
    capsys.readouterr()
    assert main([TEXT, "--model", str(folder), "--contrast", "good", "bad"]) == 0
    shown = capsys.readouterr()
    assert "target good - bad" in shown.out
    assert "fillings " in shown.out
    assert "masked words, filled by one of" in shown.err
    assert main(["a good one", "--model", str(folder)]) == 2
    assert "It has no [MASK]" in capsys.readouterr().err


@pytest.mark.parity
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("model_type", ["bert", "roberta", "xlm-roberta", "camembert", "distilbert"])
def test_logits_of_transformers(model_type, tied):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from test_family_parity import batch, their_logits, theirs

    config = masked_config(model_type, own_decoder=not tied, hidden_act="gelu_new" if tied else "gelu")
    model = theirs(config, "ForMaskedLM").double()
    ids, mask, types = batch(config, 11)
    expected = their_logits(model, ids, mask, types)
    raw = model.config.to_dict() | {"architectures": [type(model).__name__]}
    assert parse_config(raw).own_decoder is not tied
    with jax.enable_x64(True):
        got = read(model, config=raw, pretrained_heads=True)
        params = jax.tree.map(np.float64, got.params)  # of weights that are float32 numbers
        for row, place in np.argwhere(mask):
            marked = mask.copy()
            marked[row, place] = 2
            ours = Bert(got.config).apply({"params": params}, ids, marked, types)[row]
            np.testing.assert_allclose(ours, expected[row, place], rtol=0, atol=PARITY_FLOAT64)


@pytest.mark.parity
@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_the_order_of_fill_mask(model_type, tmp_path):
    """The pipeline of transformers: the same pieces in the same order, as likely."""
    transformers = pytest.importorskip("transformers")
    folder = write_masked(tmp_path / "model", model_type)
    filler = ar.load(folder)
    sign = filler.tokenizer.pieces[filler.tokenizer.mask_id]
    pipeline = transformers.pipeline("fill-mask", model=str(folder), tokenizer=str(folder), top_k=5)
    for text in (f"the {sign} film", f"{sign} good one, a witty film", f"a {sign}"):
        ours, theirs = ar.explain(filler, text)[0], pipeline(text)

        assert list(ours.fillings) == [name_of(one["token"], filler.tokenizer) for one in theirs]
        np.testing.assert_allclose(ours.probabilities, [one["score"] for one in theirs], rtol=1e-4)
