"""From a claimed drop to a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import storage
from pipeline.inbox.readiness import Ready
from pipeline.inbox.staging import ChangedError, require_unchanged, stage
from pipeline.jobs.record import Job
from pipeline.jobs.spool import Spool
from tests.inbox.conftest import drop, make, only, pair


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_manifest_replaced_while_its_images_are_decoded_is_the_one_that_runs(folder: Path, is_folder: bool) -> None:
    spool = Spool(folder.parent / "jobs")
    (folder.parent / "jobs").mkdir()
    spool.prepare()
    place = folder / "trip" if is_folder else folder
    place.mkdir(exist_ok=True)
    pair(place)
    name = "job.yaml" if is_folder else "a.yaml"
    drop(place, name)
    inbox = make(folder, settle_seconds=0)
    ready = only(inbox)
    assert isinstance(ready, Ready)
    (place / "new.yaml").write_text("content: photo.png\nstyle: painting.png\nname: other\npriority: 7\n")
    (place / "new.yaml").rename(place / name)
    claimed = inbox.claims.take(ready.drop, ready.manifest.name, lambda _: False)
    with pytest.raises(ChangedError):
        require_unchanged(ready, claimed)
    again = only(inbox)
    assert isinstance(again, Ready)
    require_unchanged(again, again.drop)
    storage.at_once(stage(inbox.claims, spool, again, again.drop))
    job = Job.load(spool.queued / str(claimed.id))
    assert job.priority == 7
    assert str(claimed.id).startswith(f"{job.name}-"), "the id has the last word on the name"
