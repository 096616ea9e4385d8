"""The rule of `storage`: nobody else opens, looks at, makes, moves or removes a file by its path.

What lies in inbox, jobs and outbox may be another's by the time it is used. Who goes past it is listed, with why.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "pipeline"
ALLOWED = {
    "console.py": {"open": "os.devnull"},
    "jobs/checkpoint.py": {"open": "a member of an archive that is open"},
    "cli/looking.py": {"exists": "the weights' cache, which is the user's own"},
    "doctor/machine.py": {
        "open": "/proc/cpuinfo",
        "read_text": "the control group's limits",
        "exists": "the weights' cache",
        "access": "the weights' cache",
    },
    "doctor/folders.py": {
        "disk_usage": "looks at the file system, not at the folder",
        "resolve": "folders as they were named",
    },
    "engine/extractor.py": {"open": "/proc/cpuinfo"},
    "engine/weights.py": dict.fromkeys(
        ("exists", "mkdir", "read_bytes", "read_text", "write_bytes", "write_text", "replace", "glob", "tempfile"),
        "the weights' cache, which is the user's own, and a file that --weights names",
    ),
    "inbox/places.py": {
        "lexists": "where an image is said to be, which is followed within the inbox and the libraries",
        "realpath": "of the roots",
    },
    "forecast/paces.py": {"makedirs": "the user's own cache"},
    "outbox/page.py": {"read_text": "the page's parts, which are installed with the package"},
    "runner/bar.py": {"get_terminal_size": "no file"},
    "pictures/containers.py": {"open": "what is open already, for PyAV"},
    "pictures/mp4.py": {"open": "what is open already, for PyAV"},
    "pictures/series.py": {"open": "what is open already, for `tarfile`"},
    "worker/gpu.py": dict.fromkeys(
        ("exists", "glob", "read_text", "access"), "/proc, /sys, /dev, and installed libraries"
    ),
    "worker/memory.py": dict.fromkeys(("open", "read_text"), "/proc, and the control group's limits"),
    "worker/session.py": {"open": "os.devnull"},
    "inbox/overlaps.py": dict.fromkeys(("resolve", "samefile"), "folders as they were named"),
    "inbox/again.py": {"realpath": "where an image that was named has just been read"},
    "inbox/submit.py": dict.fromkeys(("is_dir", "lexists"), "what whoever calls the command has named"),
    "cli/running.py": {"resolve": "folders and weights as they were named"},
    "cli/status.py": {"resolve": "folders as they were named"},
}
OF_OS = {
    *("open", "rename", "renames", "replace", "unlink", "remove", "removedirs", "rmdir", "mkdir", "makedirs"),
    *("scandir", "listdir", "walk", "fwalk", "link", "symlink", "mkfifo", "mknod", "stat", "lstat", "access", "utime"),
    *("truncate", "chmod", "chown", "lchown", "readlink", "statvfs", "copy_file_range", "sendfile"),
}
OF_PATHS = {
    *("open", "read_bytes", "read_text", "write_bytes", "write_text", "unlink", "rename", "replace", "mkdir", "rmdir"),
    *("iterdir", "glob", "rglob", "walk", "touch", "hardlink_to", "symlink_to", "chmod", "lchmod", "readlink"),
    *("exists", "is_file", "is_dir", "is_symlink", "is_mount", "is_fifo", "is_socket", "stat", "lstat", "samefile"),
    *("resolve", "expanduser"),
}
OF_OS_PATH = {
    *("exists", "lexists", "isfile", "isdir", "islink", "ismount", "getsize", "getmtime", "getctime", "getatime"),
    *("realpath", "samefile"),
}
# Of a Pillow image, of an image that a manifest names, of a wave of text: no path of ours.
OPENED = ("file", "watched")


def _strays(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """What goes past `storage`: the name that is called, or the module that is taken from, and its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            taken = [alias.name for alias in node.names]
            for module in taken if isinstance(node, ast.Import) else [str(node.module)]:
                if module in ("shutil", "tempfile", "glob", "fileinput", "dbm", "shelve"):
                    yield module, node.lineno
            if isinstance(node, ast.ImportFrom) and node.module in ("os", "os.path", "io", "posix"):
                yield from ((name, node.lineno) for name in taken if name in OF_OS | OF_OS_PATH)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
            yield "open", node.lineno
        elif isinstance(node, ast.Attribute):
            yield from _attribute(node, tree)


def _attribute(node: ast.Attribute, tree: ast.Module) -> Iterator[tuple[str, int]]:
    of = ast.unparse(node.value)
    if (of == "os" and node.attr in OF_OS) or (of == "os.path" and node.attr in OF_OS_PATH):
        yield node.attr, node.lineno
    elif of in ("shutil", "io") and node.attr != "BytesIO":
        if of == "shutil" or node.attr in ("open", "FileIO", "open_code"):
            yield node.attr, node.lineno
    elif node.attr in OF_PATHS and of not in ("os", "os.path", "storage", "dataclasses", "webbrowser"):
        call = next((one for one in ast.walk(tree) if isinstance(one, ast.Call) and one.func is node), None)
        if of == "Path" or (call and not _is_of_no_path(of, node.attr, call)):  # else another's field of that name
            yield node.attr, node.lineno


def _is_of_no_path(of: str, name: str, call: ast.Call) -> bool:
    if name == "replace":  # a path's takes one path; text's two, a date's none but by name
        return len(call.args) != 1 or bool(call.keywords)
    if name == "open":
        first = ast.unparse(call.args[0]) if call.args else ""
        is_image = of == "Image" and any(opened in first for opened in OPENED)
        return is_image or of.endswith("places")
    return name == "walk" and of == "ast"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_goes_past_storage(path: Path) -> None:
    name = str(path.relative_to(PACKAGE))
    if name.startswith("storage/"):
        return
    strays = list(_strays(ast.parse(path.read_text(encoding="utf-8"))))
    allowed = ALLOWED.get(name, {})
    modules = {"shutil", "tempfile"} if allowed else set()
    assert [(what, line) for what, line in strays if what not in allowed and what not in modules] == []
    assert allowed.keys() <= {what for what, _ in strays}, "an exception that nothing needs"


@pytest.mark.parametrize(
    "line",
    [
        *("open(path)", "os.open(path, 0)", "path.open()", "path.read_bytes()", "path.unlink()", "path.rename(other)"),
        *("path.replace(other)", "os.replace(a, b)", "shutil.rmtree(path)", "import shutil", "path.glob('*')"),
        *("from os import rename", "path.is_dir()", "path.exists()", "os.path.lexists(path)", "path.touch()"),
        *("Image.open(path)", "io.open(path)", "path.stat()", "map(Path.exists, paths)", "os.stat(path)"),
    ],
)
def test_the_rule_sees_what_goes_past(line: str) -> None:
    assert list(_strays(ast.parse(line)))


@pytest.mark.parametrize("line", ["a.replace('x', 'y')", "now.replace(day=1)", "Image.open(file)", "entry.is_file"])
def test_the_rule_lets_what_is_no_path_go(line: str) -> None:
    assert not list(_strays(ast.parse(line)))
