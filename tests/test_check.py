"""Word policies: what a phrase is, what a swap makes of a text, what a policy file says, and `autorel check`."""

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tomli_w
from models import refusal
from safetensors.numpy import load_file, save_file
from sign_model import CHANCE, write_sign_model

from autorel_jax.auditing.check import BROKEN, HOLDS, NOT_ENOUGH, verdict_of
from autorel_jax.auditing.phrases import Phrases
from autorel_jax.auditing.policy import FAIL, IN_SHARE, MIN_TEXTS, read_policy
from autorel_jax.auditing.swaps import swapped
from autorel_jax.cli.main import main
from autorel_jax.faithfulness.intervals import mean_by_t, median_of, share_of

NOWHERE = frozenset()


def found(text, *phrases, case=False, edges=NOWHERE):
    return [text[one.start : one.end] for one in Phrases(phrases, case).all_in(text, edges)]


@pytest.mark.parametrize(
    ("text", "phrase", "there"),
    [
        ("He, the other; he's HE", "he", ["He", "he", "HE"]),
        ("heat she he2", "he", []),
        ("_he_ is_he_ok", "he", ["he", "he"]),  # no letter or digit adjoins it
        ("he\u0301 he", "he", ["he"]),  # hé is another word
        ("Jos\u00e9 Jose\u0301 Jose", "jos\u00e9", ["Jos\u00e9", "Jose\u0301"]),
        ("the New  York\tNew\nYork newyork New-York", "new york", ["New  York", "New\nYork"]),
        ("do n't don't do n\u2019t", "n't", ["n't", "n\u2019t"]),
        ("STRASSE stra\u00dfe", "Stra\u00dfe", ["STRASSE", "stra\u00dfe"]),
        ("An\u00adna A\u200bnna", "anna", ["An\u00adna", "A\u200bnna"]),  # what cannot be seen does not hide a word
        ("Jean\u2011Luc Jean\u2010Luc Jean\u2013Luc", "jean-luc", ["Jean\u2011Luc", "Jean\u2010Luc", "Jean\u2013Luc"]),
        ("Jean\u2014Luc", "jean-luc", []),  # an em dash parts what is not one word
        ("O\u2018Brien O\u2019Brien O\u02bcBrien", "O'Brien", ["O\u2018Brien", "O\u2019Brien", "O\u02bcBrien"]),
        ("O'Brien", "O\u2018Brien", ["O'Brien"]),
        ("\u201cqueer\u201d", '"queer"', ["\u201cqueer\u201d"]),
        ("1990\u20132000", "1990-2000", ["1990\u20132000"]),
        ("\u0130stanbul i\u0307stanbul ISTANBUL", "Istanbul", ["\u0130stanbul", "i\u0307stanbul", "ISTANBUL"]),
        ("istanbul", "\u0130stanbul", ["istanbul"]),
        ("C++ C", "c++", ["C++"]),
        ("well-known", "known", ["known"]),
        ("", "a", []),
    ],
)
def test_where_a_phrase_is(text, phrase, there):
    assert found(text, phrase) == there


def test_phrases_in_each_other_and_case():
    assert found("New York City", "york", "new york", "York City") == ["New York", "York City", "York"]
    assert found("Will will", "Will", case=True) == ["Will"]


def test_in_scripts_without_spaces_words_are_those_of_the_text():
    assert found("我在北京工作", "北京", edges=frozenset({0, 1, 2, 4, 6})) == ["北京"]
    assert found("我在北京工作", "北京", edges=frozenset({0, 1, 3, 4, 6})) == []
    assert found("北京", "北京") == ["北京"]
    assert found("In 北京, we", "北京") == ["北京"]


