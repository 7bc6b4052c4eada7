"""The report as a browser shows it: every control and key, hostile text, no request and no complaint."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from explanations import explanation
from test_report import contrast, hexadecimal

import autorel_jax as ar
from autorel_jax.evaluation import compare, words
from autorel_jax.evaluation.collection import Collection
from autorel_jax.report.explanation import Prediction
from autorel_jax.report.page import save

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[test]'")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
NASTY = (
    "<script>window.run = 1</script> <img src=x onerror='window.run = 1'> </script><svg onload='window.run = 1'> "
    '"quoted" & {{7*7}} javascript:window.run=1 \x1b[31m \ud800 \u202ereversed'
)
SHOWN = NASTY.replace("\x1b", "␛").replace("\ud800", "�").replace("\u202e", "�")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason=f"no browser found: {', '.join(BROWSERS)}"),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser):
    """A function that opens a file in a new window; after the test nothing was requested, and nothing went wrong."""
    complaints, requests, contexts, files = [], [], [], set()

    def opened(path, fragment="", **options):
        contexts.append(browser.new_context(viewport={"width": 1200, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url.partition("#")[0]))
        files.add(path.as_uri())
        page.goto(f"{path.as_uri()}#{fragment}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert all(url.startswith("blob:") or url in files for url in requests)


def corpus(count=60, seed=0):
    """Records of texts of five words and two targets; every third prediction is wrong."""
    generator = np.random.default_rng(seed)
    known = ["good", "bad", "film", "plot", "witty", "dull", "not", "very"]
    for number in range(1, count + 1):
        text = " ".join(generator.choice(known, 5)) + (" 🎬 fin" if number % 7 == 0 else "")
        scores = generator.normal(size=9).astype(np.float32)
        label = int(number % 2)
        predicted = ("negative", "positive")[label if number % 3 else 1 - label]
        prediction = Prediction(predicted, 0.5 + number / 200, 1.5)
        logits = np.array([-1, 1.5] if predicted == "positive" else [1.5, -1], np.float32)
        for target, sign in (("negative", -1), ("positive", 1)):
            made = explanation(text, sign * scores, id=number, prediction=prediction, target=target, logits=logits)
            yield made.to_dict() | {"label": label, "site": "a.com" if number < 9 else "b.com", "nr": number}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    ar.save_report(corpus(), path)
    return path


def rows(page):
    return page.locator("tbody tr").all_inner_texts()


def ids(page):
    return [int(text.split()[1]) for text in page.locator(".open").all_inner_texts()]


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def saved(page, name):
    with page.expect_download() as download:
        press(page, name)
    return download.value.path().read_text(encoding="utf-8"), download.value.suggested_filename


# Words.


def test_words_come_sorted_by_the_lower_end_of_their_interval(report, opened):
    page = opened(report)
    assert page.title() == "Which words decided: tiny"
    collection = Collection("label")
    for record in corpus():
        collection.add(record)
    keys = words.keys(collection)
    _, begins = words.ngrams(collection, keys, 1)
    summary = words.summary(
        words.occurrences(collection, next(iter(collection.series.values())), begins, 1), len(keys.names)
    )
    listed = [key for key in range(len(keys.names)) if summary.texts[key] >= 3]
    order = sorted(listed, key=lambda key: -(summary.mean[key] - summary.half[key]))
    assert page.locator("tbody th").all_inner_texts() == [keys.names[key] for key in order]
    first = order[0]
    assert rows(page)[0].split("\t")[1:3] == [str(summary.texts[first]), signed(summary.mean[first])]
    page.get_by_role("button", name="95 % interval").click()
    order = sorted(listed, key=lambda key: summary.mean[key] + summary.half[key])
    assert page.locator("tbody th").all_inner_texts() == [keys.names[key] for key in order]
    assert page.locator("th[aria-sort=ascending]").count() == 1


def signed(share):
    text = f"{abs(100 * share):.1f}"
    return f"{'' if text == '0.0' else '−' if share < 0 else '+'}{text} %"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_page_counts_as_python_does(report, opened, n):
    """The statistics of n-grams, which the page computes itself, are those of evaluation/words.py."""
    collection = Collection("label")
    for record in corpus():
        collection.add(record)
    collection.name_labels(True)
    keys = words.keys(collection)
    parts, begins = words.ngrams(collection, keys, n)
    labels = [text.label for text in collection.texts]
    page = opened(report)
    source = str(save.script()).removesuffix("})();\n")
    every = list(collection.series.values())
    all_found = [words.occurrences(collection, series, begins, n) for series in every]
    for series, found in zip(every, all_found, strict=True):
        summary = words.summary(found, len(parts))
        having, having_label = words.label_counts(found, len(parts), labels, series.target)
        odds = words.association(having, having_label, len(labels), labels.count(series.target))
        got = page.evaluate(
            f"{source}; const t = tableOf(seriesOf(0, {json.dumps(series.target)}), {n});"
            "return Object.fromEntries(['texts', 'mean', 'spread', 'half', 'strongest', 'labelled', 'association']"
            ".map((name) => [name, Array.from(t[name])]).concat([['names', Array.from(t.mean, (_, k) => nameOf(k, "
            f"{n}))]])) }})()"
        )
        assert [tuple(name) for name in got["names"]] == [tuple(keys.names[part] for part in run) for run in parts]
        for name, values in (*summary._asdict().items(), ("labelled", having), ("association", odds)):
            numbers = np.array([np.nan if value is None else value for value in got[name]], float)
            np.testing.assert_allclose(numbers, values, rtol=1e-6, atol=1e-7, err_msg=name)
    right, wrong = words.right_and_wrong(collection)
    pull = words.pull(words.for_predicted(collection, all_found, every), len(parts), wrong, right)
    got = page.evaluate(
        f"{source}; const p = pullOf(0, {n}); return [p.difference, p.half, p.wrong.texts, p.right.mean]"
        ".map((each) => Array.from(each)) })()"
    )
    for mine, theirs in zip((pull.difference, pull.half, pull.wrong.texts, pull.right.mean), got, strict=True):
        np.testing.assert_allclose(
            np.array([np.nan if v is None else v for v in theirs], float), mine, rtol=1e-6, atol=1e-7
        )


def test_a_word_is_found_and_shows_its_texts(report, opened):
    page = opened(report)
    page.get_by_label("Find").fill("wit")
    assert page.locator("tbody th").all_inner_texts() == ["witty"]
    assert page.get_by_label("Find").evaluate("node => node === document.activeElement")
    press(page, "witty")
    assert page.locator(".current, .texts li").count() > 3
    assert all("witty" in text for text in page.locator(".texts .text").all_inner_texts())
    press(page, "holds witty ✕")
    assert "60 texts of 60" in page.locator(".count").inner_text()
    page.go_back()
    assert page.locator("tbody th").all_inner_texts() == ["witty"]


def test_the_controls_of_words(report, opened):
    page = opened(report)
    first = rows(page)
    press(page, "positive")
    assert rows(page) != first
    assert "target=positive" in page.url
    press(page, "2-grams")
    page.get_by_label("In at least").fill("4")
    assert min(int(row.split("\t")[1]) for row in rows(page)) == 4
    page.get_by_label("In at least").fill("500")
    assert rows(page) == []
    press(page, "words")
    press(page, "pulls wrong predictions")
    page.get_by_label("In at least").fill("1")
    press(page, rows(page)[0].split("\t")[0])
    assert page.locator(".outcome .wrong").count() == len(ids(page)) > 0


# Texts.


def test_errors_come_first(report, opened):
    page = opened(report, "view=texts")
    wrong = [number for number in range(60, 0, -1) if number % 3 == 0]
    assert ids(page)[:20] == wrong
    assert page.locator(".texts li").count() == 50
    press(page, "Next ›")
    assert page.locator(".texts li").count() == 10


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("order=input", range(1, 51)),
        ("order=high", range(60, 10, -1)),
        ("order=low", range(1, 51)),
        ("order=input&q=fin", range(7, 60, 7)),
        ("order=input&q=12", [12]),
        ("order=input&q=^(good|bad) .*fin$&regex=true", None),
        ("order=input&low=75&high=77", range(50, 55)),
        ("order=input&prediction=positive&label=negative", range(6, 61, 6)),
        ("order=input&outcome=right&column=site&is=a.com", [1, 2, 4, 5, 7, 8]),
        ("order=input&column=nr&is=5", [*(n for n in range(1, 61) if "5" in str(n))]),
        ("order=input&outcome=wrong", range(3, 61, 3)),
    ],
)
def test_filters_and_orders(report, opened, fragment, expected):
    page = opened(report, f"view=texts&{fragment}")
    found = ids(page)
    if expected is None:
        assert found
        assert set(found) <= set(range(7, 60, 7))
    else:
        assert found == list(expected)


def test_a_pattern_that_is_none_says_so(report, opened):
    page = opened(report, "view=texts")
    page.get_by_label("regular expression").check()
    page.get_by_label("Search").fill("(")
    assert "This is not a regular expression." in page.locator(".count").inner_text()


def test_the_controls_of_texts(report, opened):
    page = opened(report, "view=texts&order=input")
    page.get_by_label("Predicted").select_option("negative")
    page.get_by_label("Labelled").select_option("positive")
    assert ids(page) == [*range(3, 60, 6)]
    press(page, "Show all texts")
    page.get_by_label("Column").select_option("site")
    page.get_by_role("combobox", name="is", exact=True).select_option("a.com")
    assert ids(page) == [*range(1, 9)]
    page.get_by_text("Labels against predictions").click()
    page.get_by_title("labelled positive, predicted negative").click()
    assert ids(page) == [*range(3, 60, 6)]
    page.get_by_label("Order").select_option("high")
    assert ids(page) == [*range(57, 0, -6)]
    page.reload()
    assert ids(page) == [*range(57, 0, -6)]  # the fragment holds it


def test_chosen_texts_are_exported(report, opened):
    page = opened(report, "view=texts&order=input")
    page.get_by_label("select text 2", exact=True).check()
    page.get_by_label("select text 7", exact=True).check()
    text, name = saved(page, "JSON lines")
    lines = [json.loads(line) for line in text.splitlines()]
    given = [record for record in corpus() if record["id"] in (2, 7)]
    assert name == "texts.jsonl"
    assert [line["id"] for line in lines] == [2, 7]
    assert lines[1]["text"] == given[2]["text"]
    assert lines[1]["word_spans"] == given[2]["word_spans"]  # characters, though the page counts otherwise
    assert lines[1]["columns"] == {"site": "a.com", "nr": 7}
    assert [each["target"] for each in lines[1]["relevance"]] == ["negative", "positive"]
    for place, record in enumerate(given):
        scores = lines[place // 2]["relevance"][place % 2]["word_relevance"]
        np.testing.assert_array_equal(np.float32(scores), np.float32(record["word_relevance"]))
    table = list(csv.DictReader(io.StringIO(saved(page, "CSV")[0])))
    assert len(table) == sum(len(record["words"]) for record in given)
    assert {row["id"] for row in table} == {"2", "7"}
    (task, _) = json.loads(saved(page, "Label Studio")[0])
    span = task["predictions"][0]["result"][0]["value"]
    assert task["data"]["text"][span["start"] : span["end"]] == span["text"]
    assert span["labels"][0].startswith(("for ", "against "))
    last = json.loads(saved(page, "Argilla")[0].splitlines()[-1])
    for span in last["suggestions"][0]["value"]:
        assert (
            last["fields"]["text"][span["start"] : span["end"]].strip()
            == last["fields"]["text"][span["start"] : span["end"]]
        )
    page.get_by_role("button", name="Choose none (2)").click()
    assert len(saved(page, "JSON lines")[0].splitlines()) == 60
    press(page, "Choose all listed")
    assert page.get_by_role("button", name="Choose none (60)").count() == 1


def test_cells_that_a_spreadsheet_would_run(tmp_path, opened):
    path = tmp_path / "a.html"
    ar.save_report([explanation('=1+1 is -2 , "or"')], path)
    rows_ = list(csv.DictReader(io.StringIO(saved(opened(path, "view=texts"), "CSV")[0])))
    assert [row["word"] for row in rows_] == ["[CLS]", "'=1+1", "is", "'-2", ",", '"or"', "[SEP]"]


# One text.


def test_one_text(report, opened):
    page = opened(report, "view=text&text=7")
    record = next(record for record in corpus() if record["id"] == 7 and record["target"] == "positive")
    assert page.locator("article h2").inner_text() == "Text 7"
    assert page.locator(".reading .text").inner_text() == f"[CLS] {record['text']} [SEP]"
    assert page.locator(".outcome").inner_text() == "positive 53.5 % ✓ right"
    word = page.locator(".reading [role=button]").nth(1)
    word.hover()
    share = record["word_relevance"][1] / np.abs(record["word_relevance"]).sum()
    detail = page.locator(".detail").inner_text()
    score = f"{'+' if share > 0 else '−'}{abs(record['word_relevance'][1]):.3f}"
    speaks = "for" if share > 0 else "against"
    said = f"{record['words'][1]} {score}, {signed(share)} of the text's Σ|relevance|: speaks {speaks} positive."
    half = f"{score[0]}{abs(record['token_relevance'][1]):.3f}"
    first, rest = record["tokens"][1:3]
    assert detail == f"{said} Its pieces: {first} {half}, {rest} {half}"
    press(page, "negative")
    word.click()
    assert f"speaks {'against' if share > 0 else 'for'} negative" in page.locator(".detail").inner_text()
    press(page, "word pieces")
    assert page.locator(".reading [role=button]").count() == len(record["tokens"])
    page.get_by_text("All scores in reading order").click()
    assert page.locator("details tbody tr").count() == len(record["tokens"])


def test_a_score_of_a_pair_is_of_no_label(tmp_path, opened):
    """The terminal's words: more relevant, less relevant."""
    path, scored = tmp_path / "a.html", {"logits": np.array([1.5], np.float32), "target": "LABEL_0"}
    ar.save_report([explanation("a film", np.array([0, 2, -1, 0], np.float32), pair="x", **scored)], path)
    page = opened(path, "view=text")
    assert page.locator(".sides h3").all_inner_texts() == ["more relevant", "less relevant"]
    page.locator(".reading [role=button]").nth(1).hover()
    assert ": more relevant" in page.locator(".detail").inner_text()
    assert "speaks" not in page.locator("body").inner_text()
    assert "makes its text more relevant" in opened(path, "view=words").locator(".hint").first.inner_text()


