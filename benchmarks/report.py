"""The report of many texts: the size of its file, and how long a browser takes to the sorted table of words.

    python benchmarks/report.py [--texts 100,1000,10000] [--rounds 5]
    python benchmarks/report.py --results scores.parquet

Made-up results of SST-2's kind: texts of 19 words and 25 word pieces on average, 14,000 different words in Zipf's
proportions, two targets with scores of both, a label, no read-outs; or results of your own. Needs Playwright and
Chromium. A round is a new browser window that opens the file from the disk. All files are read once before, as one
that was just written has been. Times are medians, of the rounds:

  table    from navigation to the first rows of the sorted table
  2-grams  from the click on "2-grams" to their table
  texts    from the click on "Texts" to the list
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

import autorel_jax as ar

WORDS, LONGEST = 14_000, 52
MEAN_WORDS, MEAN_PIECES = 19, 25
WAIT = 60_000  # milliseconds


def records(count: int) -> Iterator[dict[str, Any]]:
    """Results of `count` texts and two targets."""
    generator = np.random.default_rng(0)
    vocabulary = np.array(["".join(generator.choice(list("etaoinshrdlu"), 2 + n % 9)) + str(n) for n in range(WORDS)])
    weights = 1 / np.arange(1, WORDS + 1)
    weights /= weights.sum()
    for number in range(1, count + 1):
        length = int(np.clip(generator.gamma(4, MEAN_WORDS / 4), 1, LONGEST))
        words = vocabulary[generator.choice(WORDS, length, p=weights)].tolist()
        yield from of_text(generator, number, words)


def of_text(generator: np.random.Generator, number: int, words: list[str]) -> Iterator[dict[str, Any]]:
    """The records of one text."""
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    spans = [None, *([int(end) - len(word), int(end)] for word, end in zip(words, ends, strict=True)), None]
    tokens, places, token_spans = [], [], []
    for place, (word, span) in enumerate(zip(["[CLS]", *words, "[SEP]"], spans, strict=True)):
        if span and len(word) > 4 and generator.random() < (MEAN_PIECES - MEAN_WORDS) / MEAN_WORDS:
            cut = span[0] + 3
            tokens += [word[:3], f"##{word[3:]}"]
            token_spans += [[span[0], cut], [cut, span[1]]]
            places += [place, place]
        else:
            tokens.append(word)
            token_spans.append(span)
            places.append(place)
    logit = generator.normal() * 2
    label = int(logit + generator.normal() > 0)
    probability = 1 / (1 + np.exp(-2 * abs(logit)))
    for target, sign in (("negative", -1), ("positive", 1)):
        scores = (sign * generator.standard_t(3, len(tokens)) * 0.1).astype(np.float32)
        yield {
            "model": {"name": "made up", "weights_sha256": "0" * 64},
            "version": ar.__version__,
            "method": {"name": "attnlrp", "parameters": {"read_at": "word_embeddings"}},
            "id": number,
            "text": " ".join(words),
            "prediction": {"label": "positive" if logit > 0 else "negative", "probability": probability},
            "logits": [-logit, logit],
            "target": target,
            "target_value": sign * logit,
            "explained": float(scores.sum()),
            "tokens": tokens,
            "token_relevance": scores.tolist(),
            "token_words": places,
            "token_spans": token_spans,
            "words": ["[CLS]", *words, "[SEP]"],
            "word_relevance": np.bincount(places, scores, len(words) + 2).tolist(),
            "word_spans": spans,
            "word_segments": [0] * (len(words) + 2),
            "label": label,
        }


def until(page: Page, start: float, selector: str) -> float:
    page.wait_for_selector(selector, timeout=WAIT)
    return time.perf_counter() - start


def one_round(browser: Browser, path: Path) -> tuple[float, float, float]:
    """Seconds to the table, to that of 2-grams, and to the list of texts."""
    page = browser.new_page()
    start = time.perf_counter()
    page.goto(path.as_uri(), wait_until="commit")
    table = until(page, start, "tbody tr")
    start = time.perf_counter()
    page.get_by_role("button", name="2-grams").click()
    grams = until(page, start, "button[aria-pressed=true]:text('2-grams')")
    start = time.perf_counter()
    page.get_by_role("link", name="Texts").click()
    texts = until(page, start, ".texts li")
    page.close()
    return table, grams, texts


def measured(browser: Browser, path: Path, count: str, made: float, rounds: int) -> None:
    path.read_bytes()
    one_round(browser, path)
    table, grams, texts = map(statistics.median, zip(*(one_round(browser, path) for _ in range(rounds)), strict=True))
    size = path.stat().st_size / 1e6
    print(f"| {count} | {made:.1f} s | {size:.2f} MB | {table:.2f} s | {grams:.2f} s | {texts:.2f} s |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", default="100,1000,10000")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print("| texts | writing the page | file | table | 2-grams | texts |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = Path(folder) / "report.html"
        jobs = [args.results.name] if args.results else [int(count) for count in args.texts.split(",")]
        for job in jobs:
            results = list(ar.read_results(args.results) if args.results else records(job))
            start = time.perf_counter()
            ar.save_report(results, page)
            measured(browser, page, str(job), time.perf_counter() - start, args.rounds)
        browser.close()


if __name__ == "__main__":
    main()