HE = {"he": "she", "she": "he", "New York": "Los Angeles", "Paul": "Ahmed", "Ahmed": "Paul", "nurse": "male nurse"}


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("he and she, He; HE's She", "she and he, She; SHE's He"),  # both directions at once
        ("new york NEW YORK New York New york nEw york", "los angeles LOS ANGELES Los Angeles Los angeles Los Angeles"),
        ("Paul PAUL paul pAUL", "Ahmed AHMED ahmed Ahmed"),
        ("the heat", "the heat"),
        ("Nurse nurse", "Male nurse male nurse"),
        ("he he", "she she"),
    ],
)
def test_a_swapped_text(text, new):
    assert swapped(text, Phrases(HE), HE, NOWHERE) == new


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("anna ANNA Anna", "ibrahim \u0130BRAHIM \u0130brahim"),
        ("\u0130brahim \u0130BRAHIM ibrahim Ibrahim I\u0307brahim i\u0307brahim", "Anna ANNA anna Anna Anna anna"),
        ("anna-maria anna\u2013maria", "ibrahim-maria ibrahim\u2013maria"),
    ],
)
def test_a_swap_with_a_dotted_capital(text, new):
    """In small letters it is the i that everyone writes, and no dot is left over."""
    other = {"Anna": "\u0130brahim", "\u0130brahim": "Anna"}
    assert swapped(text, Phrases(other), other, NOWHERE) == new


def test_the_longest_phrase_is_swapped():
    other = {"New York": "Boston", "York": "Leeds"}
    assert swapped("New York and York", Phrases(other), other, NOWHERE) == "Boston and Leeds"
    other = {"I": "we", "we": "I"}
    assert swapped("I and We", Phrases(other), other, NOWHERE) == "we and I"


GROUP = {"words": ["garden"], "max_share": 0.5}
SWAP = {"pairs": [["garden", "river"]], "max_flips": 0.1}


def write_policy(folder, **keys):
    path = folder / "policy.toml"
    path.write_text(tomli_w.dumps(keys), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "it asks for nothing"),
        ({"group": {}}, "unknown key 'group'; accepted: groups, swaps, min_texts, not_enough_texts"),
        (
            {"groups": {"a": GROUP | {"max_shares": 1}}},
            "groups.a: unknown key 'max_shares'; accepted: file, case_sensitive",
        ),
        ({"groups": {"a": {"words": ["b"]}}}, "groups.a: max_share is missing"),
        ({"groups": {"a": {"max_share": 0.1}}}, "groups.a: it has no words"),
        ({"groups": {"a": GROUP | {"words": "garden"}}}, "expected a list of words"),
        ({"groups": {"a": GROUP | {"words": ["\u200b"]}}}, "is no word"),
        (
            {"groups": {"a": GROUP | {"max_share": 20}}},
            "max_share=20: expected a finite number of at least 0",
        ),
        ({"groups": {"a": GROUP | {"max_share": True}}}, "max_share=True"),
        ({"groups": {"a": GROUP | {"max_share": 1.0}}}, "groups.a: max_share=1 is kept by any model"),
        ({"groups": {"a": GROUP | {"in_share_of_texts": 0}}}, "in_share_of_texts=0 is kept by any model"),
        ({"swaps": {"a": SWAP | {"max_flips": 1}}}, "swaps.a: max_flips=1 is kept by any model"),
        ({"groups": {"a": GROUP | {"max_share": float("nan")}}}, "max_share=nan"),
        ({"groups": {"a": GROUP | {"file": "missing.txt"}}}, "missing.txt cannot be read: No such file"),
        ({"groups": {"a": GROUP | {"case_sensitive": 1}}}, "case_sensitive=1: expected true or false"),
        ({"groups": ["a"]}, "groups: expected tables, each [groups.NAME]"),
        ({"swaps": {"a": {"pairs": [["b", "c"]]}}}, "swaps.a: it has no limit"),
        ({"swaps": {"a": {"max_flips": 0.1}}}, "swaps.a: it has no pairs"),
        ({"swaps": {"a": SWAP | {"pairs": [["a", "b", "c"]]}}}, "['a', 'b', 'c'] is no pair"),
        ({"swaps": {"a": SWAP | {"pairs": [["He", "he"]]}}}, "'He' and 'he' are the same word"),
        (
            {"swaps": {"a": SWAP | {"pairs": [["him", "her"], ["his", "her"]]}}},
            "'her' would become both 'him'",
        ),
        ({"swaps": {"a": SWAP | {"in_share_of_texts": 0.5}}}, "in_share_of_texts is of max_move"),
        ({"swaps": {"a": SWAP}, "min_texts": 1}, "min_texts=1: expected a finite number of at least 2"),
        ({"swaps": {"a": SWAP}, "not_enough_texts": "ok"}, "accepted: fail, pass"),
    ],
)
def test_what_a_policy_may_not_say(tmp_path, keys, said):
    path = write_policy(tmp_path, **keys)
    message = refusal(read_policy, path)
    assert message.startswith(f"{path}: ")
    assert said in message


