"""The reports that a person reads: colours, the text on a terminal, and the HTML of notebooks and pages."""

import html.parser
import io
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest
from explanations import SHORT, explanation
from models import refusal
from tolerances import SUM_FLOAT32

from autorel_jax.report import colour, terminal, view
from autorel_jax.report import html as report_html
from autorel_jax.report.explanation import Explanations, Prediction

NASTY = "<script>alert(1)</script> \"quoted\" & 'single' \x1b[31mred\x1b[0m bell\x07 \ud800 \u202ereversed"
SGR = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def in_colour(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("COLUMNS", "100")


def shown(made, level="word", file=None):
    file = file or io.StringIO()
    terminal.show(made, level, file)
    return file.getvalue()


# Colour.


def test_strengths_are_relative_to_the_largest_magnitude():
    assert colour.strengths([1.0, -2.0, 0.5]) == [0.5, -1.0, 0.25]
    assert colour.strengths([1e30, -1e30]) == [1.0, -1.0]  # the sum is 0


@pytest.mark.parametrize("scores", [[], [0.0, 0.0], [np.nan], [np.inf, -np.inf, 0.0]])
def test_strengths_without_a_scale_are_0(scores):
    assert colour.strengths(scores) == [0.0] * len(scores)


def test_strengths_ignore_what_is_not_finite():
    assert colour.strengths([np.float32(2), np.float32(np.nan), np.float32(-1)]) == [1.0, 0.0, -0.5]


def test_strength_0_has_no_colour():
    assert colour.css(0.0) == ""
    assert colour.terminal(0.0) == ""


def luminance(rgb):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def hexadecimal(text):
    return tuple(int(text[place : place + 2], 16) for place in (1, 3, 5))


@pytest.mark.parametrize("hue", [colour.FOR, colour.AGAINST])
@pytest.mark.parametrize(("ink", "page"), [("#1f2328", "#ffffff"), ("#e4e6e8", "#16181b"), ("#dddddd", "#111111")])
def test_text_on_the_strongest_background_is_readable(hue, ink, page):
    ground = hexadecimal(page)
    mixed = [colour.OPAQUE * h + (1 - colour.OPAQUE) * g for h, g in zip(hue, ground, strict=True)]
    assert contrast(mixed, hexadecimal(ink)) >= 4.5  # WCAG 2.2, AA


@pytest.mark.parametrize("positive", [True, False])
def test_terminal_colours_are_readable_on_black_and_on_white(positive):
    text, fill = colour.TEXT[positive], colour.FILL[positive]
    assert contrast(fill, (255, 255, 255)) >= 4.5
    assert min(contrast(text, (0, 0, 0)), contrast(text, (255, 255, 255))) >= 4.0  # 4.58 is the most that exists


# What is shown.


@pytest.mark.parametrize("level", view.LEVELS)
def test_scores_of_the_units_sum_to_what_is_explained(level):
    made = explanation()
    assert sum(unit.score for unit in view.units(made, level)) == pytest.approx(made.explained, abs=SUM_FLOAT32)


def test_an_unknown_level_is_refused():
    assert refusal(view.units, explanation(), "sentence") == "Unknown level 'sentence'; accepted: word, token."


@pytest.mark.parametrize("level", view.LEVELS)
@pytest.mark.parametrize("text", [SHORT, "  two\tspaces\nand a line  ", "", "   ", "한국어 🎬 عربي"])
def test_passages_keep_the_text(level, text):
    made = explanation(text)
    (passage,) = view.passages(made, view.units(made, level))
    between = "".join(run.text for run in passage).removeprefix("[CLS]").removesuffix("[SEP]")
    assert between.strip() == text.strip().replace("\t", " ")


def test_passages_of_a_pair():
    made = explanation("one two", pair="three")
    texts = ["".join(run.text for run in passage) for passage in view.passages(made, view.units(made, "token"))]
    assert texts == ["[CLS] one two [SEP]", "three [SEP]"]


def test_passages_of_given_words():
    made = explanation(
        ["ice cream", "is"],
        words=("[CLS]", "ice cream", "is", "[SEP]"),
        word_relevance=np.ones(4, np.float32),
        word_spans=(None, (0, 9), (10, 12), None),
        word_segments=(0,) * 4,
    )
    (passage,) = view.passages(made, view.units(made, "word"))
    assert [run.text for run in passage] == ["[CLS]", " ", "ice cream", " ", "is", " ", "[SEP]"]


def test_text_that_was_cut_off_is_an_ellipsis():
    made = explanation("one two three", truncated_tokens=1)
    found = [unit for unit in view.units(made, "word") if unit.text != "three"]
    assert "".join(run.text for run in view.passages(made, found)[0]) == "[CLS] one two … [SEP]"


def test_tokens_that_share_a_character_are_all_shown():
    found = [view.Unit("ᄒ", 1.0, 0, (0, 1)), view.Unit("##ᅡ", 0.5, 0, (0, 1)), view.Unit("x", 0.5, 0, (2, 3))]
    assert "".join(run.text for run in view.runs("하 x", found, cut=False)) == "하ᅡ x"


def test_the_strongest_leave_out_what_hardly_counts():
    found = view.units(explanation("a b c d", (0.0, 1.0, -0.5, 0.001, np.nan, 0.25)), "word")
    assert [[unit.text for unit in side] for side in view.strongest(found)] == [["a", "[SEP]"], ["b"]]


@pytest.mark.parametrize(("probability", "text"), [(0.9876, "98.8 %"), (0.99999, ">99.9 %"), (1.0, "100.0 %")])
def test_percent_does_not_round_to_certainty(probability, text):
    assert view.percent(probability) == text


def test_small_scores_are_printed_with_an_exponent():
    found = view.units(explanation(scores=(1e-6, -2e-7)), "word")
    assert view.number_format(found)(found[1].score) == "-2.00e-07"


# Terminal.


def test_plain():
    assert shown(explanation()) == (
        "1: positive 98.8 % (target positive, logit 1.500, explained 1.430, method attnlrp)\n"
        "  +0.020            [CLS]\n"
        "  -0.750  ----      not\n"
        "  +0.010            a\n"
        "  +1.500  ++++++++  gorgeous,\n"
        "  +0.500  +++       witty\n"
        "  -0.100  -         movie.\n"
        "  +0.250  +         [SEP]\n\n"
    )


def test_plain_tokens_pair_warning_and_regression():
    made = explanation("good", (0, 0.5), "bad", prediction=Prediction("stars", None, 4.2), warnings=("beware",), id="a")
    assert shown(made, "token").splitlines() == [
        "a: stars = 4.200 (target positive, logit 1.500, explained 1.000, method attnlrp)",
        "  warning: beware",
        "       0            [CLS]",
        "  +0.250  ++++      g",
        "  +0.250  ++++      ##ood",
        "       0            [SEP]",
        "  second text",
        "  +0.500  ++++++++  bad",
        "       0            [SEP]",
        "",
    ]


def test_plain_does_not_import_rich():
    code = (
        "import io, sys; sys.path.insert(0, 'tests'); from explanations import explanation\n"
        "from autorel_jax.report.terminal import show\n"
        "show(explanation(), 'word', io.StringIO()); assert 'rich' not in sys.modules and 'jinja2' not in sys.modules"
    )
    root = os.path.dirname(os.path.dirname(__file__))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_a_terminal_gets_colour(in_colour):
    text = shown(explanation(), file=Terminal())
    assert "\x1b[1;38;2;255;255;255;48;2;190;76;0mgorgeous," in text  # the strongest: a fill
    assert "\x1b[1;38;2;0;124;190mnot" in text  # half as strong, against: bold blue
    assert "\x1b[2m[CLS]" in text  # nearly nothing: dim
    bare = SGR.sub("", text)
    assert "[CLS] not a gorgeous, witty movie. [SEP]" in bare
    assert re.search(r"gorgeous,\s+\+1\.500\s+━{8}\s+not\s+-0\.750\s+━{4}\s", bare)


def test_a_narrow_terminal_stacks_the_lists(in_colour, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    bare = SGR.sub("", shown(explanation(), file=Terminal()))
    assert max(map(len, bare.splitlines())) <= 40
    assert re.search(r"^  gorgeous,\s+\+1\.500", bare, re.M)
    assert re.search(r"^  not\s+-0\.750", bare, re.M)


@pytest.mark.parametrize("name", ["NO_COLOR", "TERM"])
def test_a_terminal_without_colour_gets_the_text_and_signs(in_colour, monkeypatch, name):
    monkeypatch.setenv(name, "dumb")
    assert shown(explanation(warnings=("beware",)), file=Terminal()).splitlines()[1:] == [
        "  [CLS] not a gorgeous, witty movie. [SEP]",
        "  warning: beware",
        "  for the target",
        "  +1.500  ++++++++  gorgeous,",
        "  +0.500  +++       witty",
        "  +0.250  +         [SEP]",
        "  against it",
        "  -0.750  ----      not",
        "  -0.100  -         movie.",
        "  and 2 weaker; --all-words shows all",
        "",
    ]


def long_text():
    """Scores 1 to 14, with alternating signs."""
    scores = [0.0, *(number * (-1) ** number for number in range(1, 15)), 0.0]
    return explanation(" ".join(f"w{number}" for number in range(1, 15)), scores)


@pytest.mark.parametrize("colour", [True, False])
def test_a_terminal_shows_ten_words_or_all(in_colour, monkeypatch, colour):
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    few, every = Terminal(), Terminal()
    terminal.show(long_text(), "word", few)
    terminal.show(long_text(), "word", every, every=True)
    few, every = (SGR.sub("", file.getvalue()) for file in (few, every))
    in_a_row = r"[+-]\d+\.\d+ +[+-]* +w(\d+)" if not colour else r"w(\d+) +[+-]\d"
    assert {int(number) for number in re.findall(in_a_row, few)} == set(range(5, 15))
    assert "and 6 weaker; --all-words shows all" in few
    assert [int(number) for number in re.findall(in_a_row, every)] == list(range(1, 15))
    assert "weaker" not in every


def test_all_words_of_a_pair_are_under_their_text(in_colour):
    file = Terminal()
    terminal.show(explanation("good", (0, 0.5, 0), "bad"), "word", file, every=True)
    rows = [line.split() for line in SGR.sub("", file.getvalue()).splitlines()]
    assert rows.index(["second", "text"]) < rows.index(["bad", "0"])


def test_colour_can_be_forced(in_colour, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in shown(explanation())


@pytest.mark.parametrize("file", [io.StringIO, Terminal])
def test_control_characters_do_not_reach_the_stream(in_colour, file):
    made = explanation(NASTY, target=NASTY, id=NASTY, warnings=(NASTY,), prediction=Prediction(NASTY, 0.5, 1.0))
    for level in view.LEVELS:
        text = SGR.sub("", shown(made, level, file())) if file is Terminal else shown(made, level, file())
        assert "␛[31mred␛[0m" in text
        assert not set(text) & set("\x1b\x07\ud800\u202e")


def test_a_stream_that_cannot_hold_the_text():
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    terminal.show(explanation("naïve 🎬"), "word", file)
    file.flush()
    assert b"  na\\xefve\n" in raw.getvalue()


def test_a_pseudo_terminal(in_colour):
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb") as reading, os.fdopen(follower, "w") as writing:
        terminal.show(explanation(), "word", writing)
        writing.flush()
        assert "\x1b[1;38;2;255;255;255;48;2;190;76;0mgorgeous," in os.read(reading.fileno(), 1 << 16).decode()


def test_an_empty_text_and_scores_that_are_not_numbers(in_colour):
    for made in (explanation(""), explanation(scores=(np.nan, np.inf, 0.0))):
        assert "nan" in shown(made) or made.text == ""
        for file in (None, Terminal()):
            assert "positive" in shown(made, file=file)
        assert "[CLS]" in report_html.fragment([made])


# HTML.


class Parsed(html.parser.HTMLParser):
    """The tags, their attributes and the text of a document."""

    def __init__(self, document):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def test_a_word_in_html():
    document = report_html.fragment([explanation()])
    look = "padding:.15em 0;border-radius:.2em"
    assert f'<span style="{look};background:rgba(0,114,178,0.3)" title="-0.750">not</span>' in document
    assert f'<span style="{look};background:rgba(213,94,0,0.6)" title="+1.500">gorgeous,</span>' in document


def test_what_a_fragment_says():
    text = " ".join(Parsed(report_html.fragment([explanation(warnings=("beware",))])).text.split())
    for part in (
        "speaks for the target speaks against it",
        "positive 98.8 %",
        "target positive logit 1.500 explained 1.430",
        "Warning: beware",
        "[CLS] +0.020 not -0.750 a +0.010",  # every score as text
    ):
        assert part in text


@pytest.mark.parametrize("level", view.LEVELS)
def test_html_is_escaped_and_needs_nothing_else(level):
    nasty = NASTY + ' "onmouseover="alert(1)'
    made = explanation(nasty, pair=nasty, target=nasty, id=nasty, warnings=(nasty,), model=nasty, method=nasty,
                       prediction=Prediction(nasty, 0.5, 1.0), parameters={"<b>": nasty})  # fmt: skip
    document = report_html.fragment([made], level)
    parsed = Parsed(document)
    assert not {"script", "b", "link", "img", "iframe"} & set(parsed.tags)
    assert {name for name, _ in parsed.attributes} <= {"style", "title", "dir", "lang", "role", "aria-level", "open"}
    assert not set(document) & set("\x1b\x07\ud800\u202e")
    assert "http:" not in document
    assert "https:" not in document
    assert "url(" not in document
    document.encode()


def test_right_to_left_text_is_left_to_the_browser():
    document = report_html.fragment([explanation("فيلم جميل")])
    assert re.search('<p dir="auto" lang="" style="[^"]*"><bdi ', document)  # bdi: [CLS] does not decide the direction


def test_notebooks_show_explanations():
    made = explanation()
    assert made._repr_html_() == Explanations([made])._repr_html_() == report_html.fragment([made])
    assert "… and 2 more" in report_html.fragment([made] * (report_html.SHOWN + 2))


def test_a_fragment_has_no_style_sheet():
    parsed = Parsed(report_html.fragment([explanation()]))
    assert "style" not in parsed.tags
    assert "class" not in dict(parsed.attributes)
