"""Composites that a user builds: in a few lines of Python, or in a TOML file for the command line."""

import json

import jax
import numpy as np
import pytest
from measures import relative_error
from models import refusal
from tolerances import SAME_TEXT

import autorel_jax as ar
from autorel_jax.cli.explain import main
from autorel_jax.lrp import linear, rules
from autorel_jax.lrp.composite_file import read_composite
from autorel_jax.lrp.composites import COMPOSITES
from autorel_jax.model import ops

FILE = """
name = "robust"
base = "attnlrp"

[ops]
add = "ratio"
linear = {rule = "gamma", gamma = 0.1}
"""


@pytest.fixture
def file(tmp_path):
    """Writes a composite file and returns its path."""

    def write(text=FILE):
        (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
        return tmp_path / "mine.toml"

    return write


def test_a_composite_of_ones_own(classifier, file):
    mine = COMPOSITES["attnlrp"].derive("robust", linear=linear.gamma, add=rules.ratio).set(gamma=0.1)
    (explanation,) = ar.explain(classifier, ["a good film"], method=mine)
    assert (explanation.method, explanation.parameters["gamma"]) == ("robust", 0.1)
    assert (explanation.rules["linear"], explanation.rules["add"]) == ("gamma", "ratio")
    assert "robust" not in COMPOSITES
    assert read_composite(file()) == mine
    assert read_composite(file()).parameters == mine.parameters
    (plain,) = ar.explain(classifier, ["a good film"])
    assert relative_error(explanation.token_relevance, plain.token_relevance) > SAME_TEXT


def test_composites_are_equal_by_their_table_alone():
    """So that one program serves two names, and any values."""
    attnlrp = COMPOSITES["attnlrp"]
    assert attnlrp.derive("cp", softmax=rules.detached, contract=ops.contract) == COMPOSITES["cp_lrp"] != attnlrp
    assert hash(COMPOSITES["gamma"].set(gamma=3)) == hash(COMPOSITES["gamma"])
    assert COMPOSITES["gamma"].set(gamma=3) == COMPOSITES["gamma"]


def custom(share):
    @jax.custom_vjp
    def mine(a, b):
        return a + b

    mine.defvjp(lambda a, b: (a + b, None), lambda _, c: (share * c, (1 - share) * c))
    return mine


def closure(share):
    return lambda a, b: share * (a + b)


def other(share):
    return lambda a, b: share * (a - b)


@pytest.mark.parametrize("made", [custom, closure])
def test_a_rule_of_ones_own_is_known_by_what_it_does(made):
    """What is kept of a run is taken up again only where the rule is the same."""

    def content(rule):
        return json.dumps(COMPOSITES["attnlrp"].derive("mine", add=rule).content())

    assert content(made(0.5)) == content(made(0.5))
    assert content(made(0.5)) != content(made(0.25))
    assert content(closure(0.5)) != content(other(0.5))
    assert content(closure(np.zeros(5000))) != content(closure(np.arange(5000) == 2500))


def test_registering_gives_it_a_name(classifier):
    mine = ar.register(COMPOSITES["gamma"].derive("mine", softmax=rules.detached))
    (by_name,), (by_object,) = (ar.explain(classifier, ["bad"], method=method) for method in ("mine", mine))
    assert np.array_equal(by_name.token_relevance, by_object.token_relevance)
    assert refusal(ar.register, mine).startswith("The name 'mine' is taken; choose another than attnlrp, cp_lrp")


def test_the_name_of_another_method(classifier):
    mine = COMPOSITES["gamma"].derive("lime", softmax=rules.detached)
    said = refusal(ar.explain, classifier, ["bad"], method=mine)
    assert said == "The name 'lime' is that of another method; give the composite another."


def test_parameters_of_a_call(classifier):
    (once,) = ar.explain(classifier, ["a good film"], method="gamma", parameters={"gamma": 0.5})
    (again,) = ar.explain(classifier, ["a good film"], method=COMPOSITES["gamma"].set({"linear.gamma": 0.5}))
    (other,) = ar.explain(classifier, ["a good film"], method="gamma", parameters={"gamma": [0.5, 0.5, 5]})
    assert np.array_equal(once.token_relevance, again.token_relevance)
    assert once.to_dict()["method"]["parameters"] == {"read_at": "word_embeddings", "gamma": 0.5}
    assert other.to_dict()["method"]["parameters"]["gamma"] == [0.5, 0.5, 5.0]
    assert relative_error(other.token_relevance, once.token_relevance) > SAME_TEXT


def test_one_name_in_two_rules():
    made = COMPOSITES["zplus"].derive("mine", layer_norm=rules.transparent)
    assert made.record() == {"stabilizer": 1e-9}
    assert made.set(stabilizer=0.5).record() == {"stabilizer": 0.5}
    apart = made.set({"linear.stabilizer": 0.5})
    assert apart.record() == {"linear.stabilizer": 0.5, "layer_norm.stabilizer": 1e-9}
    assert apart.derive("other", linear=linear.gamma).record() == {"gamma": linear_default("gamma"), "stabilizer": 1e-9}


def linear_default(name):
    return COMPOSITES[name].parameters["linear"][name]


@pytest.mark.parametrize(
    ("method", "parameters", "said"),
    [
        ("attnlrp", {"gamma": 1}, "attnlrp has no parameter 'gamma'; it has none."),
        ("gamma", {"alpha": 1}, "gamma has no parameter 'alpha'; it has linear.gamma."),
        ("gamma", {"add.gamma": 1}, "gamma has no parameter 'add.gamma'"),
        ("gamma", {"gamma": -0.1}, "gamma=-0.1: expected a number of at least 0, or a list of one for each layer."),
        ("gamma", {"gamma": "much"}, "gamma=much: expected a number"),
        ("gamma", {"gamma": [0.1, float("nan")]}, "expected a number"),
        ("gamma", {"gamma": 10**400}, "expected a number of at least 0"),
        ("gamma", {"gamma": True}, "gamma=True: expected a number"),
        ("gamma", {"gamma": []}, "gamma=[]: expected a number"),
        ("gamma", {"gamma": [1, 2]}, "linear.gamma has 2 values but the model has 3 layers"),
        ("alpha_beta", {"alpha": 0.5}, "alpha=0.5: expected a number of at least 1"),
    ],
)
def test_bad_parameters_are_refused(classifier, method, parameters, said):
    assert said in refusal(ar.explain, classifier, ["a"], method=method, parameters=parameters)


BASE = 'name = "x"\nbase = "attnlrp"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "is not a TOML file that can be read: Invalid value"),
        ('base = "attnlrp"', "name=None: expected a string."),
        ('name = "x"\nbase = 1', "base=1: expected a string."),
        ('name = "x"\nbase = "lrp"', "Unknown method 'lrp'. Available: attnlrp, cp_lrp"),
        ('name = "gamma"\nbase = "attnlrp"', "the name 'gamma' is taken; choose another than attnlrp"),
        (BASE + "basis = 1", "unknown key 'basis'; available: name, base, ops."),
        (BASE + "ops = 1", "ops=1: expected a table of op = rule."),
        (BASE + '[ops]\nlinera = "gamma"', "unknown op 'linera'; available: linear, contract, add, softmax"),
        (BASE + '[ops]\nlinear = "ratio"', "linear has no rule 'ratio' on the base attnlrp; available: epsilon, gamma"),
        (BASE + "[ops]\nlinear = 3", "linear has no rule 3"),
        (BASE + '[ops]\nlinear = "signed_weights"', "linear has no rule 'signed_weights' on the base attnlrp"),
        (BASE + "[ops.linear]\ngamma = 1", "unknown key of linear 'gamma'; available: rule."),
        (BASE + '[ops.linear]\nrule = "gamma"\nalpha = 1', "unknown key of linear 'alpha'; available: rule, gamma."),
        (BASE + '[ops.linear]\nrule = "gamma"\ngamma = "1"', "linear.gamma=1: expected a number"),
    ],
)
def test_bad_files_are_refused(file, text, said):
    message = refusal(read_composite, file(text))
    assert said in message
    assert "mine.toml" in message


