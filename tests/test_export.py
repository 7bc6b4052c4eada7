"""export/write.py and program.py: one file gives what the library gives, in a process without Flax and transformers."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from models import VOCAB, refusal
from sentences import lines
from token_models import LABELS, TEXT, write_tagger
from tolerances import BATCH

import autorel_jax as ar
from autorel_jax.cli.export import export as command
from autorel_jax.cli.export import main, parser
from autorel_jax.export.program import MEMBERS, Program, load_program
from autorel_jax.export.write import export
from autorel_jax.text import unspaced
from autorel_jax.text.tokens import load_tokenizer

pytest.importorskip("flatbuffers", reason="pip install 'autorel-jax[export]'")
ROOT = Path(__file__).parents[1]
TEXTS = [*lines(5), "not a good film, and not a bad one"]


@pytest.fixture(scope="module")
def file(model_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "tiny.zip"
    assert main([str(model_folder), str(path), "--target", "all"]) == 0
    return path


ALONE = """
import sys
for name in ("flax", "transformers", "torch", "autorel_jax.model.encoder", "autorel_jax.attribution.relevance"):
    sys.modules[name] = None  # an import of it fails
import numpy as np
from autorel_jax.export.program import load_program

program = load_program(sys.argv[1])
found = program.explain(open(sys.argv[2]).read().splitlines())
lengths = [len(tokens.ids) for tokens, _, _ in found]
np.savez(sys.argv[3], logits=[row for _, row, _ in found], relevance=np.concatenate([r for _, _, r in found], axis=1),
         ids=np.concatenate([tokens.ids for tokens, _, _ in found]))