def test_signs_are_not_by_colour_alone(report, opened):
    page = opened(report, "view=text&text=1")
    borders = {
        sign: page.locator(f".reading .{sign}").first.evaluate("node => getComputedStyle(node).borderBottomStyle")
        for sign in ("for", "against")
    }
    assert borders == {"for": "solid", "against": "dashed"}


def test_what_is_inside_the_model(tmp_path, opened):
    from autorel_jax.report.ledger import Ledger

    kept = {"softmax": np.array([0, 0.5, 0, 0], np.float32)}
    readouts = {"layers": np.ones((3, 8), np.float32), "heads": -np.ones((2, 4, 8), np.float32)}
    made = explanation(
        ledger=Ledger(1.5, 0.75, 0.25, 0.0, 0.0, kept), readouts=readouts, warnings=("beware",), truncated_tokens=2,
        diagnostics={"steps": 50.0},
    )  # fmt: skip
    path = tmp_path / "a.html"
    ar.save_report([made], path)
    page = opened(path, "view=text")
    assert page.locator(".warnings li").all_inner_texts() == [
        "beware",
        "A part of this text was not read: it is longer than the model takes.",
    ]
    assert page.locator(".ledger li").all_inner_texts() == [
        "words +0.750 (50 %)",
        "softmax +0.500 (33 %)",
        "special tokens +0.250 (17 %)",
    ]
    assert page.locator(".map").count() == 2
    assert page.locator(".map").first.locator("tbody th").all_inner_texts() == ["embeddings", "layer 1", "layer 2"]
    assert page.locator(".map").nth(1).locator("td .hidden").all_inner_texts() == ["−8.000"] * 8
    assert "steps" in page.locator("dl").inner_text()


