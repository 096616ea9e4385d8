"""Pictures of every kind by every way in, through the installed command."""

from __future__ import annotations

import pytest

from tests.conftest import Place
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
