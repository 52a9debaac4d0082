"""Imports run down only: each module of eqco imports modules of lower layers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "eqco"

# Lowest first; modules of a layer do not import each other. "" is eqco/__init__.py, "images" is
# eqco/images/__init__.py. The modules of a sub-package may rank below the package itself.
LAYERS = [
    ["", "checks", "cores", "distributed", "key_queue", "negatives", "plain", "similarity",
     "waiting", "work", "runs", "runs.files", "runs.precision", "runs.progress", "runs.signals",
     "runs.terminal", "images.colour", "images.glyphs", "methods.encoder", "probes.frozen",
     "probes.linear"],
    ["embedding_files", "embeddings", "entries", "gaps", "images.decode", "methods.batch_norm",
     "randomness", "runs.door", "runs.schema", "settings", "sogclr", "theory"],
    ["commands.options", "corrected", "images.tree", "images.workers", "rivals"],
    ["contrast", "images.loose", "images.photometric", "methods.method", "probes.metrics"],
    ["bounds", "images.views", "methods.moco", "methods.simclr", "methods.simo", "two_views"],
    ["labels", "methods.synco", "modules"],
    ["images.files", "images.memory", "methods"],
    ["images", "probes.crops"],
    ["probes.features"],
    ["probes"],
    ["recipe"],
    ["diagnose", "own", "runs.checkpoint", "runs.cluster", "runs.record"],
    ["export", "runs.loop"],
    ["runs.pretrain"],
    ["foreign", "runs.run", "speed"],
    ["runs.launch"],
    ["commands.probing", "commands.training"],
    ["commands.diagnose", "commands.doctor", "commands.export", "commands.probe", "commands.run",
     "commands.show", "commands.train"],
    ["commands"],
    ["__main__"],
]  # fmt: skip
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
OUTSIDE = {"reproductions", "figures", "benchmark", "tests"}  # packages of this repository


def name_of(path: Path) -> str:
    """Dotted name of a module below eqco: "runs.loop"; "runs" for its __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_type_checking(node: ast.AST) -> bool:
    """Whether a node is `if TYPE_CHECKING:` without else."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
        and not node.orelse
    )


def named_by(node: ast.AST, module: str) -> list[str]:
    """Full names that an import or an import function names; "" in `module` is eqco itself."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        start = node.module or ""
        if node.level:
            inside = ["eqco", *module.split(".")] if module else ["eqco"]
            above = inside if MODULES[module].name == "__init__.py" else inside[:-1]
            above = above[: len(above) - node.level + 1]
            start = ".".join([*above, start] if start else above)
        return [f"{start}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call):
        function = node.func
        called = function.attr if isinstance(function, ast.Attribute) else ""
        called = function.id if isinstance(function, ast.Name) else called
        if called in ("import_module", "__import__"):
            words = [*node.args, *(keyword.value for keyword in node.keywords)]
            return [w.value for w in words if isinstance(w, ast.Constant) and type(w.value) is str]
    return []


def imported(source: str, module: str) -> tuple[set[str], set[str]]:
    """Full names imported when the code runs, also inside functions, and for types only."""
    tree = ast.parse(source)
    of_types = [node for block in ast.walk(tree) if is_type_checking(block) for node in block.body]
    skipped = {id(inner) for node in of_types for inner in ast.walk(node)}
    runs = {
        name
        for node in ast.walk(tree)
        if id(node) not in skipped
        for name in named_by(node, module)
    }
    return runs, {name for node in of_types for name in named_by(node, module)}


def target(name: str) -> str | None:
    """The module of eqco in a full name, the longest there is; None outside eqco."""
    parts = name.split(".")
    if parts[0] != "eqco":
        return None
    known = (".".join(parts[1:end]) for end in range(len(parts), 0, -1))
    return next(each for each in known if each in MODULES)


def offered() -> set[str]:
    """Full names that eqco/__init__.py loads on first use."""
    import eqco

    return {f"{module}.{name}" for name, module in eqco.MODULES.items()}


def violations(source: str, module: str) -> set[str]:
    """Imports of a module that do not run down, or leave the package."""
    runs, for_types = imported(source, module)
    wrong = {name for name in runs | for_types if name.split(".")[0] in OUTSIDE}
    for name in runs - wrong:
        found = target(name)
        if found is not None and LAYER[found] >= LAYER[module]:
            wrong.add(name)
    allowed = offered() if module == "" else set()
    return wrong | {name for name in for_types if name.startswith("eqco") and name not in allowed}


@pytest.mark.parametrize("module", MODULES, ids=lambda name: name or "eqco")
def test_imports_run_down(module: str) -> None:
    assert module in LAYER, f"put eqco.{module} into its layer"
    assert violations(MODULES[module].read_text(encoding="utf-8"), module) == set()


def test_every_module_of_the_layers_exists_once() -> None:
    listed = [name for names in LAYERS for name in names]
    assert sorted(listed) == sorted(MODULES)


UPWARD = [
    "from eqco.runs.record import Record",
    "import eqco.runs.run",
    "import eqco.runs.run as anything",
    "from eqco import recipe",
    "from eqco import runs, diagnose",
    "from eqco.images import files",
    "from eqco.images.files import FromFiles",
    "from .images import memory",
    "from . import recipe",
    "def f():\n    from eqco.images import open_images",
    "class A:\n    def f(self):\n        import eqco.export",
    "if True:\n    from eqco.recipe import Recipe",
    "if TYPE_CHECKING:\n    pass\nelse:\n    from eqco.recipe import Recipe",
    "if TYPE_CHECKING:\n    from eqco.runs.record import Record",
    "if TYPE_CHECKING:\n    from eqco.recipe import Recipe",
    "if TYPE_CHECKING:\n    import eqco.recipe",
    'import_module("eqco.runs.run")',
    'importlib.import_module(name="eqco.runs.run")',
    '__import__("eqco.recipe")',
]
OUTWARD = [
    "import reproductions",
    "from reproductions import plan",
    "from reproductions.scales import SCALES",
    "import figures.style",
    "from benchmark import x",
    "def f():\n    from tests.trees import write_tree",
    "if TYPE_CHECKING:\n    from reproductions.scales import Scale",
    'import_module("reproductions.plan")',
    '__import__("reproductions")',
    'def f():\n    return import_module("figures")',
]


@pytest.mark.parametrize("source", UPWARD)
def test_the_guard_finds_an_import_upward(source: str) -> None:
    assert violations(source, "theory")


@pytest.mark.parametrize("module", ["theory", "__main__"])
@pytest.mark.parametrize("source", OUTWARD)
def test_the_guard_finds_an_import_out_of_the_package(source: str, module: str) -> None:
    assert violations(source, module)


def test_the_guard_finds_an_import_within_a_layer_and_of_oneself() -> None:
    assert violations("from eqco.methods import simclr", "methods.simo")
    assert violations("from eqco.theory import margin", "theory")
    assert violations("from . import runs", "")


def test_the_guard_allows_imports_downward() -> None:
    allowed = (
        "import torch\nfrom eqco.checks import positive_finite\nfrom eqco import distributed\n"
        "text = 'eqco.runs.run'\n"
    )
    assert violations(allowed, "theory") == set()
    assert violations(allowed + "from eqco.runs import launch", "__main__") == set()


def modules_after(code: str, environment: dict[str, str]) -> set[str]:
    """What is imported after a line of code in a fresh process."""
    program = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_the_package_and_its_command_line_load_without_torch(environment: dict[str, str]) -> None:
    loaded = modules_after("import eqco, eqco.__main__", environment)
    assert {"eqco", "eqco.__main__"} <= loaded
    assert not loaded & {"torch", "numpy", "matplotlib"}


def test_a_public_name_loads_torch_and_no_images(environment: dict[str, str]) -> None:
    loaded = modules_after("from eqco import EqCoLoss; EqCoLoss()", environment)
    assert "torch" in loaded
    assert not {name for name in loaded if name.startswith(("eqco.images", "torchvision"))}


def test_public_names_are_those_of_their_modules() -> None:
    import eqco

    assert set(eqco.__all__) == {*eqco.MODULES, "__version__"} == set(dir(eqco))
    for name, module in eqco.MODULES.items():
        assert getattr(eqco, name) is getattr(sys.modules[module], name)
    with pytest.raises(AttributeError, match="module 'eqco' has no attribute 'nothing'"):
        _ = eqco.nothing
