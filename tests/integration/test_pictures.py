"""Pictures of every kind by every way in, through the installed command."""

from __future__ import annotations

import shutil

import pytest

from pipeline.pictures import suffixes
from tests.conftest import Place, picture
from tests.pictures.test_raw import RAW

pytestmark = pytest.mark.stand_in

NOT_READ = "a RAW file (DNG); that is not read. Develop it with your camera's program"


@pytest.mark.parametrize("name", ["photo.png", "IMG.dng"])
def test_a_raw_file_is_painted_by_no_way_in(place: Place, name: str) -> None:
    place.pair()
    raw = place.root / name
    raw.write_bytes(RAW["DNG"])
    for command in (
        ["submit", str(raw), "--style", "inbox/painting.png"],
        ["submit", "inbox/photo.png", "--style", str(raw)],
        ["submit", "--dry-run", str(raw), "--style", "inbox/painting.png"],
        ["inspect", "--no-classes", str(raw)],
    ):
        assert NOT_READ in place.run(*command).stderr, command
    (place.inbox / f"raw-{name}").write_bytes(RAW["DNG"])
    manifests = [place.manifest("a.yaml", content=f"raw-{name}"), place.manifest("b.yaml", style=f"raw-{name}")]
    checked = place.run("check", *map(str, manifests)).stdout
    assert checked.count(NOT_READ) == 2
    for folder in ("raw photo", "raw style"):
        place.photo(f"{folder}/style.png")
        (place.inbox / folder / "photo.png").write_bytes(RAW["DNG"])
    (place.inbox / "raw style" / "style.png").rename(place.inbox / "raw style" / "photo.png")
    (place.inbox / "raw style" / "style.png").write_bytes(RAW["DNG"])
    done = place.run("run")
    assert [log["status"] for log in place.logs()] == ["failed"] * 3
    assert all(NOT_READ in log["error"] for log in place.logs())
    assert f"style.png: {NOT_READ} or another, and save that as JPEG or TIFF. Its photos wait." in done.stderr


def test_a_picture_of_any_suffix_is_painted_or_told_of(place: Place) -> None:
    """In style folders, and by `submit` of a folder or a pattern."""
    place.photo("wave/style.jpg", seed=1)
    (place.inbox / "wave" / "style.yaml").write_text(
        "style: style.jpg\nparameters: {image_size: 32, epochs: 1, steps_per_epoch: 2}\n"
    )
    for number, suffix in enumerate(suffixes.READ, 2):
        place.photo(f"wave/read{number}.png", seed=number).rename(
            place.inbox / "wave" / f"read-{suffix[1:]}{suffix.upper()}"
        )
    for suffix in suffixes.UNREAD:
        (place.inbox / "wave" / f"unread-{suffix[1:]}{suffix}").write_bytes(b"a picture of a rare kind")
    told = f"{len(suffixes.UNREAD) - 1} more cannot be read; save as JPEG, PNG or TIFF"
    shutil.copytree(place.inbox / "wave", place.root / "holiday")
    for name in ("style.jpg", "style.yaml"):
        (place.root / "holiday" / name).unlink()
    done = place.run("run")
    assert done.returncode == 0
    assert told in done.stderr
    assert sorted(log["job"]["name"] for log in place.logs()) == sorted(f"read-{one[1:]}" for one in suffixes.READ)
    for given in ("holiday", "holiday/*"):
        done = place.run("submit", "--dry-run", given, "--style", "inbox/wave/style.jpg")
        assert done.returncode == 0
        assert f"{told}.\n" in done.stderr
        assert done.stdout.count("\n") == len(suffixes.READ) + 1
    done = place.run("submit", "holiday/*.tga", "--style", "inbox/wave/style.jpg")
    assert "no photo there. holiday/unread-tga.tga cannot be read; save as JPEG, PNG or TIFF." in done.stderr


def test_a_thin_panorama_is_told_the_size_that_would_do_by_every_way_in(place: Place) -> None:
    place.pair()
    picture(1000, 20).save(place.inbox / "wide.png")
    manifest = place.manifest("wide.yaml", content="wide.png", parameters={"image_size": 512})
    told = "wide.png: 1000×20 pixels, too narrow: at image_size 512 it is 512×10. image_size 775 would do."
    assert told in place.run("check", str(manifest)).stdout
    assert told in place.run("submit", "inbox/wide.png", "--style", "inbox/painting.png").stderr
    assert place.run("run").returncode == 1
    (log,) = place.logs()
    assert told in log["error"]
    place.manifest("wide.yaml", content="wide.png", parameters={"image_size": 775})
    assert place.run("run").returncode == 0


def test_a_jpeg_that_lacks_its_end_marker_alone_is_painted(place: Place) -> None:
    """By a manifest after the timeout, which a command does not wait for."""
    place.pair()
    whole = place.photo("short.jpg", seed=5).read_bytes()
    (place.inbox / "short.jpg").write_bytes(whole[:-2])
    manifest = place.manifest("short.yaml", content="short.jpg")
    assert place.run("check", str(manifest)).returncode == 0
    assert place.run("inspect", "--no-classes", "inbox/short.jpg").returncode == 0
    assert place.run("submit", "--dry-run", "inbox/short.jpg", "--style", "inbox/painting.png").returncode == 0
    place.photo("wave/style.jpg", seed=6)
    (place.inbox / "wave" / "style.jpg").write_bytes((place.inbox / "wave" / "style.jpg").read_bytes()[:-2])
    (place.inbox / "wave" / "style.yaml").write_text(
        "style: style.jpg\nparameters: {image_size: 32, epochs: 1, steps_per_epoch: 2}\n"
    )
    (place.inbox / "wave" / "photo.jpg").write_bytes(whole[:-2])
    done = place.run("run", "--input-timeout", "1")
    assert [log["status"] for log in place.logs()] == ["done", "done"]
    assert done.returncode == 0
    assert (
        done.stderr.count("short.jpg: lacks the end of its file, though no pixels. It is painted as it is, after 1 s")
        == 1
    )
