"""Faults at file-system steps, for processes started with this folder on PYTHONPATH.

Every rename, write, fsync, mkdir and removal below FAULT_ROOT is a step. FAULT_ROLE (runner or worker) says whose steps
count, FAULT_LOG receives their names, and at step FAULT_AT the process is killed (FAULT_KIND=kill) or meets an error
from there on (an errno's name, such as ENOSPC), or for FAULT_FOR steps. For kills an fsync is no step: who comes next
finds the same before and after it. With FAULT_LOOK each look at an entry named odd… meets that error. With
ENGINE=stand-in a worker paints with ``stand_in`` and never imports TensorFlow, and no curve is drawn.
"""

import errno
import io
import os
import signal
import sys
from types import ModuleType
from typing import Any

ROOT = os.environ.get("FAULT_ROOT", "")
AT = int(os.environ.get("FAULT_AT", "0"))
KIND = os.environ.get("FAULT_KIND", "kill")
END = AT + int(os.environ.get("FAULT_FOR", "1000000"))
OWN_ROLE = "worker" if "pipeline.worker" in sys.orig_argv else "runner"

_steps = 0
_real_open = io.open


def _step(name: str, *paths: Any) -> bool:
    """Count a step; tells whether it is the one to go wrong."""
    global _steps
    _steps += 1
    with _real_open(os.environ["FAULT_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{_steps} {name} {' '.join(map(str, paths))}\n")
    if KIND == "kill":  # once: the worker that the runner starts next lives
        return _steps == AT and not os.path.exists(os.environ["FAULT_LOG"] + ".killed")
    return 0 < AT <= _steps < END


def _go_wrong(path: Any) -> None:
    if KIND == "kill":
        _real_open(os.environ["FAULT_LOG"] + ".killed", "w", encoding="utf-8").close()
        os.kill(os.getpid(), signal.SIGKILL)
    number = getattr(errno, KIND)
    raise OSError(number, os.strerror(number), str(path))


def _whole(path: Any, folder: int | None) -> str:
    """The path of a descriptor, or of a name in the folder of one."""
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")
    within = "" if folder is None else os.readlink(f"/proc/self/fd/{folder}")
    return os.path.abspath(f"{within}/{path}" if within and not os.path.isabs(path) else path)


def _wrap(name: str) -> None:
    real = getattr(os, name)

    def wrapped(path: Any, *rest: Any, **settings: Any) -> Any:
        paths = [_whole(path, settings.get("dir_fd", settings.get("src_dir_fd")))]
        if name in ("rename", "replace", "link"):
            paths.append(_whole(rest[0], settings.get("dst_dir_fd")))
        if paths[0].startswith(ROOT + os.sep) and _step(name, *paths):
            _go_wrong(paths[0])
        return real(path, *rest, **settings)

    setattr(os, name, wrapped)


_real_os_open = os.open


def _open(path: Any, flags: int, *rest: Any, **settings: Any) -> Any:
    if flags & os.O_CREAT and settings.get("dir_fd") is not None:
        whole = _whole(path, settings["dir_fd"])
        if whole.startswith(ROOT + os.sep) and _step("write", whole):
            if KIND == "kill":  # in the middle of the write
                os.write(_real_os_open(path, flags, *rest, **settings), b'{"half a file')
            _go_wrong(whole)
    return _real_os_open(path, flags, *rest, **settings)


if ROOT and os.environ.get("FAULT_ROLE") == OWN_ROLE:
    for _name in ("rename", "replace", "mkdir", "unlink", "rmdir", "link", *(["fsync"] if KIND != "kill" else [])):
        _wrap(_name)
    os.open = _open


def _answering(name: str, number: int) -> None:
    """Have each look at an entry whose name begins with ``odd`` answered by an error."""
    real = getattr(os, name)

    def wrapped(path: Any = ".", *rest: Any, **settings: Any) -> Any:
        whole = _whole(path, settings.get("dir_fd"))
        if "/odd" in whole and not (name == "open" and rest[0] & os.O_CREAT):
            raise OSError(number, os.strerror(number), path if isinstance(path, str) else whole)
        return real(path, *rest, **settings)

    setattr(os, name, wrapped)


if "FAULT_LOOK" in os.environ:
    for _name in ("open", "stat", "listdir", "scandir"):
        _answering(_name, getattr(errno, os.environ["FAULT_LOOK"]))

if os.environ.get("ENGINE") == "stand-in":
    if OWN_ROLE == "worker":
        import stand_in  # type: ignore[import-not-found]  # it lies beside this file

        stand_in.take_the_place()
    else:  # Matplotlib takes as long to be imported as all else that a runner needs
        curve = ModuleType("pipeline.outbox.curve")
        curve.__dict__["loss_plot"] = lambda losses, title: b"\x89PNG\r\n\x1a\n"
        sys.modules[curve.__name__] = curve
