"""benchmarks/study.py: what it measures can be measured, and its page says what the results do."""

import json
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

from autorel_jax import weights
from autorel_jax.attribution.registry import named
from autorel_jax.cli.evaluate import parser
from autorel_jax.cli.plant import parser as plant_parser
from autorel_jax.cli.train_flags import parser as train_parser
from autorel_jax.faithfulness.config import EvaluateConfig
from autorel_jax.faithfulness.methods import parsed
from autorel_jax.faithfulness.protocols import PROTOCOLS
from autorel_jax.text.tokens import load_tokenizer

ROOT = Path(__file__).parents[1]
with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])  # as for a script
    STUDY = runpy.run_path(str(ROOT / "benchmarks" / "study.py"))
CONFIG = tomllib.loads((ROOT / "benchmarks" / "study.toml").read_text("utf-8"))
MEASURES = {measure.name: name for name, protocol in PROTOCOLS.items() for measure in protocol.measures}


@pytest.mark.parametrize("part", STUDY["parts_of"](CONFIG), ids=lambda part: part["name"])
def test_each_part_can_be_measured(part, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setitem(STUDY["call"].__globals__, "autorel", lambda words: commands.append(words) or ran(words))
    for name in ("write_halves", "write_swapped"):
        monkeypatch.setitem(STUDY["measure"].__globals__, name, lambda *_: None)
    STUDY["measure"](part, [], Path("data"), tmp_path)
    assert STUDY["as_asked"](tmp_path / f"{part['name']}.json", [part])
    ((command, *words),) = commands
    args = {"evaluate": parser, "plant": plant_parser}[command]().parse_args(words)
    if command == "evaluate":
        names = ("methods", "protocols", "perturb")
        EvaluateConfig(**{name: value for name, value in vars(args).items() if name in names})
    for method in args.methods:
        name, parameters = parsed(method)
        parameters.pop("read_at", None)
        named(name).set(parameters)


def ran(words):
    """Leaves what a command leaves."""
    output = Path(words[words.index("--output") + 1])
    if words[0] == "plant":
        output.mkdir(parents=True)
        output /= "planted.json"
    output.write_text("{}")


def test_models_are_those_of_parts():
    named = {model["name"] for model in CONFIG["model"]}
    assert named == {part[kind] for part in CONFIG["part"] for kind in STUDY["MODELS"] if kind in part}
    for model in CONFIG["model"]:
        assert (ROOT / "configs" / model["config"]).exists()
        train_parser().parse_args(model["flags"])


def test_new_models_have_pieces_of_their_texts(tmp_path):
    """One of study.toml, made smaller."""
    (model,) = (model for model in CONFIG["model"] if "architecture" in model)
    sizes = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2}
    (tmp_path / "train.tsv").write_text("sentence\tlabel\n" + 'a "good film\t1\n' * 3)
    untrained = STUDY["fine_tune"].__globals__["untrained"]
    made = untrained(model | {"architecture": model["architecture"] | sizes}, tmp_path, tmp_path)
    checkpoint = weights.read(made, encoder=True)
    assert checkpoint.config.family.name == "ModernBERT"
    tokens = load_tokenizer(made, None, checkpoint.config.family)(['a "good film'], max_length=16)[0]
    assert tokens.pieces == ("[CLS]", "a", 'Ġ"', "good", "Ġfilm", "[SEP]")
    assert max(tokens.ids) < 300


def test_what_is_there_is_not_made_again(tmp_path):
    made, entry = tmp_path / "one.json", {"name": "one", "limit": 3}
    assert not STUDY["as_asked"](made, entry)
    STUDY["asked_file"](made).write_text(json.dumps(entry))
    assert not STUDY["as_asked"](made, entry)
    made.write_text("{}")
    assert STUDY["as_asked"](made, entry)
    assert not STUDY["as_asked"](made, entry | {"limit": 4})


def test_the_page_is_made_from_what_is_kept():
    records = STUDY["kept"](CONFIG)
    assert records
    page = (ROOT / "docs" / "study.md").read_text("utf-8")
    assert page == STUDY["page"](CONFIG, records)
    for name, record in records.items():
        assert (not record["curves"]) or (ROOT / "docs" / f"study-{name}.png").exists()


def test_what_is_kept_of_results(tmp_path, monkeypatch):
    """What the page shows, rounded, and no name of a model, which may be a path."""
    monkeypatch.setitem(STUDY["keep"].__globals__, "KEPT", tmp_path)
    results = [*RECORD["results"], row("attnlrp", 0.12345678, 0.0, 1.0, "eraser", "comprehensiveness_logit")]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "one.json").write_text(json.dumps(RECORD | {"results": results}))
    STUDY["keep"]("one", tmp_path / "results")
    text = (tmp_path / "one.json").read_text()
    kept = json.loads(text)
    assert "/home/someone" not in text
    assert kept["results"] == STUDY["rounded"](RECORD["results"])  # what is in no table is not kept
    assert STUDY["rounded"]({"a": [0.1234567891, 3, None, "x"]}) == {"a": [0.123456789, 3, None, "x"]}


