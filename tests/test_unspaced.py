"""unspaced.py: the words of Chinese, Japanese, Thai, Lao, Khmer and Burmese, with ICU and without it.

What ICU says of whole sentences is of icu4py 1.2 (ICU 78): a later dictionary may know other words.
"""

import json
import unicodedata
import warnings

import numpy as np
import pytest
from family_models import special_tokens, tokenizer_of
from models import refusal
from test_tokens import check, one, own_words
from tokenizers import Tokenizer, models, pre_tokenizers
from tolerances import BATCH, SUM_FLOAT32

import autorel_jax as ar
from autorel_jax.classifier import Classifier
from autorel_jax.cli.explain import main
from autorel_jax.corpus.job import settings_of
from autorel_jax.data.row import Columns
from autorel_jax.data.sources import open_corpus
from autorel_jax.errors import InputWarning
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.families import family_of
from autorel_jax.report.view import facts
from autorel_jax.text import unspaced
from autorel_jax.text.characters import bert_words, other_words
from autorel_jax.text.tokens import load_tokenizer

icu = pytest.mark.skipif(
    unspaced.word_source("auto") == unspaced.GRAPHEMES, reason="ICU is not installed: pip install 'autorel-jax[icu]'"
)
CHINESE = "这部电影很好看，演员也不错。"
BY_ICU = {
    CHINESE: "这|部|电影|很好|看|，|演员|也|不错|。",
    "東京都に住んでいます。とても楽しいです！": "東京|都|に|住|んで|い|ます|。|とても|楽しい|です|！",
    "スーパーマーケットでコーヒーを買う": "スーパーマーケット|で|コーヒー|を|買う",
    "ภาพยนตร์เรื่องนี้สนุกมาก": "ภาพยนตร์|เรื่อง|นี้|สนุก|มาก",
    "ຮູບເງົາເລື່ອງນີ້ມ່ວນຫຼາຍ": "ຮູບເງົາ|ເລື່ອງ|ນີ້|ມ່ວນ|ຫຼາຍ",
    "ខ្សែភាពយន្តនេះល្អណាស់។": "ខ្សែភាពយន្ត|នេះ|ល្អ|ណាស់|។",
    "ဒီရုပ်ရှင်ကောင်းတယ်။": "ဒီ|ရုပ်ရှင်|ကောင်း|တယ်|။",
    # Other scripts, digits and punctuation between are words as they are, by whitespace.
    "Hello,世界! GPT-4很好 ＡＢＣ商店": "Hello,|世界|!|GPT-4|很好|ＡＢＣ|商店",
    "《电影》。”not": "《|电影|》。”not",
    "ราคา๑๐๐บาท ราคา100บาท": "ราคา|๑๐๐|บาท|ราคา|100|บาท",
    "ジョン・スミス": "ジョン|・|スミス",
    "한국어 영화": "한국어|영화",
    "don't (a film)": "don't|(a|film)",
    # Astral characters, which ICU counts as two; emoji with a skin colour; marks apart from their letter.
    "𠀀好看👍🏽👍": "𠀀|好看|👍🏽👍",
    "か\u3099っこう e\u0301电影": "か\u3099|っ|こう|e\u0301|电影",
    "ｶﾞｲﾄﾞ\u3000人々": "ｶﾞｲﾄﾞ|人々",
    "葛\U000e0100城市": "葛\U000e0100|城市",
    "a\u0e34b": "a\u0e34b",  # a Thai vowel sign on a Latin letter
    # What cannot be seen stays with what it follows, or precedes the first word.
    "ជា\u200bភាសា \u200b电影\u200b": "ជា\u200b|ភាសា|\u200b电影\u200b",
    "\u200b": "\u200b",
    "": "",
}
BY_GRAPHEME = {
    CHINESE: "这|部|电|影|很|好|看|，|演|员|也|不|错|。",
    "コーヒーを": "コ|ー|ヒ|ー|を",
    "นี้สนุก ชำ": "นี้|ส|นุ|ก|ชำ",
    "ນີ້ກຳ": "ນີ້|ກຳ",
    "ខ្សែភាព។": "ខ្សែ|ភា|ព|។",
    "ဒီဗုဒ္ဓ။": "ဒီ|ဗု|ဒ္ဓ|။",
    "Hello,世界! GPT-4很好": "Hello,|世|界|!|GPT-4|很|好",
    "𠀀好👍🏽👍 か\u3099": "𠀀|好|👍🏽👍|か\u3099",
    "电\u200b影": "电\u200b|影",
    "a film": "a|film",
}


