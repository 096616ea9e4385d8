"""Taking drops out of everybody's sight."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.inbox import claims
from pipeline.inbox.claims import Claims, LostClaimError, UnclaimableError
from pipeline.inbox.drops import Drop, Drops
from pipeline.inbox.readiness import Ready
from pipeline.inbox.staging import stage
from pipeline.jobs.spool import Spool
from tests.inbox.conftest import Clock, drop, make, only, pair


class TestClaim:
    def test_a_claim_is_one_rename_that_fixes_the_id(self, folder: Path) -> None:
        pair(folder)
        path = drop(folder, "Harbour.YAML")
        inbox = make(folder, settle_seconds=0)
        ready = only(inbox)
        assert isinstance(ready, Ready)
        claimed = inbox.claims.take(ready.drop, ready.manifest.name, lambda _: False)
        assert not path.exists()
        assert claimed.entry == inbox.claims.folder / f"{claimed.id}.yaml"
        assert claimed.entry.exists()
        assert sorted(p.name for p in folder.iterdir()) == [".claimed", "painting.png", "photo.png"]

    def test_an_id_is_never_given_twice(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pair(folder)
        tokens = iter(["aaaa", "aaaa", "bbbb", "bbbb", "cccc"])
        monkeypatch.setattr(secrets, "token_hex", lambda _: next(tokens))
        inbox = make(folder, settle_seconds=0)
        ids = []

        def bbbb_is_taken(job_id: str) -> bool:
            return job_id.endswith("bbbb")

        for taken in (False, False, True):
            drop(folder)
            ready = next(v for v in inbox.scan() if isinstance(v, Ready) and v.drop.id is None)
            ids.append(inbox.claims.take(ready.drop, "a", bbbb_is_taken if taken else lambda _: False).id)
        assert [str(i)[-4:] for i in ids] == ["aaaa", "bbbb", "cccc"]

    def test_a_claimed_drop_of_an_earlier_life_is_found_again(self, folder: Path) -> None:
        pair(folder)
        drop(folder, "my harbour.yaml")
        first = make(folder, settle_seconds=0)
        ready = only(first)
        assert isinstance(ready, Ready)
        claimed = first.claims.take(ready.drop, "my harbour", lambda _: False)
        again = only(make(folder, settle_seconds=0))
        assert isinstance(again, Ready)
        assert (again.drop.id, again.manifest.name) == (claimed.id, "my harbour")


class TestTwoRunners:
    """Each with a jobs folder of its own, on one inbox."""

    @pytest.fixture
    def second(self, folder: Path) -> Claims:
        return Claims(folder, folder.parent / "other jobs", folder.parent / "other retries")

    def seen_by(self, second: Claims, folder: Path) -> list[Drop]:
        second.keep_fresh()
        return Drops(folder, second.folder, folder.parent / "other retries", []).look()

    def test_a_claim_is_its_runners_alone(self, folder: Path, second: Claims) -> None:
        pair(folder)
        drop(folder)
        first = make(folder, settle_seconds=0)
        ready = only(first)
        assert isinstance(ready, Ready)
        first.claims.take(ready.drop, "a", lambda _: False)
        assert self.seen_by(second, folder) == []
        assert len(list(first.scan())) == 1

    def test_a_runner_that_lives_keeps_its_claims(self, folder: Path, second: Claims, clock: Clock) -> None:
        pair(folder)
        drop(folder)
        first = make(folder, settle_seconds=0)
        ready = only(first)
        assert isinstance(ready, Ready)
        first.claims.take(ready.drop, "a", lambda _: False)
        for minute in range(30):
            os.utime(first.claims.folder, ns=(minute, minute))  # what keep_fresh does, at a clock of the test's
            assert self.seen_by(second, folder) == []
            clock.pass_(60)

    @pytest.mark.parametrize("is_folder", [False, True])
    def test_a_claim_of_a_runner_that_is_gone_is_taken_over_and_its_job_runs_once(
        self, folder: Path, second: Claims, clock: Clock, is_folder: bool
    ) -> None:
        place = folder / "trip" if is_folder else folder
        place.mkdir(exist_ok=True)
        pair(place)
        drop(place, "job.yaml" if is_folder else "a.yaml")
        first = make(folder, settle_seconds=0)
        ready = only(first)
        assert isinstance(ready, Ready)
        frozen = first.claims.take(ready.drop, "a", lambda _: False)
        assert self.seen_by(second, folder) == []
        clock.pass_(claims.LEASE_SECONDS + 1)
        (taken,) = self.seen_by(second, folder)
        assert taken.id == frozen.id
        # The first one wakes, in the middle of staging what is not its own any more.
        for name in ("jobs", "other jobs"):
            (folder.parent / name).mkdir()
        spool = Spool(folder.parent / "jobs")
        spool.prepare()
        with pytest.raises((LostClaimError, FileNotFoundError)):
            storage.at_once(stage(first.claims, spool, ready, frozen))
        assert spool.next() is None

    def test_claims_of_a_version_before_are_taken_up_at_once(self, folder: Path, second: Claims) -> None:
        (folder / ".claimed").mkdir()
        (folder / ".claimed" / "a-20260101-000000-abcd.yaml").write_text("content: photo.png\nstyle: painting.png\n")
        (found,) = self.seen_by(second, folder)
        assert found.id == "a-20260101-000000-abcd"


def test_a_drop_that_must_not_be_renamed_is_told_from_a_fault_of_the_inbox(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair(folder)
    drop(folder)
    inbox = make(folder, settle_seconds=0)
    ready = only(inbox)
    assert isinstance(ready, Ready)

    def refuse(number: int) -> None:
        def rename(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "rename", rename)

    refuse(1)
    with pytest.raises(UnclaimableError, match="not permitted"):
        inbox.claims.take(ready.drop, "a", lambda _: False)
    refuse(28)
    with pytest.raises(OSError, match="No space left"):
        inbox.claims.take(ready.drop, "a", lambda _: False)
