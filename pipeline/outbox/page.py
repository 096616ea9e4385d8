"""``outbox/index.html``: what goes on and all results, in one file that needs no other to be read."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import time
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import storage
from pipeline.errors import EnvironmentFault
from pipeline.forecast.paces import Paces
from pipeline.jobs import lock, pause, report
from pipeline.jobs.record import now
from pipeline.jobs.spool import Spool
from pipeline.outbox import overview
from pipeline.outbox.overview import Overview
from pipeline.outbox.results import DEFAULTS, Results

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

FILE = "index.html"
SCRIPTS = ("page.js", "view.js", "start.js")
EVERY_SECONDS = 5.0  # that it is written anew while a job runs; also between writings while results come thick and fast
MOST_OF_TIME = 0.05  # that writing it may take
IDLE_SECONDS = 300.0  # that it is written anew while nothing changes, so that a runner that was killed is told by it
REFRESH_SECONDS = 10  # after which a browser loads it anew while something goes on
IDLE_REFRESH_SECONDS = 30  # and while a runner waits for drops
MOST_PREVIEW_BYTES = 200_000


class Page:
    """Keeps the page as the outbox and the jobs folder are.

    Args:
        outbox: where it is written.
        spool: of the jobs folder.
        paces: what is known of this machine.
    """

    def __init__(self, outbox: Path, spool: Spool, paces: Paces) -> None:
        self._outbox = outbox
        self._paces = paces
        self._spool = spool
        self._results = Results(outbox)
        self._shown: Any = None  # what tells a change, as the page has it
        self._listed: tuple[int, frozenset[str]] = (0, frozenset())  # the outbox, and when it was so
        self._written = 0.0
        self._pause = 0.0

    def keep_current(self, is_working: bool, at_once: bool = False) -> None:
        """Write the page if what it shows has changed: by us, by a `retry`, by somebody who cleared the outbox.

        Args:
            is_working: whether a job runs, whose progress is shown every few seconds.
            at_once: even if it was written a moment ago, and with all results however long they take to read.
        """
        begun = time.monotonic()
        since = begun - self._written
        is_due = since >= max(self._pause, EVERY_SECONDS if is_working else 0.0)
        if not (is_due or at_once):
            return
        signs = *self._signs(), is_working
        if signs != self._shown or self._results.is_behind or is_working or since >= IDLE_SECONDS:
            self._write(at_once, max(self._pause, EVERY_SECONDS if is_working else IDLE_SECONDS))
            self._written = time.monotonic()
            self._pause = (self._written - begun) / MOST_OF_TIME
            self._shown = signs[0] | {FILE}, *signs[1:]

    def _signs(self) -> tuple[Any, ...]:
        """What is in the outbox, and the times of change of all else that the page shows but a running job's progress.

        The outbox's own time would not do: it changes with each page that another runner writes there.
        """
        changed_at = _changed_at(self._outbox)
        if changed_at != self._listed[0]:
            names = storage.names(self._outbox) if changed_at else []
            self._listed = changed_at, frozenset(name for name in names if name[0] != ".")
        places = (self._spool.queued, self._spool.running, self._spool.failed)
        said = (self._spool.folder / report.FILE, self._spool.folder / pause.FILE)
        return self._listed[1], *map(_changed_at, (*places, *said))

    def _write(self, whole: bool, next_seconds: float) -> None:
        found = overview.look(self._spool, self._outbox, self._paces, with_ended=False)
        text = html(found, self._results.rows(whole), next_seconds).encode("utf-8", "replace")
        # Runners that share an outbox have one page; the last one counts.
        storage.write_atomic(self._outbox / FILE, text, lock.runner_name(self._spool.folder))


def renew(spool: Spool, outbox: Path, paces: Paces) -> None:
    """Have the page tell what a command has changed; where a runner works, that will see to it."""
    with contextlib.suppress(OSError, EnvironmentFault):
        with lock.without_runner(spool.folder) as is_ours:
            pass  # it is let go at once: a runner that starts meanwhile is not to be turned away for this
        if is_ours:
            Page(outbox, spool, paces).keep_current(is_working=False, at_once=True)


def html(found: Overview, rows: list[dict[str, Any]], next_seconds: float = IDLE_SECONDS) -> str:
    """The page.

    Args:
        found: what goes on.
        rows: a row for each result, the newest first.
        next_seconds: after which the runner writes it anew at the latest, or soon thereafter.
    """
    status = found.model_dump(mode="json", exclude={"recent", "failed_since_yesterday", "inbox", "aside"})
    for job in status["running"]:
        job["preview"] = _inline(job["preview"])
    counts = Counter(row["status"] for row in rows)
    is_alive = found.runner.state == "alive"
    data = {
        "status": status,
        "results": rows,
        "counts": {"done": counts["done"], "failed": counts["failed"], **counts},
        "defaults": DEFAULTS,
        "written": now(),
        "next": next_seconds,
        "refresh": (REFRESH_SECONDS if found.running or found.queue.count else IDLE_REFRESH_SECONDS) if is_alive else 0,
    }
    return _template().render(data=_as_script(data))


def _as_script(data: Any) -> Markup:
    """JSON that neither ends the element that it stands in, nor a line of a script."""
    from markupsafe import Markup

    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@functools.cache
def _template() -> jinja2.Template:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(loader=jinja2.PackageLoader("pipeline.outbox"), autoescape=True)
    css, js = _part("page.css"), "\n".join(map(_part, SCRIPTS))
    parts = {"css": Markup(css), "css_hash": _hash(css), "js": Markup(js), "js_hash": _hash(js)}
    return environment.get_template("index.html", globals=parts)


def _part(name: str) -> str:
    return resources.files("pipeline.outbox").joinpath("templates", name).read_text("utf-8")


def _hash(text: str) -> str:
    """By which a browser knows what may run on the page: this, and nothing else."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _inline(preview: str | None) -> str | None:
    """A picture as part of the page; None if it is gone, or too large for that."""
    try:
        data = storage.read(Path(preview), MOST_PREVIEW_BYTES) if preview else b""
    except OSError:
        return None
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}" if data else None


def _changed_at(path: Path) -> int:
    status = storage.glance(path)
    return status.st_mtime_ns if status else 0
