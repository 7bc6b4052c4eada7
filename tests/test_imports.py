"""The structure of the package: imports point one way, and nothing slow is imported before it is needed."""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import autorel_jax

PACKAGE = Path(autorel_jax.__file__).parent
ROOT = Path(__file__).parents[1]
LEVELS = (  # a module imports from its own level or one before; a folder stands for all that is in it
    {"autorel_jax", "errors", "foreign", "builtin"},
    {"files", "options", "sharding"},
    {"families"},
    {"text", "model"},
    {"weights", "lrp", "data"},
    {"attribution"},
    {"classifier"},
    {"report", "evaluation"},
    {"explaining"},
    {"corpus", "export", "training", "faithfulness"},
    {"auditing"},
    {"cli", "__main__"},
)
APART = (  # they meet through the Ops table, or not at all
    {"text", "model"},
    {"weights", "lrp"},
    {"weights", "data"},
    {"lrp", "data"},
    {"corpus", "training"},
    {"corpus", "export"},
    {"export", "training"},
    {"faithfulness", "corpus"},
    {"faithfulness", "export"},
    {"faithfulness", "training"},
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
ONLY_IMPORTERS = {
    "tokenizers": ("tokenizer.py", "pipelines.py", "normalizing.py", "added_tokens.py", "japanese.py", "unspaced.py"),
    "icu4py": "unspaced.py",
    "orbax": "run_state.py",
    "datasets": "hf.py",
    "ray": "on_ray.py",
    "tensorboardX": "board.py",
    "tensorflow": None,
    "tensorflow_datasets": "tfds.py",
    "torch": None,
    "transformers": "japanese.py",
}


def imports():
    """(importing file, importing unit, imported module) of every import statement in the package."""
    for file in sorted(PACKAGE.rglob("*.py")):
        unit = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        unit = "autorel_jax" if unit == "__init__" else unit
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                node.body = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((file, unit, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: a relative import"
                yield from ((file, unit, imported(node.module, alias.name)) for alias in node.names)


def imported(module, name):
    """What `from module import name` imports: a module of that name, or a name in the module."""
    path = PACKAGE.parent.joinpath(*module.split("."), name)
    return f"{module}.{name}" if path.is_dir() or path.with_suffix(".py").exists() else module


def unit_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVEL else "autorel_jax"


def test_imports_point_one_way():
    for file, unit, module in imports():
        if module.split(".")[0] == "autorel_jax":
            imported = unit_of(module)
            assert LEVEL[imported] <= LEVEL[unit], f"{file} imports {module}"
            assert {unit, imported} not in APART, f"{file} imports {module}"


def test_no_two_files_import_each_other():
    """No circle of imports, also none that goes through functions; names for types alone do not count."""
    names = {".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}
    of = {file: name.removesuffix(".__init__") for name, file in names.items()}
    above = {name: set() for name in of.values()}
    for file, _, module in imports():
        if module in above and module != of[file]:
            above[of[file]].add(module)
    while free := [name for name, others in above.items() if not others & above.keys()]:
        for name in free:
            del above[name]
    assert not above, f"in a circle, or above one: {', '.join(sorted(above))}"


def test_rules_know_the_ops_alone():
    """The model and the rules meet through the Ops table."""
    for file, unit, module in imports():
        if unit == "lrp" and module.startswith("autorel_jax.model"):
            assert module == "autorel_jax.model.ops", f"{file} imports {module}"


def test_each_library_has_its_one_importer():
    for file, _, module in imports():
        root = module.split(".")[0]
        allowed = ONLY_IMPORTERS.get(root, file.name) or ()
        assert file.name in ((allowed,) if isinstance(allowed, str) else allowed), f"{file} imports {module}"


def imported_by(code):
    """The modules that a fresh interpreter has after the code."""
    script = f"{code}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_itself_costs_nothing():
    assert not imported_by("import autorel_jax") & {"jax", "numpy", "flax"}


def test_results_are_shown_without_jax():
    code = "import autorel_jax.report.explanation, autorel_jax.report.html, autorel_jax.report.terminal"
    code += ", autorel_jax.report.output, autorel_jax.report.saved, autorel_jax.report.page.save"
    assert not imported_by(code) & {"jax", "flax", "pyarrow"}


def test_tables_are_made_without_jax():
    assert not imported_by("import autorel_jax.corpus.formats") & {"jax", "flax", "pyarrow"}


def test_loading_needs_nothing_slow():
    code = "from autorel_jax.explaining.explainer import explain; from autorel_jax.classifier import load"
    slow = {"transformers", "orbax", "optax", "tensorflow", "torch", "matplotlib", "jinja2", "huggingface_hub"}
    assert not imported_by(code) & slow


def test_one_sentence_needs_no_corpus():
    """What explains a text on the terminal knows the options of a corpus, for its flags, and nothing that makes one."""
    found = imported_by("from autorel_jax.cli.explain import main; main(['a good film'])")
    assert not found & {"pyarrow", "huggingface_hub", "optax", "orbax", "jinja2"}
    assert not found & {f"autorel_jax.{name}" for name in ("weights.directory", "weights.hub", "report.output")}
    folders = ("autorel_jax.corpus.", "autorel_jax.training", "autorel_jax.export")
    assert {name for name in found if name.startswith(folders)} == {"autorel_jax.corpus.config"}


def test_texts_need_no_reader():
    """Those of the command line."""
    code = "from autorel_jax.data.row import Row; from autorel_jax.data.sources import is_source, of_texts; "
    code += "is_source('good'); of_texts([Row(1, 'good', None, None)])"
    found = {name for name in imported_by(code) if name.startswith("autorel_jax.data.")}
    assert found == {f"autorel_jax.data.{name}" for name in ("kinds", "row", "sources")}


def test_public_names_exist():
    assert all(getattr(autorel_jax, name) is not None for name in autorel_jax.__all__)
    assert set(autorel_jax.__all__) == set(dir(autorel_jax))


def test_every_folder_is_installed():
    """The list in pyproject.toml is by hand: tests from a checkout would not notice one that it lacks."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = (path.parent.relative_to(ROOT) for path in (ROOT / "autorel_jax").rglob("__init__.py"))
    assert set(listed) == {".".join(folder.parts) for folder in folders} | {"autorel_jax.configs"}


@pytest.mark.parametrize(
    "file", [*sorted(ROOT.glob("benchmarks/*.py")), ROOT / "docs/generate.py"], ids=lambda f: f.name
)
def test_scripts_import_what_there_is(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "autorel_jax":
            for alias in node.names:
                module = importlib.import_module(imported(node.module, alias.name))
                assert module.__name__.endswith(f".{alias.name}") or hasattr(module, alias.name), alias.name