def cut(text):
    """The words between whitespace, by `separated`."""
    runs, start = [], 0
    for run in text.split():
        start = text.index(run, start)
        runs.append((start, start + len(run)))
        start += len(run)
    return "|".join(text[slice(*span)] for span in unspaced.separated(text, runs)[0])


@pytest.fixture
def without_icu(monkeypatch):
    monkeypatch.setattr(unspaced, "word_breaker", lambda: None)
    unspaced.tell.cache_clear()
    yield
    unspaced.tell.cache_clear()


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """Of a kind each: WordPiece that knows the texts' characters, byte-level BPE, Unigram."""
    folder = tmp_path_factory.mktemp("tokenizers")
    base = "".join(BY_ICU) + "".join(BY_GRAPHEME)
    known = sorted({c for c in unicodedata.normalize("NFD", base.lower()) if not c.isspace()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *known, *(f"##{c}" for c in known)]
    (folder / "vocab.txt").write_text("\n".join(pieces), "utf-8")
    made = {"bert": load_tokenizer(folder / "vocab.txt")}
    return made | {kind: tokenizer_of(folder / kind, kind) for kind in ("roberta", "xlm-roberta")}


def test_scripts_by_the_names_of_their_characters():
    """Every letter and mark that Unicode names after one of the scripts, and no letter of another."""
    named = {
        "Chinese": ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "CJK RADICAL", "KANGXI RADICAL"),
        "Japanese": ("HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA"),
        "Thai": ("THAI",),
        "Lao": ("LAO",),
        "Khmer": ("KHMER",),
        "Burmese": ("MYANMAR",),
    }
    shared = {"\u30fb", "\uff65", "\u30a0"}  # punctuation
    for character in map(chr, range(0x110000)):
        name = unicodedata.name(character, "")
        found = [script for script, starts in named.items() if name.startswith(starts)]
        if found and character not in shared and unicodedata.category(character)[0] in "LMNP":
            assert unspaced.UNSPACED.match(character), name
        if name.startswith(("LATIN", "HANGUL", "CYRILLIC", "DEVANAGARI", "TIBETAN", "FULLWIDTH", "BOPOMOFO")):
            assert not unspaced.UNSPACED.match(character), name


@icu
@pytest.mark.parametrize("text", BY_ICU)
def test_words_by_icu(text):
    assert cut(text) == BY_ICU[text]


@pytest.mark.parametrize("text", BY_GRAPHEME)
def test_words_without_icu(text, without_icu):
    assert cut(text) == BY_GRAPHEME[text]


@icu
@pytest.mark.parametrize("text", [*BY_ICU, *BY_GRAPHEME, "👩‍👩‍👧‍👦🇩🇪🇫🇷", "각한", "a\r\nb"])
def test_graphemes_are_those_of_icu(text):
    from icu4py.breakers import CharacterBreaker

    assert unspaced.graphemes(text) == list(CharacterBreaker(text, "root"))


@icu
@pytest.mark.parametrize("split_words", unspaced.SPLIT_WORDS)
@pytest.mark.parametrize("text", BY_ICU)
def test_tokenizers_of_every_kind(tokenizers, text, split_words):
    expected = [word for word in BY_ICU[text].split("|") if word] if split_words == "auto" else text.split()
    unspaced_text = unspaced.holds_unspaced(text)
    for kind, tokenizer in tokenizers.items():
        row = one(tokenizer, text, split_words=split_words)
        plain = one(tokenizer, text)
        assert row.ids.tolist() == plain.ids.tolist()
        assert row.spans == plain.spans
        if kind == "bert":
            check(row, [text])
        if kind == "xlm-roberta" and unspaced_text:  # its unknown token crosses words
            assert "".join(own_words(row)) == "".join(expected)
            spans = [row.word_spans[word] for word in row.word_index]
            assert all(a[0] <= b[0] and b[1] <= a[1] for a, b in zip(spans, row.spans, strict=True) if b)
        else:
            assert own_words(row) == expected, kind
        assert [text[slice(*span)] for span in row.word_spans if span] == own_words(row)
        made_by = unspaced.word_source("auto") if unspaced_text and split_words == "auto" else "whitespace"
        assert row.splitter == made_by