def test_a_base_that_carries_relevance_has_rules_of_its_own(file):
    text = 'name = "x"\nbase = "bert_lrp"\n[ops]\nattention = "jacobian"\nlinear = {stabilizer = 1e-6}'
    made = read_composite(file(text))
    assert made.rules["attention"] == "jacobian"
    assert made.record() == {"linear.stabilizer": 1e-6, "attention.stabilizer": 1e-7}


def test_the_command_line(model_folder, file, tmp_path, capsys):
    def run(*arguments):
        given = [*map(str, arguments), "--model", str(model_folder), "--output", str(tmp_path / "out.jsonl")]
        return main(["a good film", *given]), capsys.readouterr().err.splitlines()[-1]

    assert run("--composite-file", file(), "--gamma", "0.5")[0] == 0
    method = json.loads((tmp_path / "out.jsonl").read_text())["method"]
    assert (method["name"], method["rules"]["add"]) == ("robust", "ratio")
    assert method["parameters"] == {"read_at": "word_embeddings", "gamma": 0.5}
    assert run("--method", "epsilon", "--epsilon", "0.1,0.2,0.3")[0] == 0
    assert json.loads((tmp_path / "out.jsonl").read_text())["method"]["parameters"]["epsilon"] == [0.1, 0.2, 0.3]
    for arguments, said in (
        (("--composite-file", file(), "--method", "gamma"), "not allowed with argument"),
        (("--composite-file", "absent.toml"), "absent.toml does not exist"),
        (("--composite-file", file(BASE + "x = 1")), "unknown key 'x'; available: name, base, ops."),
        (("--epsilon", "0.1"), "attnlrp has no parameter 'epsilon'; it has none."),
        (("--method", "gamma", "--gamma", "many"), "invalid numbers value: 'many'"),
        (("--method", "alpha_beta", "--alpha", "0"), "alpha=0.0: expected a number of at least 1"),
    ):
        code, message = run(*arguments)
        assert code == 2
        assert said in message
