"""The rooms of the package: imports go one way, and TensorFlow is loaded where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pipeline"


def test_imports_go_one_way_and_the_engine_is_reached_by_worker_and_command_alone() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [command, "--config", "setup.cfg", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_engine_imports_tensorflow_when_it_is_imported(path: Path) -> None:
    if path.parent.name == "engine":
        return
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        assert "tensorflow" not in ast.unparse(node) or not isinstance(node, ast.Import)
        assert not isinstance(node, ast.ImportFrom) or "tensorflow" not in str(node.module)


@pytest.mark.parametrize("module", ["pipeline.cli.main", "pipeline.inbox.scan", "pipeline.runner.loop"])
def test_tensorflow_stays_unloaded(module: str) -> None:
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_top_of_the_package_stays_small() -> None:
    modules = [path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 5, modules


def test_help_answers_in_a_blink() -> None:
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