def test_references_are_of_the_other_half(tmp_path):
    assert all(part.get("half") for part in CONFIG["part"] if "references" in part)
    table, half, others = (tmp_path / name for name in ("a.tsv", "half.tsv", "others.tsv"))
    table.write_text("text\n" + "".join(f"{number}\n" for number in range(1, 10)))
    STUDY["write_halves"](table, half, others, 2)
    assert (half.read_text(), others.read_text()) == ("text\n2\n4\n6\n8\n", "text\n1\n3\n")


def test_swapped_words(tmp_path):
    """Both ways, whole words alone; texts without one are left out."""
    table, pairs = tmp_path / "a.tsv", tmp_path / "a.jsonl"
    table.write_text('text\tlabel\ngood , not bad\t1\ngoods "\t0\na "bad film\t0\n bad\t0\n')
    STUDY["write_swapped"](table, pairs, {"text": "text", "changed": "copy"}, [["good", "bad"], ["a", "b"]])
    assert [tuple(json.loads(line).values()) for line in pairs.read_text().splitlines()] == [
        ("good , not bad", "bad , not good"),
        ('a "bad film', 'b "bad film'),
        (" bad", " good"),
    ]


def test_no_word_is_swapped_for_two():
    swaps = [word for part in CONFIG["part"] for pair in part.get("swaps", []) for word in pair]
    assert len(swaps) == len(set(swaps))


def test_targets_are_of_what_is_measured():
    parts = {part["name"]: part for part in CONFIG["part"]}
    for target in CONFIG["target"]:
        assert MEASURES[target["measure"]] == target["protocol"]
        assert set(target["parts"]) <= parts.keys()
        assert all(parts[part]["perturb"] for part in target["parts"])


def row(method, mean, low, high, protocol="curves", measure="auac"):
    interval = {"n": 9, "mean": mean, "low": low, "high": high}
    found = {"protocol": protocol, "perturbation": "mask", "measure": measure, "better": "higher", "method": method}
    return (
        found
        | {"over_texts": {"n": 9, "mean": 0.5 + mean, "low": 0.0, "high": 1.0}, "minus_random": interval}
        | ({} if method == "attnlrp" else {"minus_default": interval})
    )


RECORD = {
    "model": {"name": "/home/someone/a_model"},  # where it lay, which a page does not say
    "masked_model": None,
    "texts": 9,
    "units": "word",
    "seed": 0,
    "protocols": ["curves"],
    "perturbations": ["mask"],
    "methods": {
        name: {"looks_at_deletions": name == "lime"} for name in ("attnlrp", "better", "same", "worse", "lime")
    },
    "results": [
        row(method, *found, measure=measure)
        for measure in ("auac", "morf", "between")
        for method, found in {
            "attnlrp": (0.0, 0.0, 0.0),
            "better": (0.2, 0.1, 0.3),
            "same": (0.1, -0.1, 0.3),
            "worse": (-0.2, -0.3, -0.1),
            "lime": (0.3, 0.2, 0.4),
        }.items()
    ],
    "curves": [],
    "sanity": [
        {"kind": kind, "what": what, "method": method, "n": 9, "mean": mean, "low": mean - 0.1, "high": mean + 0.1}
        for kind, what in (("cascading", "head"), ("cascading", "embeddings"), ("alone", "alone"))
        for method, mean in (("random", 1.0), ("better", 0.0 if what == "embeddings" else 0.5))
    ],
}