def test_words_and_pairs_of_files(tmp_path):
    (tmp_path / "names.txt").write_bytes("\ufeffAnna\r\nvan der Berg\n\n".encode())
    (tmp_path / "pairs.txt").write_text("he\tshe\nhis\ther\n")
    swap = {"file": "pairs.txt", "max_move": 0.1}
    one_way = {"pairs": [["him", "her"], ["his", "her"]], "max_mean_move": 0.1, "one_way": True, "min_texts": 7}
    groups = {"names": {"file": "names.txt", "words": ["Bo"], "max_share": 0.1}}
    path = write_policy(tmp_path, groups=groups, swaps={"a": swap, "b": one_way}, min_texts=5)
    policy = read_policy(path)
    (group,) = policy.groups
    text = "Anna, Bo van der Berg"
    assert [text[one.start : one.end] for one in group.phrases.all_in(text, NOWHERE)] == ["Anna", "Bo", "van der Berg"]
    first, second = policy.swaps
    assert first.other == {"he": "she", "she": "he", "his": "her", "her": "his"}
    assert second.other == {"him": "her", "his": "her"}
    assert (group.min_texts, second.min_texts, group.in_share_of_texts) == (5, 7, 0.95)
    (tmp_path / "pairs.txt").write_text("he she\n")
    assert "two words with a tab between" in refusal(read_policy, path)


def test_the_interval_of_a_share():
    """By hand: of n texts that all are, the low end is the share p with pⁿ = 2.5 %; 5 of 10 is in tables."""
    assert share_of(0, 10) == (10, 0, 0, pytest.approx(1 - 0.025**0.1))
    assert share_of(10, 10)[1:] == (1, pytest.approx(0.025**0.1), 1)
    n, mean, low, high = share_of(5, 10)
    assert (n, mean, low + high) == (10, 0.5, pytest.approx(1))
    assert (low, high) == pytest.approx((0.1871, 0.8129), abs=1e-4)
    assert share_of(71, 71).low < 0.95 < share_of(72, 72).low


@pytest.mark.parametrize("n", [3, 5, 8, 20, 100])
def test_an_end_of_a_share_is_wrong_in_2_5_percent_at_most(n):
    """Exactly, by the chances of each count; the high end of a share is the low one of the rest."""
    ends = [share_of(count, n).low for count in range(n + 1)]
    for share in (0.001, 0.01, 0.05, 0.2, 0.5, 0.9):
        chances = [math.comb(n, count) * share**count * (1 - share) ** (n - count) for count in range(n + 1)]
        assert sum(chance for chance, low in zip(chances, ends, strict=True) if low > share) <= 0.025
    assert [1 - share_of(n - count, n).high for count in range(n + 1)] == pytest.approx(ends)


def test_the_interval_of_a_mean():
    """Student's, by hand: of 1, 2, 3 the standard error is 1/√3, and 95 % of t with 2 degrees of freedom is 4.3027."""
    half = 4.302652729749462 / 3**0.5
    assert mean_by_t(np.array([1.0, 2.0, 3.0])) == pytest.approx((3, 2, 2 - half, 2 + half))
    assert mean_by_t(np.full(4, 0.5)) == (4, 0.5, 0.5, 0.5)
    one = mean_by_t(np.array([2.0]))
    assert one[:2] == (1, 2)
    assert np.isnan(one[2:]).all()
    assert np.isnan(mean_by_t(np.array([]))[1:]).all()


def test_the_interval_of_a_median():
    """Of 20 values 5 or fewer are below the median in 2.07 % of the cases, 6 or fewer in 5.8 %; of 5 none in 3.1 %."""
    assert median_of(np.arange(20.0)[::-1]) == (20, 9.5, 5, 14)
    assert median_of(np.arange(6.0)) == (6, 2.5, 0, 5)
    five = median_of(np.arange(5.0))
    assert five[:2] == (5, 2)
    assert np.isnan(five[2:]).all()
    assert median_of(np.array([])).n == 0


