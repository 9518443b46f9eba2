"""The rules of the house: who may import whom, what may be called, how large things get."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import molft

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "molft").rglob("*.py"))

# A part may import itself and what stands to its right.
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "chem": {"errors", "files"},
    "data": {"errors", "files", "chem"},
    "model": {"errors", "files"},
    "train": {"errors", "files", "chem", "data", "model"},
    "use": {"errors", "files", "chem", "data", "model", "train"},
    "cli": {"errors", "files", "chem", "data", "model", "train", "use"},
}
# A worker process imports chem, and must start in a fraction of a second.
TOO_HEAVY_FOR_CHEM = set("torch torch_geometric pandas sklearn ogb deepchem scipy matplotlib".split())
# Seconds to import, or a look into the network: only inside the function that needs them.
ONLY_INSIDE_FUNCTIONS = set("deepchem ogb ray onnx onnxruntime optuna openpyxl".split())
# What turns bytes from a file into code.
DANGEROUS_MODULES = set("pickle cPickle _pickle dill cloudpickle joblib marshal shelve yaml".split())
DANGEROUS_CALLS = set("eval exec compile __import__ import_module spec_from_file_location".split())

MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 70


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(params=FILES, ids=name_of)
def source(request: pytest.FixtureRequest) -> Path:
    return request.param


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all modules that a piece of source imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_on_import(tree: ast.Module) -> Iterator[str]:
    """The same, of what runs when the module is imported (not inside functions, not for type checkers)."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from imported(node)


def faults_of_imports(path: str, code: str) -> list[str]:
    """What a file of the given place in the package imports and may not."""
    part, tree = Path(path).with_suffix("").parts[1], ast.parse(code)
    faults = []
    for name in imported(tree):
        top, _, rest = name.partition(".")
        if top == "molft":
            other = rest.partition(".")[0]
            if part in MAY_IMPORT and other in MAY_IMPORT and other not in MAY_IMPORT[part] | {part}:
                faults.append(f"{part} imports {name}")
        elif part == "chem" and top in TOO_HEAVY_FOR_CHEM:
            faults.append(f"chem imports {name}")
        elif top in DANGEROUS_MODULES:
            faults.append(f"imports {name}")
    heavy = {name.partition(".")[0] for name in imported_on_import(tree)} & ONLY_INSIDE_FUNCTIONS
    return faults + [f"imports {name} outside a function" for name in sorted(heavy)]


def faults_of_calls(code: str) -> list[str]:
    """Calls that could run what stands in a file."""
    faults = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called.removeprefix("importlib.").removeprefix("util.") in DANGEROUS_CALLS:
            faults.append(f"line {node.lineno}: {called}")
        if called.endswith("torch.load") and given.get("weights_only") != "True":
            faults.append(f"line {node.lineno}: torch.load without weights_only=True")
        if called in ("pd.read_pickle", "pandas.read_pickle") or called.endswith(".to_pickle"):
            faults.append(f"line {node.lineno}: {called}")
        if given.get("allow_pickle", "False") != "False":
            faults.append(f"line {node.lineno}: allow_pickle")
        if given.get("shell") == "True" or called == "os.system":
            faults.append(f"line {node.lineno}: a shell")
    return faults


def test_imports_go_one_way(source: Path) -> None:
    assert faults_of_imports(name_of(source), source.read_text(encoding="utf-8")) == []


def test_nothing_runs_what_a_file_says(source: Path) -> None:
    faults = faults_of_calls(source.read_text(encoding="utf-8"))
    if source == ROOT / "molft" / "__init__.py":
        # The public names load lazily, from a table of literals in that very file.
        assert len(faults) == 1 and faults.pop().endswith("import_module")
    assert faults == []


@pytest.mark.parametrize(
    ("path", "code", "fault"),
    [
        ("molft/chem/a.py", "from molft.data.table import x", "chem imports molft.data.table.x"),
        ("molft/model/a.py", "def f():\n    import molft.chem.smiles", "model imports molft.chem.smiles"),
        ("molft/data/a.py", "from molft import model", "data imports molft.model"),
        ("molft/use/a.py", "from molft.cli import app", "use imports molft.cli.app"),
        ("molft/files.py", "from molft.chem import smiles", "files imports molft.chem.smiles"),
        ("molft/chem/a.py", "def f():\n    from torch import nn", "chem imports torch.nn"),
        ("molft/use/a.py", "import pickle", "imports pickle"),
        ("molft/use/a.py", "import deepchem", "imports deepchem outside a function"),
    ],
)
def test_a_wrong_import_is_seen(path: str, code: str, fault: str) -> None:
    assert faults_of_imports(path, code) == [fault]


@pytest.mark.parametrize(
    "code",
    [
        "eval(text)",
        "exec(text)",
        "__import__(name)",
        "importlib.import_module(name)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "subprocess.run(line, shell=True)",
    ],
)
def test_a_dangerous_call_is_seen(code: str) -> None:
    assert len(faults_of_calls(code)) == 1


@pytest.mark.parametrize(
    "code", ["torch.load(path, map_location='cpu', weights_only=True)", "model.eval()", "re.compile(text)"]
)
def test_a_harmless_call_is_not(code: str) -> None:
    assert faults_of_calls(code) == []


def test_files_and_functions_are_small(source: Path) -> None:
    assert len(source.read_text(encoding="utf-8").splitlines()) <= MOST_FILE_LINES
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MOST_FUNCTION_LINES, node.name


def functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """The functions of a module and the methods of its classes, but not what is inside functions."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node.body)


def test_functions_are_annotated_and_public_ones_documented(source: Path) -> None:
    tree = parse(source)
    assert ast.get_docstring(tree), "the module has no docstring"
    for function in functions(tree.body):
        arguments = function.args
        listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        bare = [a.arg for a in listed if a.annotation is None and a.arg not in ("self", "cls", "ctx")]
        assert not bare, f"{function.name}: no type for {bare}"
        assert function.returns is not None or function.name == "__init__", f"{function.name}: no return type"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_packages_are_a_docstring_only() -> None:
    for path in FILES:
        if path.name == "__init__.py" and path.parent != ROOT / "molft":
            body = parse(path).body
            assert len(body) == 1 and ast.get_docstring(parse(path)), name_of(path)


def test_names_say_what_they_are() -> None:
    vague = re.compile(r"(^|_)(utils?|common|base|manager|helpers?|misc|registry)(_|$)")
    assert [name_of(path) for path in FILES if vague.search(path.stem)] == []


def test_importing_molft_loads_nothing_heavy() -> None:
    code = "import molft, sys; print(sorted({'torch', 'rdkit', 'numpy', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_chem_loads_without_torch() -> None:
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in (ROOT / "molft/chem").glob("*.py")]
    code = f"import sys, {', '.join(names)}; print(sorted({TOO_HEAVY_FOR_CHEM} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_public_names_are_all_there_and_others_are_refused() -> None:
    assert {"load", "load_encoder", "MoleculeClassifier", "MoleculeRegressor", "finetune", "screen"} < set(
        dir(molft)
    )
    for name in molft.__all__:
        assert getattr(molft, name) is not None
    with pytest.raises(AttributeError, match=r"no attribute 'lode'; it offers .*load"):
        _ = molft.lode


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.M)[1] == molft.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changes, re.M)[1] == molft.__version__


def test_the_tested_torch_is_the_plain_release() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert "torch==2.13.0" in pins
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