def test_methods_are_switched(tmp_path, opened):
    path = tmp_path / "a.html"
    ar.save_report([explanation(), explanation(method="occlusion", scores=(1, 2, 3, 4, 5, 6, 7))], path)
    page = opened(path, "view=text")
    page.get_by_label("Method").select_option("occlusion")
    page.locator(".reading [role=button]").nth(1).hover()
    assert page.locator(".detail").inner_text().startswith("not +2.000")
    page.get_by_role("link", name="Words").click()
    assert "+21.4 %" in page.locator("tbody").inner_text()  # movie: 6 of 28
    assert page.get_by_label("Method").input_value() == "1"


def test_only_the_predicted_label_was_explained(tmp_path, opened):
    path = tmp_path / "a.html"
    made = [explanation(id=1), explanation(id=2, target="negative", prediction=Prediction("negative", 0.9, 1.0))]
    ar.save_report(made, path)
    assert "explain again with --target all" in opened(path).locator(".note").inner_text()
    ar.save_report(made[:1], path)
    assert opened(path).locator(".note").count() == 0


# Compare.


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The corpus, and another model's results for the same texts, of which every fifth is missing."""
    path = tmp_path_factory.mktemp("compared") / "report.html"
    ar.save_report(corpus(), path, compare=other_model())
    return path