@icu
def test_a_token_that_crosses_words_makes_them_one(tmp_path):
    """电影|很好|看: the piece 影很 is of two words, which are one."""
    special = special_tokens(family_of("xlm-roberta"))
    pieces = [*special, "▁", "电", "影很", "好", "看"]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(place)) for place, piece in enumerate(pieces)], 3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    row = one(load_tokenizer(tmp_path, family=family_of("xlm-roberta")), "电影很好看 看", split_words="auto")
    assert row.pieces == ("<s>", "▁", "电", "影很", "好", "看", "▁", "看", "</s>")
    assert row.words == ("<s>", "电影很好", "看", "看", "</s>")
    assert row.word_spans == (None, (0, 4), (4, 5), (6, 7), None)
    assert row.word_index.tolist() == [0, 1, 1, 1, 1, 2, 3, 3, 4]
    for spans, words in (
        ([(0, 1), (1, 3), (3, 4), (4, 5)], [(0, 4), (4, 5)]),
        ([(0, 2), (2, 3), (3, 4), (4, 5)], [(0, 2), (2, 4), (4, 5)]),
        ([(0, 5)] * 4, [(0, 5)]),
    ):
        assert bert_words("电影很好看", spans, [0, 1, 2, 3], split=False, auto=True) == words
        assert other_words("电影很好看", spans, split=False, auto=True) == words


@icu
def test_punctuation_apart(tokenizers):
    """BERT's own pre-tokens, which are single ideographs, do not cut words."""
    text = "GPT-4说：《电影》。”(好看)！"
    for kind in ("bert", "roberta"):
        row = one(tokenizers[kind], text, split_words="auto", split_punctuation=True)
        assert own_words(row) == ["GPT", "-", "4", "说", "：", "《", "电影", "》", "。", "”", "(", "好看", ")", "！"]


def test_given_words_stay_and_pairs_say_both(tokenizers, without_icu):
    words = ["这部电影", "很好看，"]
    row = one(tokenizers["bert"], words, split_words="auto")
    assert own_words(row) == words
    assert row.splitter == "given"
    assert one(tokenizers["bert"], "a film", words, split_words="auto").splitter == "whitespace and given"
    with pytest.warns(InputWarning, match=r"autorel-jax\[icu\]"):
        assert one(tokenizers["bert"], words, "电影", split_words="auto").splitter == "given and graphemes"


def test_a_cut_text_keeps_whole_words(tokenizers, without_icu):
    with pytest.warns(InputWarning):
        row = one(tokenizers["bert"], CHINESE, max_length=5, split_words="auto")
    assert own_words(row) == ["这", "部", "电"]
    assert row.truncated == 11


def test_the_warning_comes_once(tokenizers, without_icu):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for text in ("a film", CHINESE, CHINESE):
            one(tokenizers["bert"], text, split_words="auto")
        assert len(caught) == 1
        assert str(caught[0].message) == unspaced.WITHOUT_ICU


def test_unknown_ways_to_split_are_refused(classifier, capsys):
    said = refusal(ar.explain, classifier, "a film", split_words="lines")
    assert said == "split_words='lines': accepted: auto, whitespace."
    assert refusal(classifier.tokens, ["a film"], split_words="lines") == said
    assert main(["a film", "--split-words", "lines"]) == 2
    assert "auto, whitespace" in capsys.readouterr().err.replace("'", "")


# --- explanations


