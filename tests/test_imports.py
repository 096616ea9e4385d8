from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "pipeline"

# Who may be imported by whom: a module imports from rows above its own only.
LEVELS = [
    {"errors"},
    {"faults", "storage", "memory"},
    {"manifest", "pictures"},
    {"job", "checkpoint"},
    {"inputs", "sweep"},
    {"engine"},
    {"watcher", "spool", "worker", "report", "progress"},
    {"intake", "status", "submit", "process"},
    {"runner"},
    {"cli"},
]


def _module(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "pipeline":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pipeline."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("pipeline.")}
    return names


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    if _module(path) == "__init__":
        return
    level = {name: number for number, row in enumerate(LEVELS) for name in row}
    own = _module(path)
    for name in _imported(path) - {own}:
        assert level[name] < level[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_only_worker_and_cli_reach_the_engine(path: Path) -> None:
    if _module(path) not in ("worker", "cli"):
        assert "engine" not in _imported(path)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_engine_imports_tensorflow_when_it_is_imported(path: Path) -> None:
    if _module(path) == "engine":
        return
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        assert "tensorflow" not in ast.unparse(node) or not isinstance(node, ast.Import | ast.ImportFrom)


@pytest.mark.parametrize("module", ["pipeline.cli", "pipeline.watcher", "pipeline.runner"])
def test_tensorflow_stays_unloaded(module: str) -> None:
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_answers_in_a_blink(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("stylistic")), "--help"]
    code = (
        "import resource, subprocess;"
        f"subprocess.run({command!r}, stdout=subprocess.DEVNULL, check=True);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    # CPU time, not wall time: what else the machine does, does not count.
    assert min(seconds) < 0.3
