"""Taking drops out of everybody's sight."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from pipeline.inbox.readiness import Ready
from tests.inbox.conftest import drop, make, only, pair


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