def other_model():
    for record in corpus(seed=0):
        if record["id"] % 5:
            generator = np.random.default_rng(record["id"])
            scores = np.float32(record["word_relevance"]) + generator.normal(size=len(record["words"])).astype(
                np.float32
            )
            flipped = {"label": "negative", "probability": 0.6} if record["id"] % 4 == 0 else record["prediction"]
            yield record | {
                "model": {"name": "large", "weights_sha256": "1"},
                "word_relevance": scores.tolist(),
                "prediction": flipped,
            }


@pytest.mark.parametrize("n", [1, 2])
def test_the_page_compares_as_python_does(compared, opened, n):
    collection, other = Collection("label"), Collection()
    for record in corpus():
        collection.add(record)
    for record in other_model():
        other.add(record)
    compare.add_other(collection, other)
    first, second = (collection.series[method, "positive"] for method in (0, 1))
    parts, begins = words.ngrams(collection, words.keys(collection), n)
    found = [words.occurrences(collection, series, begins, n) for series in (first, second)]
    changes = compare.word_changes(*found, len(parts))
    far = compare.moved(collection, first, second)
    page = opened(compared)
    source = str(save.script()).removesuffix("})();\n")
    got = page.evaluate(
        f"{source}; const [a, b] = [seriesOf(0, 'positive'), seriesOf(1, 'positive')], c = wordChanges(a, b, {n});"
        "return [c.first.mean, c.second.mean, c.difference.mean, c.difference.half, c.difference.texts]"
        ".map((each) => Array.from(each))"
        ".concat([Array.from(array(b.packed.rows), (text) => [text, moved(text, a, b)])]) })()"
    )
    mine = (
        changes.first.mean,
        changes.second.mean,
        changes.difference.mean,
        changes.difference.half,
        changes.difference.texts,
    )
    for expected, numbers in zip(mine, got[:5], strict=True):
        numbers = np.array([np.nan if value is None else value for value in numbers], float)
        np.testing.assert_allclose(numbers, expected, rtol=1e-6, atol=1e-7)
    assert {text: value for text, value in got[5]} == pytest.approx(far, rel=1e-6)