@pytest.fixture(scope="module")
def chinese(classifier, tokenizers):
    """The tiny classifier, whose tokenizer knows as many Chinese characters as it has embeddings for."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film", *sorted(set(CHINESE))]
    assert len(pieces) < classifier.config.vocab_size
    return pieces


@pytest.fixture(scope="module")
def reader(classifier, chinese, tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join(chinese), "utf-8")
    return Classifier("tiny", classifier.config, classifier.params, load_tokenizer(path))


@icu
@pytest.mark.parametrize("options", [{}, {"method": "occlusion", "parameters": {"unit": "word"}}], ids=str)
def test_an_explanation_has_the_words_and_says_who_made_them(reader, options):
    """A word's score is the sum over its characters; what is switched off by words is as many words."""
    explanation, other = ar.explain(reader, [CHINESE, "a film"], **options)
    assert explanation.words == ("[CLS]", *BY_ICU[CHINESE].split("|"), "[SEP]")
    scores = explanation.token_relevance
    by_hand = [scores[0], scores[1], scores[2], scores[3:5].sum(), scores[5:7].sum()]
    np.testing.assert_allclose(explanation.word_relevance[:5], by_hand, rtol=0, atol=SUM_FLOAT32)
    assert explanation.word_splitter == unspaced.word_source("auto")
    assert ("words", explanation.word_splitter) in facts(explanation)
    assert explanation.to_dict()["word_splitter"] == explanation.word_splitter
    assert other.word_splitter == "whitespace"
    assert "words" not in dict(facts(other))
    (whole,) = ar.explain(reader, CHINESE, split_words="whitespace", **options)
    assert whole.words == ("[CLS]", CHINESE, "[SEP]")
    if options:
        assert scores[3] == scores[4]  # 电影 is switched off as one, and shares its score
    else:
        assert scores[3] != scores[4]
        np.testing.assert_allclose(whole.token_relevance, scores, rtol=0, atol=BATCH * abs(scores).max())


@icu
def test_windows_have_the_words_of_the_whole_text(reader):
    (explanation,) = ar.explain(reader, CHINESE * 2, long="windows", max_length=10)
    assert explanation.words == ("[CLS]", *BY_ICU[CHINESE].split("|") * 2, "[SEP]")
    assert len(explanation.windows) > 1


@pytest.mark.filterwarnings("default::autorel_jax.errors.InputWarning")
def test_the_command_says_once_that_icu_is_missing(model_folder, without_icu, capsys, tmp_path):
    (tmp_path / "in.txt").write_text("中文本\na film\n本\n", "utf-8")
    output = tmp_path / "out.jsonl"
    arguments = ["--model", str(model_folder), "--output", str(output)]
    assert main([str(tmp_path / "in.txt"), *arguments]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert lines == [f"autorel-explain: warning: {unspaced.WITHOUT_ICU}"]
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [row["words"][1:-1] for row in rows] == [["中", "文", "本"], ["a", "film"], ["本"]]
    assert [row["word_splitter"] for row in rows] == ["graphemes", "whitespace", "graphemes"]
    assert main([str(tmp_path / "in.txt"), "--split-words", "whitespace", *arguments]) == 0
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [row["words"][1:-1] for row in rows] == [["中文本"], ["a", "film"], ["本"]]
    assert {row["word_splitter"] for row in rows} == {"whitespace"}


def test_work_in_progress_is_of_one_splitter(classifier, tmp_path, monkeypatch):
    (tmp_path / "in.txt").write_text("中文本\n", "utf-8")
    corpus = open_corpus([str(tmp_path / "in.txt")], Columns())
    explainer = Explainer(classifier, ar.ExplainConfig())
    monkeypatch.setattr(unspaced, "word_breaker", lambda: None)
    before = settings_of(explainer, corpus, {})
    monkeypatch.undo()
    after = settings_of(explainer, corpus, {})
    assert before["words"] == "graphemes"
    assert after["words"] == unspaced.word_source("auto")
    by_whitespace = Explainer(classifier, ar.ExplainConfig(split_words="whitespace"))
    assert settings_of(by_whitespace, corpus, {})["words"] == "whitespace"