def test_the_page_says_what_was_found():
    target = {"parts": ["one", "other"], "protocol": "curves", "measure": "auac"}
    study = {
        "title": "A study",
        "about": "About it.",
        "part": [{"name": name, "title": name.title(), "perturb": ["mask"]} for name in ("one", "other")],
        "target": [target | {"better_than": ["worse", "same", "better"]}, target | {"reported": ["lime"]}],
    }
    page = STUDY["page"](study, {"one": RECORD})
    assert "- auac: better than `attnlrp`: `lime`, `better`; not told apart from it: `same`." in page
    assert "| one | auac, mask | `worse` | 0.2000 [0.1000 0.3000] | 9 | yes |" in page
    assert "| one | auac, mask | `same` | -0.1000 [-0.3000 0.1000] | 9 | no: the interval holds 0 |" in page
    assert "| one | auac, mask | `better` | -0.2000 [-0.3000 -0.1000] | 9 | no |" in page
    assert "| one | auac, mask | `lime` | -0.3000 [-0.4000 -0.2000] | 9 | reported |" in page
    assert "| other | auac, mask | `worse` | – | – | not measured |" in page
    assert "Not measured yet, and in no number below: `other` (Other)." in page
    assert "- better in some numbers, worse in none: `better`." in page
    assert "- worse in all: `worse`." in page
    assert "- not told apart from random scores in some numbers: `same` (3 of 3)." in page
    assert (
        "- `lime` takes words away itself; where that is measured it is better in 3 of 3 numbers, worse in 0." in page
    )
    assert "| auac | `better` (1 of 1), `lime`\\* (1 of 1) |" in page
    assert "It is not measured." in page  # the default method read elsewhere
    assert "| `better` | 3 | 0 | 0 |" in page  # as often as it has numbers, of three measures
    assert "| `lime` |" not in page.split("## Targets")[0]  # its own game
    assert page.count("Compared with `attnlrp`") == 1
    assert "### The built-in model, and models fine-tuned from it\nCompared with" in page
    study["model"] = [{"name": "new", "architecture": {"model_type": "modernbert"}}]
    study["part"][1] |= {"model": "new", "about": "What it is."}
    both = STUDY["page"](study, {"one": RECORD, "other": RECORD})
    assert "### Another family: `modernbert`\nCompared with" in both
    assert "| auac | `better` (2 of 2), `lime`\\* (2 of 2) |" in both
    assert "\n\nWhat it is.\n\n" in both
    planted = RECORD | {"protocols": ["planted"], "results": [row("same", 0.2, 0.1, 0.3, "planted", "rank")]}
    planted["results"].append(row("same", 0.2, 0.1, 0.3, "planted", "share"))
    people = RECORD | {"protocols": ["people"], "results": [row("same", 0.2, 0.1, 0.3, "people", "auprc")]}
    tallies = STUDY["page"].__globals__["tallies"]
    assert tallies({"one": planted}, own_game=False)["same"].better == 1
    assert not tallies({"one": people}, own_game=False)
    assert "| lime* | 0.800 [0.000 1.000] + |" in page
    assert "| cascading embeddings | 1.000 [0.900 1.100] | 0.000 [-0.100 0.100] |" in page
    assert "- With all parameters in disorder, the interval still lies above 0 for `random`." in page
    assert "## Other" not in page
    assert "/home/someone" not in page


def test_the_page_says_whether_a_model_follows_what_is_planted():
    study = {"title": "A study", "about": "", "part": [{"name": "one", "title": "One", "plant": "pair"}]}
    followed = RECORD | {"planted": {"followed": 0.987, "followed_a_part": None, "opposed_a_part": None}}
    page = STUDY["page"](study, {"one": followed})
    assert "model: one, which follows what is planted in 98.7% of these texts.\n" in page
    followed["planted"] |= {"followed_a_part": 0.523, "opposed_a_part": 0.471}
    page = STUDY["page"](study, {"one": followed})
    assert "; 52.3% of texts with a part of it alone get its label, 47.1% the other one.\n" in page


def test_where_relevance_is_read_is_compared_over_models():
    """Two parts of one model: one better number, and one worse; a model of its own; one that was not measured."""
    elsewhere = "attnlrp:read_at=embeddings"
    found = {"one": (0.2, 0.1, 0.3), "again": (-0.2, -0.3, -0.1), "own": (0.2, 0.1, 0.3), "third": (0.1, -0.1, 0.3)}
    records = {
        name: RECORD
        | {
            "methods": {method: {"looks_at_deletions": False} for method in ("attnlrp", elsewhere)},
            "results": [
                row(method, *numbers, measure=measure)
                for measure in ("auac", "morf", "between")
                for method, numbers in {
                    "attnlrp": (0.0, 0.0, 0.0),
                    elsewhere: one if measure == "auac" else (0.1, 0.05, 0.2),
                }.items()
            ],
        }
        for name, one in found.items()
    }
    parts = [{"name": name, "title": name} for name in ("one", "again")]
    parts += [{"name": name, "title": name, "model": f"models/{name}"} for name in ("own", "third", "absent")]
    page = STUDY["page"]({"title": "A study", "about": "", "part": parts}, records)
    assert "| own | models/own | auac, mask (higher is better) | 0.2000 [0.1000 0.3000] | 9 | yes |" in page
    assert "| again | built-in | auac, mask (higher is better) | -0.2000 [-0.3000 -0.1000] | 9 | worse |" in page
    assert "| auac | 3 | 1 | 1 |" in page
    assert "| morf | 3 | 3 | 0 |" in page
    assert "Better on two models or more: morf, between." in page
