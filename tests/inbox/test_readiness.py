"""When a drop is ready, waits, or never will be a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from pipeline.errors import IncompleteImageError
from pipeline.inbox import decoding, places
from pipeline.inbox.decoding import BeingDecodedError, Decoder
from pipeline.inbox.readiness import Ready, Rejected, Verdict, Waiting
from pipeline.manifest.parse import parse_manifest
from pipeline.pictures import images
from tests.conftest import picture, wait_for
from tests.inbox.conftest import Clock, drop, make, only, pair


class TestReadiness:
    def test_a_drop_is_ready_when_all_has_kept_still(self, folder: Path, clock: Clock) -> None:
        pair(folder)
        drop(folder)
        inbox = make(folder)
        assert only(inbox) == Waiting("settling", is_settling=True)
        clock.pass_(1.9)
        assert isinstance(only(inbox), Waiting)
        clock.pass_(0.2)
        only(inbox)  # the images are looked at once the manifest has been read
        clock.pass_(2.1)
        ready = only(inbox)
        assert isinstance(ready, Ready)
        assert ready.manifest.name == "a"
        assert [film[:2] for film in ready.films] == [(80, 64), (80, 64)]

    def test_old_files_need_no_settling_where_times_can_be_trusted(self, folder: Path) -> None:
        pair(folder)
        drop(folder)
        assert isinstance(only(make(folder, settle_seconds=0.05, trust_times=True)), Waiting)
        time.sleep(0.06)
        assert isinstance(only(make(folder, settle_seconds=0.05, trust_times=True)), Ready)
        assert isinstance(only(make(folder, settle_seconds=0.05, trust_times=False)), Waiting)

    @pytest.mark.parametrize("late", ["photo.png", "painting.png"])
    def test_a_missing_image_is_waited_for(self, folder: Path, clock: Clock, late: str) -> None:
        pair(folder)
        (folder / late).rename(folder / "elsewhere")
        drop(folder)
        inbox = make(folder)
        for _ in range(3):
            verdict = only(inbox)
            clock.pass_(3)
        assert verdict == Waiting(f"{late} is missing")
        (folder / "elsewhere").rename(folder / late)
        only(inbox)
        clock.pass_(3)
        assert isinstance(only(inbox), Ready)

    def test_an_image_that_takes_long_to_decode_does_not_hold_up_the_scan(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decoding, "DECODE_SECONDS", 0.0)
        let_go, verify = threading.Event(), images.verify

        def slow(file: BinaryIO, name: str, max_pixels: int, end_may_lack: bool) -> tuple[int, int]:
            if name == "large.png":
                assert let_go.wait(60)
            return verify(file, name, max_pixels)

        monkeypatch.setattr(images, "verify", slow)
        pair(folder)
        picture(seed=3, width=96).save(folder / "large.png")
        drop(folder, "a.yaml", content="large.png")
        drop(folder, "b.yaml")
        inbox = make(folder, settle_seconds=0.0)
        assert list(inbox.scan()) == [Waiting("settling", is_settling=True)] * 2
        let_go.set()

        def is_ready() -> list[Verdict]:
            found = [verdict for verdict in inbox.scan() if verdict]
            return found if all(isinstance(verdict, Ready) for verdict in found) else []

        large, small = wait_for(is_ready)
        assert [film[:2] for film in large.films] == [(96, 64), (80, 64)]
        assert [film[:2] for film in small.films] == [(80, 64), (80, 64)]

    def test_a_film_that_takes_minutes_to_read_does_not_hold_up_the_end(self, tmp_path: Path) -> None:
        (tmp_path / "film.mp4").touch()
        script = """
import sys, time
from pipeline.inbox.decoding import BeingDecodedError, Decoder
from pipeline.jobs import clips
clips.verify = lambda *given, **named: time.sleep(600)
with open(sys.argv[1], "rb") as file:
    try:
        Decoder(10**6, 9).film(file, "film.mp4", None)
    except BeingDecodedError:
        print("it takes long")
