"""A family's folder on a NAS: what people, phones, shares and other programs put there, and 60 photos to be painted.

60 pictures come of it, and not one more.
"""

from __future__ import annotations

import hashlib
import io
import json
import unicodedata
from collections import Counter
from pathlib import Path

import pillow_heif
import pytest
import yaml

from tests.conftest import SMALL, Place, picture
from tests.manifest.test_recognition import TAKEOUT

pytestmark = [pytest.mark.stand_in, pytest.mark.timeout(900)]

PHOTOS = 30  # in each of two style folders
QUICK = {**SMALL, "steps_per_epoch": 1, "pyramid": "off"}
THUMBNAILS = ("SYNOPHOTO_THUMB_XL.jpg", "SYNOPHOTO_THUMB_M.jpg", "SYNOPHOTO_THUMB_SM.jpg")
NAMES = [  # as phones and people call photos; the others are IMG_0007.jpg and so on
    unicodedata.normalize("NFD", "Ausflüge Süd.jpg"),
    "Bildschirmfoto 2024-07-01 um 10.05.33\u202fPM.png",
    "हिन्दी चित्र.jpg",
    "PXL_20240701_100533.MP.jpg",
    "MVIMG_20240701_100533.jpg",
    "IMG_0042.HEIC",
]


def encoded(name: str, seed: int) -> bytes:
    """A photo as the device that calls it so writes it; of a motion photo with its film behind it."""
    buffer = io.BytesIO()
    if name.endswith(".HEIC"):
        pillow_heif.from_pillow(picture(seed=seed)).save(buffer)
    else:
        picture(seed=seed).save(buffer, "PNG" if name.endswith(".png") else "JPEG")
    film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0\0\x10\0mdat" + bytes(4088)
    return buffer.getvalue() + (film if name.startswith(("PXL_", "MVIMG_")) else b"")


def write(path: Path, data: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def thumbnails(photo: Path, seed: int) -> None:
    """Those that a Synology makes of a photo."""
    for number, name in enumerate(THUMBNAILS):
        write(photo.parent / "@eaDir" / photo.name / name, encoded("a.jpg", 10_000 + 10 * seed + number))


def debris(folder: Path, seed: int) -> None:
    """What systems leave in a folder of photos."""
    for number, name in enumerate(
        ("#recycle/old.jpg", "$RECYCLE.BIN/$R0.jpg", "@Recycle/gone.jpg", ".Trash-1000/x.jpg")
    ):
        write(folder / name, encoded("a.jpg", 20_000 + 10 * seed + number))
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._IMG_0007.jpg", "~$notes.docx", "IMG_0099.jpg.crdownload"):
        write(folder / name, b"\0\x05\x16\x07" + bytes(500))
    write(folder / ".thumbnails" / "1.jpg", encoded("a.jpg", 20_005 + 10 * seed))


@pytest.fixture
def family(place: Place) -> dict[str, bytes]:
    """The NAS folder; gives every file in it."""
    for number, style in enumerate(("wave", "glass")):
        folder = place.inbox / style
        write(folder / "style.jpg", encoded("style.jpg", 1000 + number))
        write(folder / "style.yaml", yaml.safe_dump({"parameters": QUICK}))
        thumbnails(folder / "style.jpg", 1000 + number)
        debris(folder, number)
        names = [*NAMES, *(f"2024/Sommer {n % 3}/IMG_{n:04}.jpg" for n in range(PHOTOS - len(NAMES)))]
        for count, name in enumerate(names, 100 * number + 1):
            write(folder / name, encoded(name, count))
            thumbnails(folder / name, count)
            write(folder / f"{name}.supplemental-metadata.json", TAKEOUT)
            write((folder / name).with_suffix(".xmp"), "<x:xmpmeta/>")
        write(folder / "IMG_0042.MOV", b"\0\0\0\x14ftypqt  " + bytes(2000))
        write(folder / "2024" / "metadata.json", '{"title": "2024", "access": "protected"}')
        write(folder / "style.sync-conflict-20240701-100533-ABCDEFG.yaml", "style: other.jpg\n")
        write(folder / "style (1).jpg", encoded("style.jpg", 2000 + number))
    # Dropped once more, under another name: painted once.
    write(place.inbox / "wave" / "IMG_0001 (1).jpg", (place.inbox / "wave/2024/Sommer 1/IMG_0001.jpg").read_bytes())
    for name, text in (("docker-compose.yml", "services: {web: {}}"), ("package.json", '{"name": "album"}')):
        write(place.inbox / name, text)
    debris(place.inbox, 9)
    write(place.inbox / "@eaDir" / "job" / "job.yaml", "content: a.jpg\nstyle: b.jpg\n")
    return {str(path.relative_to(place.inbox)): path.read_bytes() for path in place.inbox.rglob("*") if path.is_file()}


def left(place: Place) -> dict[str, bytes]:
    paths = (path for path in place.inbox.rglob("*") if path.is_file() and ".painted" not in path.parts)
    return {str(path.relative_to(place.inbox)): path.read_bytes() for path in paths}


def test_a_familys_folder_gives_a_picture_for_each_photo_and_not_one_more(
    place: Place, family: dict[str, bytes]
) -> None:
    before = place.leftovers()
    done = place.run("run", timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    logs = place.logs()
    assert Counter(log["status"] for log in logs) == {"done": 2 * PHOTOS}
    photos = [log["inputs"]["content"]["file"] for log in logs]
    assert Counter(photo.split("/")[0] for photo in photos) == {"wave": PHOTOS, "glass": PHOTOS}
    wanted = {hashlib.sha256(family[photo]).hexdigest() for photo in photos}
    assert {log["inputs"]["content"]["sha256"] for log in logs} == wanted
    assert len(wanted) == 2 * PHOTOS
    names = {log["job"]["name"] for log in logs}
    assert {"Ausflüge Süd", "हिन्दी चित्र", "Bildschirmfoto 2024-07-01 um 10.05.33 PM"} <= names
    assert all(place.result(log).is_file() for log in logs)
    assert left(place) == family, "nothing is changed, moved or removed"
    assert place.leftovers() == before
    assert "rename it to job" not in done.stderr

    # A result among the photos, and the same night once more.
    result = place.outbox / logs[0]["job"]["id"]
    result.rename(place.inbox / "wave" / result.name)
    again = place.run("run", timeout=600)
    assert again.returncode == 0, again.stderr[-3000:]
    assert len(place.logs()) == 2 * PHOTOS - 1
    told = json.loads(place.run("status", "--json").stdout)
    for sentence in (
        f"wave/{result.name} is not looked at: a result",
        "IMG_0001 (1).jpg: already painted as ",
        "package.json is not understood",
        "docker-compose.yml is not understood",
        "wave/style (1).jpg is not painted: it is named like the style",
        "glass/style.sync-conflict-20240701-100533-ABCDEFG.yaml is not run: a copy of style.yaml as Syncthing",
    ):
        assert sentence in again.stderr
        assert sentence in " ".join(told["unknown"] + told["repeated"])
    assert place.run("status").returncode == 0
