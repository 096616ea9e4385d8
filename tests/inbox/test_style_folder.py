"""Style folders: which photos become jobs, when, and how often."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import yaml

from pipeline import storage
from pipeline.inbox import jobfolder, stylefolders
from pipeline.inbox.readiness import Ready, Rejected, Waiting
from pipeline.inbox.template import TemplateReader
from pipeline.manifest.model import Limits
from tests.conftest import picture
from tests.inbox.conftest import Clock, Inbox, make


@pytest.fixture
def wave(folder: Path) -> Path:
    """A style folder that has its style."""
    (folder / "wave").mkdir()
    picture(seed=1).save(folder / "wave" / "style.jpg")
    return folder / "wave"


def photo(path: Path, seed: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed=seed).save(path)
    return path


def at_once(folder: Path, **settings: Any) -> Inbox:
    """A scanner that takes every file for settled."""
    return make(folder, **{"settle_seconds": 0, **settings})


def scan(inbox: Inbox, times: int = 3) -> None:
    for _ in range(times):
        list(inbox.scan())


def jobs(folder: Path) -> dict[str, dict[str, Any]]:
    """The job folders that have appeared, by their photo."""
    found = [yaml.safe_load(path.read_text()) for path in folder.glob("[!.]*/job.yaml")]
    assert len({job["content"] for job in found}) == len(found), "a photo has two jobs"
    return {job["content"]: job for job in found}


def take_away(folder: Path) -> None:
    """As a runner does with what it has claimed."""
    for path in folder.glob("[!.]*/job.yaml"):
        path.parent.rename(folder.parent / path.parent.name)


class TestWhatIsAStyleFolder:
    def test_a_picture_named_style_makes_one_whatever_the_case(self, folder: Path) -> None:
        photo(folder / "wave" / "Style.PNG", seed=1)
        photo(folder / "wave" / "HARBOUR.JPG")
        scan(at_once(folder))
        assert jobs(folder)["wave/HARBOUR.JPG"]["style"] == [{"image": "wave/Style.PNG"}]

    def test_a_manifest_without_content_gives_style_and_parameters(self, folder: Path) -> None:
        photo(folder / "paintings" / "wave.png", seed=1)
        photo(folder / "trip" / "mask.png", seed=3)
        photo(folder / "trip" / "p.jpg")
        (folder / "trip" / "style.yml").write_text(
            "style: [{image: ../paintings/wave.png, content_mask: mask.png}]\n"
            "name: summer\npriority: 3\nparameters: {epochs: 2}\n"
        )
        inbox = at_once(folder)
        scan(inbox)
        assert jobs(folder) == {
            "trip/p.jpg": {
                "content": "trip/p.jpg",
                "style": [{"image": "paintings/wave.png", "content_mask": "trip/mask.png"}],
                "priority": 3,
                "parameters": {"epochs": 2},
                "name": "summer-p",
            }
        }
        (ready,) = (verdict for verdict in inbox.scan() if isinstance(verdict, Ready))
        assert (ready.manifest.name, ready.manifest.steps) == ("summer-p", 200)

    def test_the_images_of_a_style_may_lie_in_a_library(self, folder: Path, tmp_path: Path) -> None:
        photo(tmp_path / "paintings" / "wave.png", seed=1)
        photo(folder / "trip" / "p.jpg")
        (folder / "trip" / "style.json").write_text('{"style": "wave.png"}')
        inbox = at_once(folder, libraries=[tmp_path / "paintings"])
        scan(inbox)
        assert jobs(folder)["trip/p.jpg"]["style"] == [{"image": "wave.png"}]
        assert any(isinstance(verdict, Ready) for verdict in inbox.scan())

    def test_a_folder_with_a_job_yaml_is_a_job(self, folder: Path, wave: Path) -> None:
        photo(wave / "photo.png")
        (wave / "job.yaml").write_text("content: photo.png\nstyle: style.jpg\n")
        inbox = at_once(folder)
        scan(inbox)
        assert [path.name for path in folder.iterdir()] == ["wave"]


class TestPhotos:
    def test_every_photo_becomes_a_job_of_its_own_and_stays(self, folder: Path, wave: Path) -> None:
        first, second = photo(wave / "a.png", 2), photo(wave / "day 1" / "noon" / "b.JPEG", 3)
        before = {path: (path.stat().st_mtime_ns, path.stat().st_ino, path.read_bytes()) for path in (first, second)}
        scan(at_once(folder))
        assert {content: job["name"] for content, job in jobs(folder).items()} == {
            "wave/a.png": "a",
            "wave/day 1/noon/b.JPEG": "day 1-noon-b",
        }
        (job,) = folder.glob("day 1-noon-b-*")
        assert (job / "wave" / "day 1" / "noon" / "b.JPEG").read_bytes() == second.read_bytes()
        assert (job / "wave" / "style.jpg").read_bytes() == (wave / "style.jpg").read_bytes()
        assert before == {path: (path.stat().st_mtime_ns, path.stat().st_ino, path.read_bytes()) for path in before}

    def test_once_for_each_content_also_after_a_restart(self, folder: Path, wave: Path) -> None:
        photo(wave / "a.png")
        (wave / "copy.png").write_bytes((wave / "a.png").read_bytes())
        inbox = at_once(folder)
        scan(inbox)
        assert len(jobs(folder)) == 1
        take_away(folder)
        (wave / "a.png").rename(wave / "renamed.png")
        os.utime(wave / "copy.png")
        scan(inbox)
        scan(at_once(folder))
        assert jobs(folder) == {}
        photo(wave / "copy.png", seed=9)
        scan(at_once(folder))
        assert list(jobs(folder)) == ["wave/copy.png"]

    def test_a_restart_reads_no_photo_again(self, folder: Path, wave: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(3):
            photo(wave / f"{number}.png", seed=number)
        scan(at_once(folder))
        take_away(folder)
        style = hashlib.sha256((wave / "style.jpg").read_bytes()).hexdigest()
        digests: list[BinaryIO] = []
        monkeypatch.setattr("pipeline.storage.digest_of", digests.append)

        def images(*_: Any) -> storage.Slices[dict[str, str]]:
            yield from ()
            return {"style.jpg": style}

        monkeypatch.setattr(TemplateReader, "_images", images)
        scan(at_once(folder))
        assert digests == []

    def test_half_copied_photos_wait_and_the_others_go_on(self, folder: Path, wave: Path, clock: Clock) -> None:
        whole = photo(wave / "half.png", 3).read_bytes()
        (wave / "half.png").write_bytes(whole[: len(whole) // 2])
        photo(wave / "whole.png")
        inbox = make(folder)
        for _ in range(4):
            list(inbox.scan())
            clock.pass_(3)
        assert list(jobs(folder)) == ["wave/whole.png"]
        assert "does not decode to its end" in inbox.waiting["wave/half.png"].reason
        (wave / "half.png").write_bytes(whole)
        list(inbox.scan())
        assert len(jobs(folder)) == 1
        clock.pass_(3)
        list(inbox.scan())
        assert sorted(jobs(folder)) == ["wave/half.png", "wave/whole.png"]

    def test_a_photo_that_is_never_whole_gets_an_answer_once(self, folder: Path, wave: Path, clock: Clock) -> None:
        (wave / "half.png").write_bytes(photo(folder.parent / "whole.png").read_bytes()[:900])
        (wave / "none.jpg").write_bytes(b"this is no picture at all")
        inbox = make(folder, input_timeout_seconds=60)
        for _ in range(4):
            list(inbox.scan())
            clock.pass_(3)
        assert list(jobs(folder)) == ["wave/none.jpg"]
        clock.pass_(60)
        list(inbox.scan())
        assert sorted(jobs(folder)) == ["wave/half.png", "wave/none.jpg"]
        take_away(folder)
        for _ in range(3):
            list(inbox.scan())
            clock.pass_(3)
        assert jobs(folder) == {}

    def test_the_styles_own_images_and_what_is_no_photo_are_left(self, folder: Path, wave: Path) -> None:
        (wave / "style.yaml").write_text("style: painting.png\n")
        photo(wave / "painting.png", seed=1)
        for name in ("notes.txt", ".hidden.jpg", "Thumbs.db"):
            (wave / name).write_bytes(b"x")
        os.mkfifo(wave / "pipe.jpg")
        (wave / "gone.jpg").symlink_to("nowhere.jpg")
        scan(at_once(folder))
        assert jobs(folder) == {}

    def test_pictures_of_a_kind_that_is_not_read_are_told_in_one_sentence(self, folder: Path, wave: Path) -> None:
        for name in ("day 1/DSC_2.NEF", "DSC_1.NEF", "c.jxl", "notes.txt"):
            (wave / name).parent.mkdir(exist_ok=True)
            (wave / name).write_bytes(b"x")
        inbox = at_once(folder)
        scan(inbox)
        told = "wave/DSC_1.NEF and 2 more cannot be read; save as JPEG, PNG or TIFF, and drop that"
        assert inbox.drops.hints == {told}
        assert jobs(folder) == {}

    def test_the_first_are_submitted_while_others_wait_for_their_turn(
        self, folder: Path, wave: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stylefolders, "PHOTOS_A_SCAN", 2)
        for number in range(5):
            photo(wave / f"{number}.png", seed=number)
        inbox = at_once(folder)
        counts = []
        for _ in range(4):
            list(inbox.scan())
            counts.append((len(jobs(folder)), inbox.waiting.get("wave/") == Waiting("settling", is_settling=True)))
        assert counts == [(2, True), (4, True), (5, False), (5, False)]


class TestAChangedStyle:
    def change(self, wave: Path, text: str) -> None:
        (wave / "style.yaml").write_text(text)
        photo(wave / "other.png", seed=8)

    def test_paints_nothing_anew(self, folder: Path, wave: Path) -> None:
        photo(wave / "a.png")
        scan(at_once(folder))
        take_away(folder)
        self.change(wave, "style: other.png\n")
        scan(at_once(folder))
        assert jobs(folder) == {}
        photo(wave / "b.png", seed=5)
        scan(at_once(folder))
        assert jobs(folder)["wave/b.png"]["style"] == [{"image": "wave/other.png"}]

    def test_paints_all_anew_once_where_it_says_again(self, folder: Path, wave: Path) -> None:
        photo(wave / "a.png")
        scan(at_once(folder))
        take_away(folder)
        self.change(wave, "style: style.jpg\nagain: true\n")
        (wave / "other.png").unlink()
        scan(at_once(folder))
        assert jobs(folder) == {}, "the style is as it was"
        self.change(wave, "style: other.png\nagain: true\n")
        scan(at_once(folder))
        assert jobs(folder)["wave/a.png"]["style"] == [{"image": "wave/other.png"}]
        take_away(folder)
        scan(at_once(folder))
        assert jobs(folder) == {}


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("style: a.jpg\ncontent: p.jpg\n", "wave/style.yaml, line 2: `content`: each photo of the folder is one"),
            ("style: style.jpg\nagain: perhaps\n", "wave/style.yaml, line 2: `again`: must be true or false"),
            ("style: style.jpg\nparameters: {epochs: -1}\n", "`parameters.epochs`: must be from 1 to 1000, not -1"),
            ("style: ../../outside.jpg\n", "leads outside the inbox"),
            ("- style.jpg\n", "a style is a list of `key: value` lines"),
        ],
    )
    def test_a_style_that_cannot_be_used_is_told_and_its_photos_wait(
        self, folder: Path, wave: Path, text: str, sentence: str
    ) -> None:
        photo(wave / "a.png")
        (wave / "style.yaml").write_text(text)
        inbox = at_once(folder)
        scan(inbox)
        assert any(sentence in hint and "Its photos wait." in hint for hint in inbox.drops.hints), inbox.drops.hints
        assert (jobs(folder), inbox.waiting) == ({}, {})
        (wave / "style.yaml").unlink()
        scan(inbox)
        assert list(jobs(folder)) == ["wave/a.png"]
        assert inbox.drops.hints == set()

    def test_a_missing_image_of_the_style_is_waited_for(self, folder: Path, wave: Path, clock: Clock) -> None:
        (wave / "style.yaml").write_text("style: painting.png\n")
        photo(wave / "paintign.png")
        inbox = make(folder)
        for _ in range(3):
            list(inbox.scan())
            clock.pass_(3)
        assert inbox.waiting["wave/style.yaml"] == Waiting("painting.png is missing; did you mean paintign.png?")
        clock.pass_(600)
        list(inbox.scan())
        assert inbox.waiting == {}
        assert any("wave/style.yaml: painting.png is missing" in hint for hint in inbox.drops.hints)

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("a.jpg?width=300", "a.jpg"),  # a download
            ("a.jpg.1", "a.jpg"),
            ("a.jpeg!large", "a.jpeg"),
            ("a.JPG@2x", "a.JPG"),
            ("a.heic (2)", "a.heic"),
            ("a.png ", "a.png"),
            ("a.png.", "a.png"),
            ("a.jpg_original", ""),  # of ExifTool, beside the picture
            ("a.jpg.bak", ""),
            ("a.jpg:Zone.Identifier", ""),
            ("a.jpg.xmp", ""),
            ("a.AAE", ""),
        ],
    )
    def test_a_name_with_something_behind_its_suffix_is_told(
        self, folder: Path, wave: Path, name: str, meant: str
    ) -> None:
        (wave / name).write_bytes((wave / "style.jpg").read_bytes())
        inbox = at_once(folder)
        scan(inbox)
        assert jobs(folder) == {}
        told = {f"wave/{name} cannot be read by such a name; rename to {meant}, and drop that"} if meant else set()
        assert inbox.drops.hints == told

    def test_links_out_of_the_inbox_and_folders_too_deep_are_told(self, folder: Path, wave: Path) -> None:
        photo(folder.parent / "outside.png")
        (wave / "out.png").symlink_to(folder.parent / "outside.png")
        (wave / "round").symlink_to(wave)
        photo(wave / "1" / "2" / "3" / "deep.png")
        photo(wave / "1" / "style.png", seed=6)
        photo(wave / "1" / "2" / "right.png", seed=7)
        inbox = at_once(folder, limits=Limits(max_depth=3))
        scan(inbox)
        assert list(jobs(folder)) == ["wave/1/2/right.png"]
        told = "\n".join(sorted(inbox.drops.hints))
        assert "wave/out.png: leads outside the inbox" in told
        assert "nested more than 3 folders deep (--max-depth)" in told
        assert "wave/1/style.png is not looked at: move wave/1 into the inbox itself" in told


class TestSeveralRunners:
    def other(self, folder: Path, **settings: Any) -> Inbox:
        """A runner with a jobs folder of its own."""
        inbox = at_once(folder, **settings)
        claims = type(inbox.claims)(folder, folder.parent / "other jobs", folder.parent / ".retry")
        drops = type(inbox.drops)(folder, claims.folder, folder.parent / ".retry", [])
        inbox.drops = drops
        inbox._styles = stylefolders.StyleFolders(drops, inbox._judge, lambda name, digest: None)
        return inbox

    def test_a_photo_is_one_runners(self, folder: Path, wave: Path) -> None:
        first, second = at_once(folder), self.other(folder)
        scan(first)
        scan(second)
        photo(wave / "a.png", 2)
        photo(wave / "b.png", 3)
        one, two = first.scan(), second.scan()
        for _ in range(6):
            next(one, None)
            next(two, None)
        scan(first)
        scan(second)
        assert sorted(jobs(folder)) == ["wave/a.png", "wave/b.png"]
        assert not (folder / ".claimed").exists()


class TestACrash:
    """Between the note that a photo becomes a job and the rename that makes it one."""

    @pytest.mark.parametrize("last", ["mark", "torn mark", "nothing"])
    def test_a_job_that_was_kept_from_appearing_appears_once(
        self, folder: Path, wave: Path, monkeypatch: pytest.MonkeyPatch, last: str
    ) -> None:
        photo(wave / "a.png")

        def crash(*_: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            if last == "nothing":
                patch.setattr("pipeline.inbox.marks.Marks.add", crash)
            else:
                patch.setattr("pipeline.inbox.jobfolder.deliver", crash)
            with pytest.raises(KeyboardInterrupt):
                scan(at_once(folder))
        marks = list(folder.glob(".painted/wave/*"))
        assert len(marks) == (last != "nothing")
        if last == "torn mark":
            marks[0].write_bytes(b"")
        assert jobs(folder) == {}
        restarted = at_once(folder)
        scan(restarted, times=1)
        assert list(jobs(folder)) == ["wave/a.png"]
        assert any(one.is_settling for one in restarted.waiting.values()), "`run` would end before taking it in"
        scan(restarted)
        assert not (folder / ".claimed").exists()
        take_away(folder)
        scan(at_once(folder))
        assert jobs(folder) == {}

    def test_a_fault_of_the_disk_leaves_the_photo_to_the_next_look(
        self, folder: Path, wave: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        photo(wave / "a.png")
        inbox = at_once(folder)

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        for place in ("pipeline.storage.copy_stream", "pipeline.inbox.jobfolder.deliver"):
            with monkeypatch.context() as patch:
                patch.setattr(place, full)
                with pytest.raises(OSError, match="No space"):
                    scan(inbox)
            assert jobs(folder) == {}
        scan(inbox)
        assert list(jobs(folder)) == ["wave/a.png"]


class TestAPhotoThatIsNeverWhole:
    @pytest.mark.parametrize("restart", [False, True])
    def test_it_is_waited_for_once_and_then_answered(
        self, folder: Path, wave: Path, clock: Clock, restart: bool
    ) -> None:
        whole = photo(wave / "a.png").read_bytes()
        (wave / "a.png").write_bytes(whole[: len(whole) // 2])
        inbox = make(folder, input_timeout_seconds=600)
        for _ in range(3):  # first the style settles, then the photo
            scan(inbox)
            clock.pass_(3)
        assert inbox.waiting["wave/a.png"].reason.startswith("does not decode to its end")
        clock.pass_(600)
        scan(inbox, 1)
        assert list(jobs(folder)) == ["wave/a.png"]
        if restart:
            inbox = make(folder, input_timeout_seconds=600)
        for _ in range(3):  # the job's manifest settles, then its images
            verdicts = list(inbox.scan())
            clock.pass_(3)
        (rejected,) = (verdict for verdict in verdicts if isinstance(verdict, Rejected))
        assert rejected.reason.endswith("Copy the file again; waited 600 s (--input-timeout).")

    @pytest.mark.parametrize("name", ["style.jpg", "a.png"])
    def test_one_that_lacks_its_end_alone_is_waited_for_once_and_then_painted(
        self, folder: Path, wave: Path, clock: Clock, name: str
    ) -> None:
        photo(wave / "a.png")
        (wave / name).write_bytes((wave / name).read_bytes()[:-2])
        inbox = make(folder, input_timeout_seconds=600)
        for _ in range(3):
            scan(inbox, 1)
            clock.pass_(3)
        assert jobs(folder) == {}
        clock.pass_(600)
        for _ in range(3):
            scan(inbox, 1)
            clock.pass_(3)
        assert list(jobs(folder)) == ["wave/a.png"]
        for _ in range(3):
            verdicts = list(inbox.scan())
            clock.pass_(3)
        assert any(isinstance(verdict, Ready) for verdict in verdicts)


class TestAStyleBesideItsParameters:
    def test_a_style_yaml_with_parameters_alone_takes_the_picture_beside_it(self, folder: Path, wave: Path) -> None:
        photo(wave / "a.png")
        (wave / "style.yaml").write_text("name: summer\nparameters: {strength: 2}\n")
        inbox = at_once(folder)
        scan(inbox)
        job = jobs(folder)["wave/a.png"]
        assert job["style"] == [{"image": "wave/style.jpg"}]
        assert (job["name"], job["parameters"]) == ("summer-a", {"strength": 2})
        assert inbox.drops.hints == set()

    def test_what_a_style_yaml_names_itself_counts(self, folder: Path, wave: Path) -> None:
        photo(wave / "a.png")
        photo(wave / "other.jpg", seed=7)
        (wave / "style.yaml").write_text("style: other.jpg\n")
        scan(at_once(folder))
        assert {content: job["style"] for content, job in jobs(folder).items()} == {
            "wave/a.png": [{"image": "wave/other.jpg"}]
        }

    def test_without_a_picture_it_is_told_what_is_missing(self, folder: Path) -> None:
        photo(folder / "wave" / "a.png")
        (folder / "wave" / "style.yaml").write_text("parameters: {strength: 2}\n")
        inbox = at_once(folder)
        scan(inbox)
        (hint,) = inbox.drops.hints
        assert "`style`: missing; name a painting, such as `style: wave.jpg`" in hint

    @pytest.mark.parametrize(
        "name",
        [
            *("style.jpg.jpg", "style.JPG.jpg", "style (1).jpg", "style(2).png", "style - Copy.jpg"),
            *("style - Kopie.jpg", "style copy.jpg", "style copy 2.jpg", "style 2.jpg", "style_1.jpeg"),
            *("style .jpg", "style.jpg.png"),
        ],
    )
    def test_one_with_a_name_that_copying_has_changed_is_told_and_never_painted(self, folder: Path, name: str) -> None:
        photo(folder / "trip" / name, seed=1)
        photo(folder / "trip" / "a.png")
        os.utime(folder / "trip", (0, 0))
        inbox = at_once(folder)
        scan(inbox)
        (hint,) = inbox.drops.hints
        assert hint.startswith(f"trip/{name} is no style: did you mean style.{name.rpartition('.')[2]}?")
        photo(folder / "trip" / "style.jpg", seed=3)
        scan(inbox)
        assert list(jobs(folder)) == ["trip/a.png"]
        (hint,) = inbox.drops.hints
        assert hint.startswith(f"trip/{name} is not painted: it is named like the style")

    @pytest.mark.parametrize("name", ["stile.jpg", "styel.png", "styles.jpg", "Stlye.JPG"])
    def test_a_slip_is_told_but_painted_beside_a_style(self, folder: Path, name: str) -> None:
        photo(folder / "trip" / name, seed=1)
        os.utime(folder / "trip", (0, 0))
        inbox = at_once(folder)
        scan(inbox)
        (hint,) = inbox.drops.hints
        assert f"trip/{name} is no style: did you mean style." in hint
        photo(folder / "trip" / "style.jpg", seed=3)
        scan(inbox)
        assert list(jobs(folder)) == [f"trip/{name}"]

    @pytest.mark.parametrize("name", ["Style.JPG", "STYLE.jpeg", "style.Png"])
    def test_case_does_not_matter(self, folder: Path, name: str) -> None:
        photo(folder / "trip" / name.replace("Png", "png"), seed=1).rename(folder / "trip" / name)
        photo(folder / "trip" / "a.png")
        scan(at_once(folder))
        assert list(jobs(folder)) == ["trip/a.png"]


def test_a_mistake_of_ours_over_one_photo_stops_no_other(folder: Path, wave: Path, monkeypatch: Any) -> None:
    for name in ("a", "b", "c"):
        photo(wave / f"{name}.png", seed=ord(name))
    look = stylefolders._Work._content

    def mistaken(work: Any, photo: Any, *others: Any) -> Any:
        return look(work, photo, *others) if photo.name != "b.png" else iter([b""[1]])

    monkeypatch.setattr(stylefolders._Work, "_content", mistaken)
    inbox = at_once(folder)
    scan(inbox)
    assert sorted(jobs(folder)) == ["wave/a.png", "wave/c.png"]
    assert [hint for hint in inbox.drops.hints if hint.startswith("wave/b.png: internal error: IndexError")]


def test_a_mistake_of_ours_over_one_style_folder_stops_no_other(
    folder: Path, wave: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    photo(wave / "a.png")
    photo(folder / "sea" / "style.jpg")
    photo(folder / "sea" / "b.png", seed=5)
    find = jobfolder.name_of

    def mistaken(name: str, prefix: str) -> str:
        return "x" * (1 // 0) if name == "b.png" else find(name, prefix)

    monkeypatch.setattr("pipeline.inbox.jobfolder.name_of", mistaken)
    inbox = at_once(folder)
    scan(inbox)
    assert list(jobs(folder)) == ["wave/a.png"]
    assert [hint for hint in inbox.drops.hints if hint.startswith("sea/ internal error: ZeroDivisionError")]
    assert caplog.text.count("Traceback") == 1


def test_a_photo_whose_name_has_a_line_break_is_painted_and_told_in_one_line(folder: Path) -> None:
    photo(folder / "wave" / "style.jpg", seed=1)
    photo(folder / "wave" / "a\ndone.jpg", seed=2)
    photo(folder / "wave" / "b\n.jpg").write_bytes(b"no picture")
    inbox = make(folder, settle_seconds=0)
    scan(inbox)
    assert "wave/a\ndone.jpg" in jobs(folder)
    assert not any("\n" in told for told in (*inbox.waiting, *inbox.drops.hints))