"""


def test_a_process_without_flax_gives_the_same(file, classifier, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(TEXTS))
    command = [sys.executable, "-c", ALONE, str(file), str(tmp_path / "in.txt"), str(tmp_path / "out.npz")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    expected = [ar.explain(classifier, text, target="all") for text in TEXTS]
    relevance = np.concatenate([np.stack([e.token_relevance for e in made]) for made in expected], axis=1)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_allclose(found["relevance"], relevance, rtol=0, atol=BATCH * abs(relevance).max())
        np.testing.assert_allclose(found["logits"], [made[0].logits for made in expected], rtol=0, atol=BATCH)
        assert len(found["ids"]) == sum(len(made[0].tokens) for made in expected)


def test_the_predicted_label_and_any_shape(classifier, tmp_path):
    config = ar.ExplainConfig(method="epsilon", parameters={"epsilon": 0.1}, split_punctuation=True)
    export(classifier, tmp_path / "a.zip", config)
    program = load_program(tmp_path / "a.zip")
    ((tokens, _, _),) = program.explain(["film, good"])
    assert tokens.words == ("[CLS]", "film", ",", "good", "[SEP]")
    assert program.about["targets"] == ["predicted"]
    assert program.about["method"]["epsilon"] == 0.1
    for texts in (TEXTS[:1], TEXTS):
        batch = classifier.batch(texts)
        logits, relevance = program(batch.ids, batch.mask, batch.types)
        assert relevance.shape == (len(texts), 1, batch.ids.shape[1])
        found = ar.explain(classifier, texts, method="epsilon", parameters={"epsilon": 0.1})
        for row, made in enumerate(found):
            scores = np.asarray(relevance)[row, 0, : len(made.tokens)]
            np.testing.assert_allclose(scores, made.token_relevance, rtol=0, atol=BATCH)
            np.testing.assert_allclose(logits[row], made.logits, rtol=0, atol=BATCH)


def test_a_text_without_words_is_warned_of(file):
    program = load_program(file)
    with pytest.warns(ar.InputWarning, match=r"texts\[1\]: The text is empty\.") as told:
        found = program.explain(["a film", " "])
    assert len(told) == 1
    assert [len(tokens.words) for tokens, _, _ in found] == [4, 2]
    with pytest.warns(ar.InputWarning, match=r"texts\[0\]: \d+ word pieces of it were cut off and not read\."):
        program.explain(["film " * 200])


def test_a_tuple_of_two_texts_is_refused(file, classifier):
    """Elsewhere it is a pair, and would be read as given words."""
    for call in (load_program(file).explain, classifier.batch, classifier.tokens):
        assert "texts[1] is a tuple of two strings, as a pair is" in refusal(call, ["a", ("good film", "bad")])


@pytest.mark.filterwarnings("ignore::autorel_jax.errors.InputWarning")
def test_words_are_split_as_it_was_exported(file, monkeypatch):
    monkeypatch.setattr(unspaced, "word_breaker", lambda: None)
    program = load_program(file)
    assert (program.about["split_words"], program.about["split_punctuation"]) == ("auto", False)
    ((tokens, _, relevance),) = program.explain(["中文, film"])
    assert tokens.words == ("[CLS]", "中", "文", ",", "film", "[SEP]")
    assert tokens.splitter == "graphemes"
    program.about["split_words"] = "whitespace"
    ((tokens, _, same),) = program.explain(["中文, film"])
    assert tokens.words == ("[CLS]", "中文,", "film", "[SEP]")
    np.testing.assert_array_equal(same, relevance)
    del program.about["split_words"], program.about["split_punctuation"]  # as in older files
    assert program.explain(["中文, film"])[0][0].words == tokens.words
    program.about["split_words"] = "lines"
    assert "split_words='lines': accepted: auto, whitespace" in refusal(program.explain, ["a film"])


def test_flags_of_words_reach_the_file(classifier, monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr("autorel_jax.cli.export.loaded", lambda args: classifier)
    monkeypatch.setattr("autorel_jax.export.write.export", lambda classifier, path, config: made.append(config))
    with pytest.raises(FileNotFoundError):  # what it says of the file
        command(["any", str(tmp_path / "a.zip"), "--split-words", "whitespace", "--split-punctuation"], "x")
    assert (made[0].split_words, made[0].split_punctuation) == ("whitespace", True)


@pytest.mark.parametrize("target", ["log_probability:predicted", "margin"])
def test_a_function_of_the_logits(classifier, tmp_path, target):
    export(classifier, tmp_path / "a.zip", ar.ExplainConfig(target=target))
    program = load_program(tmp_path / "a.zip")
    assert program.about["targets"] == [target]
    ((_, _, relevance),) = program.explain(TEXTS[:1])
    (made,) = ar.explain(classifier, TEXTS[:1], target=target)
    np.testing.assert_allclose(relevance[0], made.token_relevance, rtol=0, atol=BATCH * abs(relevance).max())


def test_the_same_bytes_again(file, classifier, tmp_path):
    export(classifier, tmp_path / "again.zip", ar.ExplainConfig(target="all"))
    with zipfile.ZipFile(file) as one, zipfile.ZipFile(tmp_path / "again.zip") as other:
        assert one.namelist() == other.namelist() == [MEMBERS[0], MEMBERS[1], MEMBERS[2], MEMBERS[3]]
        assert one.read("params.safetensors") == other.read("params.safetensors")


def test_every_flag_is_documented():
    assert all(action.help for action in parser()._actions)


def test_a_method_that_is_no_composite(classifier, tmp_path, capsys):
    said = refusal(export, classifier, tmp_path / "a.zip", ar.ExplainConfig(method="lime"))
    assert "The method lime cannot be exported, only composites can: attnlrp, cp_lrp" in said
    assert main(["absent", str(tmp_path / "a.zip"), "--method", "lime"]) == 2
    assert said in capsys.readouterr().err  # of the model that is absent, nothing is said: it is not looked for


def test_what_is_refused(file, classifier, tmp_path, capsys):
    program = load_program(file)
    assert "expected [B, T] of 1 to 64 tokens" in refusal(program, np.ones((1, 65)))
    assert "expected [B, T]" in refusal(program, np.ones((1, 5)), np.ones((1, 4)))
    assert "cannot be read: No such file" in refusal(load_program, tmp_path / "no.zip")
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    assert "is no program of autorel-export" in refusal(load_program, tmp_path / "bad.zip")
    (tmp_path / "cut.zip").write_bytes(file.read_bytes()[:-100])
    assert "is no program of autorel-export" in refusal(load_program, tmp_path / "cut.zip")
    assert "target 'given' differs from row to row" in refusal(
        export, classifier, tmp_path / "a", ar.ExplainConfig(target="given")
    )
    said = refusal(export, classifier, tmp_path / "a", ar.ExplainConfig(method="foo"))
    assert said.startswith("Unknown method 'foo'. Available: attnlrp, ")
    assert "lime" not in said
    assert main(["absent", str(tmp_path / "a.zip")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_texts_are_cut_where_the_tokenizers_files_say(tmp_path):
    """At their 10 tokens, not at the 64 that the program takes."""
    load_tokenizer(VOCAB).save(tmp_path, 10)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    about = {"max_length": 64, "cased": False, "tokenizer_config": settings}

    def call(params, ids, mask, types):
        return jnp.zeros((len(ids), 2)), jnp.zeros((len(ids), 1, ids.shape[1]))

    params = {"embeddings": {"word": np.zeros((1000, 1))}}
    program = Program(about, call, params, (tmp_path / "tokenizer.json").read_bytes())
    with pytest.warns(ar.InputWarning, match="22 word pieces of it were cut off and not read"):
        ((tokens, _, relevance),) = program.explain(["film " * 30])
    assert (len(tokens.ids), relevance.shape, tokens.truncated) == (10, (1, 10), 22)


def test_masks():
    """Padding before the tokens, as a tokenizer with padding_side="left" writes it, moves positions and [CLS]."""

    def call(params, ids, mask, types):
        return mask, ids

    bert = Program({"max_length": 8}, call, {"embeddings": {"word": np.zeros((10, 1))}}, b"")
    ids = np.array([[1, 1, 5, 6], [2, 5, 6, 7]])
    left, right = np.array([[0, 0, 1, 1], [1, 1, 1, 1]]), np.array([[1, 1, 0, 0], [1, 1, 1, 1]])
    for mask in (left, left > 0, np.array([[1, 0, 1, 1]] * 2), left.astype(float)):
        assert "mask has padding before tokens;" in refusal(bert, ids, mask)
    for mask in (right, right > 0, right.astype(float), right.tolist()):
        np.testing.assert_array_equal(bert(ids, mask)[0], right)
    assert refusal(bert, ids, right * 0.9) == "mask holds 0.9; expected 1 for tokens and 0 for padding."
    assert "mask holds 2;" in refusal(bert, ids, right * 2)
    assert "mask holds nan;" in refusal(bert, ids, np.where(right, 1, np.nan))


def test_padding_needs_a_mask_and_segments_a_table(file):
    program = load_program(file)
    ids = np.array([[program.tokenizer.cls_id, 200, program.tokenizer.sep_id, program.tokenizer.pad_id]])
    assert refusal(program, ids) == "ids hold padding (0); give mask, 1 for tokens and 0 for padding."
    whole, padded = program(ids[:, :3]), program(ids, np.array([[1, 1, 1, 0]]))
    np.testing.assert_allclose(whole[0], padded[0], rtol=0, atol=1e-5)

    def call(params, ids, mask, types):
        return types, ids

    of_one = Program(program.about, call, {"embeddings": {"word": np.zeros((1000, 1))}}, program._tokenizer)
    ids = ids[:, :3]
    assert not of_one(ids, types=np.zeros_like(ids))[0].any()
    assert "it tells no segments apart" in refusal(of_one, ids, types=np.ones_like(ids))


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    return ar.load(write_tagger(tmp_path_factory.mktemp("models") / "tagger"))


@pytest.mark.parametrize("target", ["predicted", "all"])
def test_labels_of_tokens(tagger, tmp_path, target):
    """Relevance for the words that are marked, as `--at` has it; in a batch, where one row is padded."""
    export(tagger, tmp_path / "a.zip", ar.ExplainConfig(target=target))
    program = load_program(tmp_path / "a.zip")
    assert (program.about["schema"], program.about["on_tokens"]) == (2, True)
    texts, words = [TEXT, "a good one"], ["witty", "one"]  # of "good film" two labels are equally likely
    tokens = program.tokenizer(texts, max_length=40)
    at = [
        [place for place, word in enumerate(row.word_index) if row.words[word] == named]
        for row, named in zip(tokens, words, strict=True)
    ]
    for (row, logits, relevance), text, named in zip(program.explain(texts, at), texts, words, strict=True):
        made = ar.explain(tagger, text, at=named, target=target)
        assert logits.shape == (len(row.ids), len(LABELS))
        np.testing.assert_allclose(relevance, [one.token_relevance for one in made], rtol=0, atol=1e-5)
        plain = tagger.logits(tagger.batch([text])).reshape(-1, len(LABELS))
        np.testing.assert_allclose(logits, plain, rtol=0, atol=1e-5)
    assert "at is needed" in refusal(program.explain, texts)
    assert "1 at; give" in refusal(program.explain, texts, [[1]])
    assert "at[1] is []; expected places of tokens" in refusal(program.explain, texts, [[1], []])
    assert "at marks padding" in refusal(program.explain, texts, [[1], [len(tokens[1].ids)]])
    assert "expected places of tokens" in refusal(program.explain, texts, [[-1], [1]])


def test_at_is_of_tokens(file, tagger, tmp_path):
    assert "at is of a model that labels tokens" in refusal(load_program(file).explain, ["a film"], [[1]])
    assert "is of the label of a whole text" in refusal(
        export, tagger, tmp_path / "a.zip", ar.ExplainConfig(target="margin")
    )