@pytest.mark.parametrize("n", [3, 5, 8, 20])
@pytest.mark.parametrize(("draw", "of"), [("normal", mean_by_t), ("laplace", mean_by_t), ("laplace", median_of)])
def test_what_has_no_effect_seldom_seems_to_have_one(draw, of, n):
    """In 2.5 % of the cases at most; 3 % leaves room for 4,000 cases being a sample."""
    drawn = getattr(np.random.default_rng(n), draw)(size=(4000, n))
    assert np.mean([of(values).low > 0 for values in drawn]) <= 0.03


@pytest.mark.parametrize(
    ("count", "n", "bound", "at_most", "verdict"),
    [
        (0, 29, 0.5, True, NOT_ENOUGH),
        (0, 30, 0.2, True, HOLDS),
        (0, 30, 0.1, True, NOT_ENOUGH),  # up to 11.6 %
        (1, 100, 0.001, True, NOT_ENOUGH),  # which happens in 10 % of the cases
        (30, 30, 0.5, True, BROKEN),
        (30, 30, 0.88, False, HOLDS),
        (30, 30, 0.9, False, NOT_ENOUGH),
        (0, 30, 0.0, True, HOLDS),
        (1, 3, 0.0, True, BROKEN),
        (2, 3, 1.0, False, BROKEN),
        (30, 30, 1.0, False, HOLDS),
        (30, 30, 1.0, True, HOLDS),
        (0, 0, 0.0, True, NOT_ENOUGH),
    ],
)
def test_a_verdict(count, n, bound, at_most, verdict):
    assert verdict_of(share_of(count, n), bound, at_most, 30)[0] == verdict


# garden is positive, river is negative; street and house weigh nothing
WEIGHTS = {"garden": 1, "good": 1, "river": -1, "bad": -1}


@pytest.fixture(scope="module")
def sign(tmp_path_factory):
    return write_sign_model(tmp_path_factory.mktemp("sign") / "model", WEIGHTS)