def test_two_models_side_by_side(compared, opened):
    page = opened(compared, "view=compare")
    hint = page.locator("main .hint").first.inner_text()
    both = [number for number in range(1, 61) if number % 5]
    flips = [n for n in both if n % 4 == 0 and (n % 2 if n % 3 else 1 - n % 2)]
    assert hint.startswith(
        f"{len(both)} texts in A and B. Of all {len(both)} texts that both results have, both models predict the same "
        f"in {100 - 100 * len(flips) / 48:.1f} %."
    )
    assert page.locator("tbody tr").count() == 10
    press(page, "texts")
    assert page.locator(".texts li strong").count() == len(flips)
    assert page.locator(".texts .text").count() == 2 * len(both)
    page.get_by_role("combobox", name="B", exact=True).select_option(label="attnlrp, positive")
    assert "moved 100.0 %" in page.locator(".texts").inner_text()  # the other target has every sign turned
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.keyboard.press("c")
    assert page.get_by_role("combobox", name="B", exact=True).input_value() == "1"


def test_models_of_which_each_explains_what_it_predicts(tmp_path, opened):
    """No target has the texts that flip; they are counted and listed all the same."""
    labels = {False: Prediction("positive", 0.9, 1.0), True: Prediction("negative", 0.9, 1.0)}
    ours = [explanation(id=number, prediction=labels[False]) for number in range(8)]
    theirs = [
        explanation(id=number, model="large", prediction=labels[number < 3], target=labels[number < 3].label)
        for number in range(8)
    ]
    ar.save_report(ours, tmp_path / "a.html", compare=theirs)
    page = opened(tmp_path / "a.html", "view=compare")
    assert page.locator("main .hint").first.inner_text() == (
        "5 texts in A and B. Of all 8 texts that both results have, both models predict the same in 62.5 %."
    )
    press(page, "texts")
    assert page.locator(".texts li strong").all_inner_texts() == ["positive → negative"] * 3
    assert page.locator(".texts li").count() == 8
    assert page.locator(".texts").inner_text().count("no scores here: explained for another label") == 3