"""
        command = [sys.executable, "-c", script, str(tmp_path / "film.mp4")]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (ended.returncode, ended.stdout) == (0, "it takes long\n"), ended.stderr

    def test_a_half_copied_image_waits(self, folder: Path, clock: Clock) -> None:
        pair(folder)
        whole = (folder / "photo.png").read_bytes()
        (folder / "photo.png").write_bytes(whole[: len(whole) // 2])
        drop(folder)
        inbox = make(folder)
        for _ in range(4):
            verdict = only(inbox)
            clock.pass_(3)
        assert isinstance(verdict, Waiting)
        assert "does not decode to its end" in verdict.reason
        (folder / "photo.png").write_bytes(whole)
        assert only(inbox) == Waiting("settling", is_settling=True)
        clock.pass_(3)
        assert isinstance(only(inbox), Ready)

    def test_a_growing_image_never_times_out(self, folder: Path, clock: Clock) -> None:
        pair(folder)
        whole = (folder / "photo.png").read_bytes()
        drop(folder)
        inbox = make(folder, input_timeout_seconds=60)
        for size in range(100, 2000, 100):
            (folder / "photo.png").write_bytes(whole[:size])
            assert isinstance(only(inbox), Waiting)
            clock.pass_(50)
        assert isinstance(only(inbox), Waiting)
        clock.pass_(70)
        rejected = only(inbox)
        assert isinstance(rejected, Rejected)
        assert "photo.png" in rejected.reason
        assert "waited 60 s (--input-timeout)" in rejected.reason

    def test_all_that_is_missing_is_told_together(self, folder: Path, clock: Clock) -> None:
        drop(folder)
        inbox = make(folder, input_timeout_seconds=0)
        only(inbox)
        clock.pass_(3)
        rejected = only(inbox)
        assert isinstance(rejected, Rejected)
        assert rejected.reason.startswith("photo.png is missing; painting.png is missing; waited")

    def test_an_image_that_is_none_is_refused_without_waiting(self, folder: Path, clock: Clock) -> None:
        pair(folder)
        (folder / "photo.png").write_text("a text that somebody named photo.png")
        drop(folder)
        inbox = make(folder)
        for _ in range(3):
            verdict = only(inbox)
            clock.pass_(3)
        assert isinstance(verdict, Rejected)
        assert "photo.png: not an image of a known format" in verdict.reason

    def test_a_manifest_changed_while_it_settles_is_read_from_its_last_bytes(self, folder: Path, clock: Clock) -> None:
        pair(folder)
        path = drop(folder, content="typo.png")
        inbox = make(folder)
        only(inbox)
        clock.pass_(3)
        only(inbox)
        drop(folder)
        os.utime(path, (1, 1))
        for _ in range(3):
            verdict = only(inbox)
            clock.pass_(3)
        assert isinstance(verdict, Ready)

    def test_an_unreadable_image_is_a_fault_that_never_times_out(
        self, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pair(folder)
        drop(folder)
        real = places.open_inside

        def refuse(path: Path, roots: list[Path], name: str) -> Any:
            if name == "photo.png":
                raise PermissionError(13, "Permission denied")
            return real(path, roots, name)

        monkeypatch.setattr(places, "open_inside", refuse)  # root, whom tests often run as, may read everything
        inbox = make(folder, input_timeout_seconds=1)
        for _ in range(5):
            verdict = only(inbox)
            clock.pass_(100)
        assert verdict == Waiting("cannot be read: Permission denied", is_fault=True)
        monkeypatch.undo()
        Clock(monkeypatch).now = clock.now
        only(inbox)
        assert isinstance(only(make(folder, settle_seconds=0)), Ready)

    def test_a_jump_of_the_wall_clock_changes_nothing(
        self, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drop(folder)
        inbox = make(folder, trust_times=True)
        only(inbox)
        for jump in (-1e6, 1e6):
            monkeypatch.setattr(time, "time", lambda jump=jump: 1.7e9 + jump)
            clock.pass_(100)
            assert only(inbox) == Waiting("photo.png is missing; painting.png is missing")

    def test_one_decoding_serves_all_manifests_that_name_an_image(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pair(folder)
        for number in range(20):
            drop(folder, f"{number}.yaml")
        calls = []
        real = images.verify

        def verify(file: BinaryIO, name: str, max_pixels: int, end_may_lack: bool) -> tuple[int, int]:
            calls.append(name)
            return real(file, name, max_pixels)

        monkeypatch.setattr(images, "verify", verify)
        inbox = make(folder, settle_seconds=0)
        assert sum(isinstance(verdict, Ready) for verdict in inbox.scan()) == 20
        assert sorted(calls) == ["painting.png", "photo.png"]


def test_a_mistake_of_ours_over_one_drop_stops_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair(folder)
    for name in ("a", "b"):
        drop(folder, f"{name}.yaml")

    def stumble(data: bytes, file: str, *rest: Any) -> Any:
        if file == "a.yaml":
            raise AttributeError("a bug")
        return parse_manifest(data, file, *rest)

    monkeypatch.setattr("pipeline.inbox.readiness.parse_manifest", stumble)
    first, second = make(folder, settle_seconds=0).scan()
    assert isinstance(first, Rejected)
    assert "internal error: AttributeError('a bug')" in first.reason
    assert isinstance(second, Ready)


def test_an_image_at_fault_is_told_again_without_its_history(folder: Path) -> None:
    pair(folder)
    (folder / "photo.png").write_bytes((folder / "photo.png").read_bytes()[:200])
    inbox = make(folder, settle_seconds=0)
    drop(folder)
    depths = []
    for _ in range(5):
        only(inbox)
        (error,) = [found for found in inbox._judge.decoder._decoded.values() if isinstance(found, Exception)]
        depth, frame = 0, error.__traceback__
        while frame:
            depth, frame = depth + 1, frame.tb_next
        depths.append(depth)
    assert len(set(depths)) == 1


@pytest.mark.parametrize(("name", "end"), [("photo.jpg", 2), ("photo.png", 12), ("photo.gif", 1)])
def test_one_that_lacks_its_end_alone_is_painted_after_the_timeout_saying_so_once(
    folder: Path, clock: Clock, caplog: pytest.LogCaptureFixture, name: str, end: int
) -> None:
    pair(folder)
    picture(seed=3).save(folder / name)
    (folder / name).write_bytes((folder / name).read_bytes()[:-end])
    drop(folder, content=name)
    inbox = make(folder)
    for _ in range(3):
        verdict = only(inbox)
        clock.pass_(3)
    assert verdict == Waiting(f"{name}: lacks the end of its file, though no pixels. Copy the file again.")
    assert caplog.text == ""
    clock.pass_(600)
    for _ in range(2):
        ready = only(inbox)
        assert isinstance(ready, Ready)
        assert ready.films[0][:2] == (80, 64)
    assert (
        caplog.text.count(f"{name}: lacks the end of its file, though no pixels. It is painted as it is, after 600 s")
        == 1
    )


def test_what_is_known_of_a_broken_image_holds_none_of_its_pixels(folder: Path) -> None:
    """Nor on a cluster: what Dask brings teaches ``copy`` and ``pickle`` to take tracebacks along."""
    pytest.importorskip("distributed.protocol.pickle")
    picture(2000, 1500, seed=3).save(folder / "photo.png")
    os.truncate(folder / "photo.png", os.path.getsize(folder / "photo.png") // 2)
    decoder = Decoder(10**8, 10)
    with (folder / "photo.png").open("rb") as file:
        wait_for(lambda: is_decoded(decoder, file))
    (found,) = decoder._decoded.values()
    assert isinstance(found, IncompleteImageError)
    assert (found.__traceback__, found.__context__) == (None, None)
    assert str(found).startswith("photo.png: ")


def is_decoded(decoder: Decoder, file: BinaryIO) -> bool:
    try:
        decoder.film(file, "photo.png", (0, 0, 0, 0))
    except BeingDecodedError:
        return False
    except IncompleteImageError:
        pass
    return True


class TestMemory:
    """What the machine could never hold is refused at the drop."""

    def verdict(self, folder: Path, memory: int, **fields: Any) -> Verdict:
        pair(folder)
        (folder / "a.json").write_text(json.dumps({"content": "photo.png", "style": "painting.png", **fields}))
        inbox = make(folder, settle_seconds=0.0, memory=memory)
        while isinstance(found := only(inbox), Waiting):
            time.sleep(0.01)
        return found

    def test_a_picture_that_cannot_fit_is_told_what_would(self, folder: Path) -> None:
        fields: dict[str, Any] = {"parameters": {"image_size": 16384, "style_size": 4096}}
        found = self.verdict(folder, 8 * 10**9, **fields)
        assert isinstance(found, Rejected)
        assert "a picture of 16384 pixels takes about" in found.reason
        assert "GB of memory, and this machine has 8.0 GB. image_size" in found.reason
        (folder / "a.json").unlink()
        fits = int(found.reason.split("image_size ")[1].split()[0])
        assert 2000 < fits < 8000
        fields["parameters"]["image_size"] = fits
        assert isinstance(self.verdict(folder, 8 * 10**9, **fields), Ready)

    def test_a_painting_that_cannot_fit_is_told_too(self, folder: Path) -> None:
        found = self.verdict(folder, 8 * 10**9, parameters={"image_size": 256, "style_size": 16384})
        assert isinstance(found, Rejected)
        assert "a painting of 16384 pixels takes about" in found.reason

    def test_a_sweep_of_which_one_fits_is_taken(self, folder: Path) -> None:
        sweep = {"image_size": [256, 16384]}
        assert isinstance(self.verdict(folder, 8 * 10**9, sweep=sweep, parameters={"style_size": 256}), Ready)