def run(folder, model, texts, flags=(), **policy):
    """The exit code of the command, and its JSON where there is one."""
    if not isinstance(texts, str):
        (folder / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
        texts = str(folder / "texts.jsonl")
    path = write_policy(folder, **policy)
    output = folder / "check.json"
    output.unlink(missing_ok=True)
    code = main(["check", texts, "--policy", str(path), "--model", str(model), "-o", str(output), *flags])
    return code, json.loads(output.read_text()) if output.exists() else None


NUMBERS = [f"{a}{b}" for a in "0123456789" for b in "0123456789"]  # so that texts differ
TEXTS = [{"text": f"the garden, {number} good street"} for number in NUMBERS[:40]]
OTHERS = [{"text": f"bad river {number}"} for number in NUMBERS[:10]]
PLAIN = [{"text": f"good {number}"} for number in NUMBERS[:5]]


def test_a_model_that_decides_by_the_words(sign, tmp_path, capsys):
    """Half of the relevance is on the garden in 40 texts, all of it on bad rivers; a swap turns 10 texts of 50."""
    rows = [*TEXTS, *OTHERS, *PLAIN, TEXTS[0]]
    flags = ["--junit", str(tmp_path / "c.xml"), "--report", str(tmp_path / "c.html")]
    code, record = run(
        tmp_path,
        sign,
        rows,
        flags,
        groups={
            "places": {"words": ["Garden", "river", "bad"], "max_share": 0.5, "in_share_of_texts": 0.5},
            "quiet": {"words": ["street"], "max_share": 0.0},
        },
        swaps={
            "places": {"pairs": [["garden", "river"]], "max_flips": 0.01, "max_move": 0.3, "max_mean_move": 0.9},
            "none": {"pairs": [["window", "door"]], "max_flips": 0.5},
        },
        min_texts=20,
    )
    assert code == 1
    assert record["texts"] | {"left_out_first": []} == {
        "rows": 56,
        "texts": 55,
        "left_out": 0,
        "left_out_first": [],
        "same_as_an_earlier_row": 1,
        "cut_off": 0,
    }
    of = {(one["rule"], one["limit"]): one for one in record["results"]}
    places = of["groups.places", "max_share"]
    assert (places["value"], places["texts"], places["verdict"]) == (0.8, 50, HOLDS)  # "at most 0.5" holds of 0.5
    quiet = of["groups.quiet", "max_share"]
    assert (quiet["value"], quiet["texts"], quiet["verdict"]) == (1, 40, NOT_ENOUGH)  # 40 cannot tell 95 %
    # "the garden, 01 good street" -> river against good: the sum is 0, as no text of a tie can be predicted otherwise
    # than the first label; "bad river" -> "bad garden" likewise, and stays negative.
    flips, moves, mean = (of["swaps.places", limit] for limit in ("max_flips", "max_move", "max_mean_move"))
    assert (flips["value"], flips["texts"], flips["verdict"]) == (0.8, 50, BROKEN)
    assert (moves["value"], moves["verdict"]) == (0, BROKEN)
    assert mean["value"] == pytest.approx(CHANCE - 0.5, abs=1e-6)
    assert mean["verdict"] == HOLDS
    none = of["swaps.none", "max_flips"]
    assert (none["texts"], none["value"], none["verdict"]) == (0, None, NOT_ENOUGH)
    worst = record["worst"]["swaps.places"]
    assert [one["id"] for one in worst] == [1, 2, 3, 4, 5]
    assert worst[0]["changed_to"] == ["the river, 00 good street"]
    assert worst[0]["before"] == {"positive": pytest.approx(CHANCE, abs=1e-6)}
    assert worst[0]["after"] == {"negative": pytest.approx(0.5, abs=1e-6)}
    shown = capsys.readouterr().out
    assert "swaps.places, max_flips: broken: the whole interval is beyond it" in shown
    assert "→ “the river, 00 good street”" in shown
    suite = ElementTree.parse(tmp_path / "c.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "2", "2")
    page = (tmp_path / "c.html").read_text()
    assert "the river, 00 good street" in page
    assert "<script" not in page


def test_exit_codes(sign, tmp_path, capsys):
    """All holds, not enough texts in both settings, and what cannot be checked."""
    holds = {"groups": {"a": {"words": ["garden"], "max_share": 0.6, "in_share_of_texts": 0.9}}}
    assert run(tmp_path, sign, TEXTS, **holds)[0] == 0
    few = {"swaps": {"a": {"pairs": [["house", "street"]], "max_flips": 0.05}}}
    code, record = run(tmp_path, sign, TEXTS, **few)
    assert (code, record["results"][0]["verdict"]) == (2, NOT_ENOUGH)
    flags = ["--junit", str(tmp_path / "c.xml")]
    assert run(tmp_path, sign, TEXTS, flags, **few, not_enough_texts="pass")[0] == 0
    suite = ElementTree.parse(tmp_path / "c.xml").getroot().find("testsuite")
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert run(tmp_path, sign, TEXTS, groups={"a": {}}) == (2, None)
    assert "groups.a: it has no words" in capsys.readouterr().err


def test_what_is_not_counted(sign, tmp_path):
    """A swap that the model does not see, one that cuts the end elsewhere, and words that were cut off."""
    rows = [
        {"text": "good \u03b4\u03b6 1"},  # both are [UNK], which is of one token
        {"text": "good paint " + "1 " * 13},  # 18 tokens with [CLS] and [SEP], of 18
        {"text": "good " + "1 " * 16 + "garden"},  # the garden is not read
        {"text": "the house"},  # without relevance
        {"text": "  "},
    ]
    _, record = run(
        tmp_path,
        sign,
        rows,
        ["--max-length", "17"],
        groups={"a": {"words": ["garden", "house"], "max_share": 0.5}},
        swaps={
            "unknown": {"pairs": [["\u03b4\u03b6", "\u03bb\u03bc"]], "max_flips": 0.5},
            "longer": {"pairs": [["paint", "paintpaintpaint"]], "max_flips": 0.5},
            "unread": {"pairs": [["garden", "street"]], "max_flips": 0.5},
        },
    )
    apart = {one["rule"]: one["not_counted"] for one in record["results"]}
    assert [one["texts"] for one in record["results"]] == [0, 0, 0, 0]
    assert apart["groups.a"] == {
        "the words are in a part that was cut off": 1,
        "no word has relevance": 1,
    }
    assert apart["swaps.unknown"] == apart["swaps.unread"] == {"the model reads the same before and after": 1}
    assert apart["swaps.longer"] == {"the end of the text is cut off elsewhere": 1}
    assert record["texts"]["left_out"] == 1


def test_pairs_of_texts(sign, tmp_path):
    rows = [{"text": f"the garden {number}", "second": "a good garden"} for number in NUMBERS[:30]]
    policy = {
        "groups": {"a": {"words": ["garden"], "max_share": 0.7, "in_share_of_texts": 0.8}},
        "swaps": {"a": {"pairs": [["garden", "river"]], "max_flips": 0.5}},
    }
    code, record = run(tmp_path, sign, rows, ["--pair-column", "second"], **policy)
    assert code == 1
    assert [one["verdict"] for one in record["results"]] == [HOLDS, BROKEN]
    assert record["worst"]["groups.a"][0]["share"] == pytest.approx(2 / 3)
    assert record["worst"]["swaps.a"][0]["changed_to"] == ["the river 00", "a good river"]


def test_one_output_with_a_probability(tmp_path):
    """It has one logit, which never is another one; what flips is whether the probability reaches a half."""
    model = write_sign_model(tmp_path / "one", WEIGHTS, labels=("toxic",), problem_type="multi_label_classification")
    rows = [{"text": f"garden {number}"} for number in NUMBERS[:30]]
    code, record = run(tmp_path, model, rows, swaps={"a": {"pairs": [["garden", "river"]], "max_flips": 0.1}})
    assert (code, record["results"][0]["value"]) == (1, 1)
    assert record["worst"]["swaps.a"][0]["move"] == pytest.approx(2 * CHANCE - 1, abs=1e-5)


def test_what_the_command_refuses(sign, tmp_path, capsys, model_folder):
    path = write_policy(tmp_path, groups={"a": GROUP})
    (tmp_path / "texts.csv").write_text("text\na good film\n")
    texts = str(tmp_path / "texts.csv")
    for arguments, said in (
        ([texts], "--policy"),
        ([texts, "--policy", str(tmp_path / "no.toml")], "no.toml does not exist; give a policy"),
        ([texts, "--policy", str(path), "-o", "check.txt"], "--output check.txt: it is a .json file"),
        ([texts, "--policy", str(path), "--target", "positive"], "unrecognized arguments: --target"),
        ([texts, "--policy", str(path), "--keep-columns", "text"], "--keep-columns has no meaning here"),
        (["nothing.csv", "--policy", str(path)], "nothing.csv"),
    ):
        assert main(["check", *arguments, "--model", str(sign)]) == 2
        assert said in capsys.readouterr().err
    regression = write_sign_model(tmp_path / "regression", WEIGHTS, labels=("stars",))
    assert main(["check", texts, "--policy", str(path), "--model", str(regression)]) == 2
    assert "The model is a regression" in capsys.readouterr().err


def test_scores_that_are_not_finite_are_refused(tmp_path, capsys):
    """Such a model would keep to any policy."""
    model = write_sign_model(tmp_path / "nan", WEIGHTS)
    tensors = load_file(model / "model.safetensors")
    tensors["classifier.weight"] = tensors["classifier.weight"] * float("nan")
    save_file(tensors, model / "model.safetensors")
    code, _ = run(tmp_path, model, TEXTS, groups={"a": GROUP})
    assert code == 2
    assert "not finite" in capsys.readouterr().err.splitlines()[-1]


def test_the_policy_of_the_page_can_be_read(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "audit.md").read_text(encoding="utf-8")
    policies = page.split("## Word policies\n")[1]
    (tmp_path / "policy.toml").write_text(policies.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    (tmp_path / "names.txt").write_text("Bo\n")
    policy = read_policy(tmp_path / "policy.toml")
    defaults = (policy.groups[0].in_share_of_texts, policy.groups[0].min_texts, policy.not_enough_texts)
    assert defaults == (IN_SHARE, MIN_TEXTS, FAIL)