def test_there_is_nothing_to_compare(tmp_path, opened):
    path = tmp_path / "a.html"
    ar.save_report([explanation()], path)
    assert opened(path).get_by_role("link", name="Compare").count() == 0


# Keys.


def test_all_of_it_by_keyboard(report, opened):
    page = opened(report, "order=input")
    page.keyboard.press("/")
    page.keyboard.type("witty")
    page.keyboard.press("Escape")
    assert page.locator("tbody th").all_inner_texts() == ["witty"]
    page.keyboard.press("t")
    assert page.locator("main").get_attribute("data-view") == "texts"
    page.keyboard.press("]")
    assert ids(page) == [*range(51, 61)]
    page.keyboard.press("[")
    assert ids(page)[0] == 1
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator(".current .open").inner_text() == "Text 3"
    page.keyboard.press("o")
    assert page.locator("article h2").inner_text() == "Text 3"
    page.keyboard.press("k")
    assert page.locator("article h2").inner_text() == "Text 2"
    page.locator(".reading [role=button]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    second = page.locator(".reading [role=button]").nth(2).inner_text()
    assert page.locator(".detail").inner_text().startswith(second)
    page.keyboard.press("h")
    assert "How to read this" in page.locator("main h2").first.inner_text()
    page.keyboard.press("w")
    assert page.locator("main").get_attribute("data-view") == "words"


# Hostile text, and text of all kinds.


@pytest.mark.filterwarnings("default:Labels in the data:UserWarning")
def test_nothing_in_the_data_runs(tmp_path, opened):
    path = tmp_path / "a.html"
    prediction = Prediction(NASTY, 0.5, 1.0)
    made = explanation(NASTY, pair=NASTY, id=NASTY, target=NASTY, model=NASTY, method=NASTY, warnings=(NASTY,),
                       parameters={NASTY: NASTY}, prediction=prediction, diagnostics={NASTY: 1.0})  # fmt: skip
    records = [made.to_dict() | {NASTY: NASTY, "label": NASTY, "file": NASTY}]
    records += [
        explanation(id=2, target=NASTY, model=NASTY, method=NASTY, parameters={NASTY: NASTY}).to_dict()
        | {NASTY: "x", "label": "no"}
    ]
    ar.save_report(records, path)
    page = opened(path)
    for view in ("words", "texts", "text", "about"):
        page.evaluate(f"location.hash = 'view={view}'")
        page.wait_for_selector(f"main[data-view={view}]")
        page.wait_for_timeout(50)
        assert page.locator("main script, main img, main svg:not([role=img]), header img").count() == 0
        shown = page.evaluate("document.body.innerText")
        assert not set(shown) & set("\x1b\u202e")
        if view != "words":
            assert SHOWN in page.locator("main").evaluate("node => node.textContent")
    assert page.evaluate("window.run") is None
    page.evaluate(f"location.hash = 'view=texts&q={'%3Cimg src=x onerror=window.run=1%3E'}'")
    page.evaluate("location.hash = 'view=constructor&n=NaN&text=-5&method=__proto__&target=constructor&order=toString'")
    page.wait_for_selector("main[data-view=words]")
    assert page.evaluate("window.run") is None


def test_the_policy_stops_what_is_put_in(report, browser):
    """A script, a style and an image that came in after all would not run or load."""
    context = browser.new_context()
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(report.as_uri())
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.run = 1'}))")
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://example.org/a.png'}))")
    page.wait_for_timeout(100)
    assert page.evaluate("window.run") is None
    assert sum("Content Security Policy" in line for line in said) == 2
    context.close()


def test_right_to_left_text_is_in_its_direction(tmp_path, opened):
    path = tmp_path / "a.html"
    ar.save_report([explanation("فيلم جميل جدا")], path)
    page = opened(path, "view=text")
    assert page.locator(".reading .text").evaluate("node => getComputedStyle(node).direction") == "rtl"
    words_ = page.locator(".reading [role=button]")
    words_.nth(1).focus()
    page.keyboard.press("ArrowLeft")  # the next word is on the left
    assert page.locator(".detail").inner_text().startswith("جميل")


def test_an_empty_report(tmp_path, opened):
    path = tmp_path / "a.html"
    ar.save_report([], path)
    for view in ("words", "texts", "text", "about"):
        assert opened(path, f"view={view}").locator("main > *").count() > 0


# For all eyes and ears.

NAMELESS = """() => [...document.querySelectorAll("button, input, select, a, [role=button]")].filter((node) => !(
  node.textContent.trim() || node.ariaLabel || (node.labels && [...node.labels].some((each) => each.textContent.trim()))
)).map((node) => node.outerHTML)"""


@pytest.mark.parametrize("view", ["words", "words&kind=wrong", "texts", "text", "compare", "about"])
def test_what_a_screen_reader_needs(report, opened, view):
    """Names of all controls, one heading of the first level, landmarks, a language, heads of tables, no id twice."""
    page = opened(report, f"view={view}")
    assert page.evaluate(NAMELESS) == []
    assert page.locator("html[lang=en]").count() == page.locator("h1").count() == page.locator("main").count() == 1
    assert page.locator("nav:not([aria-label]), table:has(td):not(:has(th[scope=col]))").count() == 0
    assert page.locator("svg:not([aria-label])").count() == 0
    names = page.evaluate("[...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(names) == len(set(names))
    assert page.locator("[tabindex]:not([tabindex='0'], [tabindex='-1'])").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_text_can_be_read(report, opened, scheme):
    """WCAG 2.2, AA: 4.5 against the page, and against the ground of tabs and hints."""
    page = opened(report, color_scheme=scheme)
    names = ("ink", "page", "soft", "quiet", "for", "against", "link", "good", "bad")
    style = "getComputedStyle(document.documentElement)"
    values = {name: page.evaluate(f"{style}.getPropertyValue('--{name}').trim()") for name in names}
    rgb = {
        name: hexadecimal(value if len(value) == 7 else "#" + "".join(2 * digit for digit in value[1:]))
        for name, value in values.items()
    }
    for name in ("ink", "quiet", "link", "good", "bad", "for", "against"):
        assert contrast(rgb[name], rgb["page"]) >= 4.5, name
        assert contrast(rgb[name], rgb["soft"]) >= 4.5, name


# What it looks like.


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "view", ["words", "words&kind=wrong", "texts", "text", "compare", "compare&change=texts", "about"]
)
def test_the_page_is_as_wide_as_a_phone(report, opened, view, scheme):
    page = opened(report, f"view={view}", color_scheme=scheme)
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 27)"}[scheme]
