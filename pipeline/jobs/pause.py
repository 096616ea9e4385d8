"""A pause: ``.pause.json`` in a jobs folder, which says by whom and since when; no job is started meanwhile."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from pipeline import storage
from pipeline.errors import short
from pipeline.jobs.fields import Moment, SpoiltError, Text, read_json
from pipeline.jobs.record import now
from pipeline.manifest.fields import Model

FILE = ".pause.json"
MOST_BYTES = 1 << 16


class Pause(Model):
    """Who paused, and when (UTC, ISO 8601; None where it cannot be read); whether what runs stops, too."""

    by: Annotated[Text, AfterValidator(short)]
    at: Moment | None = None
    stops_jobs: bool = False

    @property
    def told(self) -> str:
        """In words, with the time of this place."""
        since = f" since {datetime.fromisoformat(self.at).astimezone():%Y-%m-%d %H:%M}" if self.at else ""
        return f"paused by {self.by}{since}"


def begin(jobs: Path, by: str, stops_jobs: bool = False) -> Pause:
    """Begin a pause, or have one that is there stop what runs, too; gives it."""
    old = read(jobs)
    new = old or Pause(by=by, at=now())
    new = new.model_copy(update={"stops_jobs": new.stops_jobs or stops_jobs})
    if new != old:
        storage.write_json(jobs / FILE, new.model_dump())
    return new


def end(jobs: Path) -> None:
    """Go on; without a pause that is fine."""
    storage.remove_file(jobs / FILE)


def read(jobs: Path) -> Pause | None:
    """The pause; one that cannot be read is somebody's all the same."""
    try:
        return read_json(Pause, storage.read(jobs / FILE, MOST_BYTES))
    except FileNotFoundError:
        return None
    except SpoiltError:
        return Pause(by="somebody")
    except OSError as error:
        if storage.is_of_entry(error):
            return Pause(by="somebody")
        raise
