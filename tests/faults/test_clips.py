"""Clips: whatever video is dropped ends in a right result or a sentence; what is killed goes on to the same bytes."""

from __future__ import annotations

import functools
import io
import signal
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.conftest import SMALL, Place, picture
from tests.faults.conftest import PARTS
from tests.faults.test_kills import faulty, steps
from tests.pictures.test_clips import KINDS, halves, sound_alone, video

av = pytest.importorskip("av")

pytestmark = pytest.mark.stand_in
QUICK = {**SMALL, "steps_per_epoch": 2, "frame_steps": 1, "protect": "off", "crf": 5}
COUNT = 3  # frames
SAMPLE = 6  # every so many-th is tried without --long


class Video(NamedTuple):
    """A video, and what is to become of it.

    Args:
        make: its bytes.
        said: of the sentence that it is answered with; empty where it is painted.
        frames: of the result; None where one or the other may be left out.
        size: of the result, width and height in pixels.
        sound: the codec of the result's.
        name: of its file.
    """

    make: Callable[[], bytes]
    said: str = ""
    frames: int | None = COUNT
    size: tuple[int, int] = (64, 48)
    sound: str = ""
    name: str = "clip.mp4"


def made(**given: Any) -> Callable[[], bytes]:
    return lambda: video(count=COUNT, **given)


def cut_off(part: float, **given: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        data = video(count=30, **given)
        return data[: int(part * len(data))]

    return make


def told_by(**colours: int) -> Callable[[], bytes]:
    """A video that says what its numbers mean."""

    def change(stream: Any) -> None:
        for name, value in colours.items():
            setattr(stream.codec_context, name, value)

    return made(codec="libx265", pix_fmt="yuv420p10le", change=change)


def wide(stream: Any) -> None:
    stream.codec_context.sample_aspect_ratio = Fraction(2, 1)


def transparent() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", "mov") as container:
        stream = container.add_stream("prores_ks", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva444p10le"
        levels = np.dstack([halves(0), np.full((48, 64), 255, np.uint8)])
        levels[:, 32:, 3] = 0
        for number in range(COUNT):
            frame = av.VideoFrame.from_ndarray(levels, format="rgba").reformat(format="yuva444p10le")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def with_spoilt_sound() -> bytes:
    """AAC that is noise, between whole frames of the picture."""
    data = bytearray(video(count=20, sound="aac", form="matroska"))
    with av.open(io.BytesIO(bytes(data))) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size > 40]
    for number, packet in enumerate(packets):
        at = data.find(packet)
        data[at : at + len(packet)] = np.random.default_rng(number).bytes(len(packet))
    return bytes(data)


def spoilt(form: str, **given: Any) -> Callable[[], bytes]:
    """A video with noise in its midst."""

    def make() -> bytes:
        data = bytearray(video(count=20, form=form, **given))
        middle = len(data) // 2
        data[middle : middle + 60] = np.random.default_rng(2).bytes(60)
        return bytes(data)

    return make


def with_size(width: int, height: int) -> Callable[[], bytes]:
    """A video that says to be so large."""

    def make() -> bytes:
        data = video(count=COUNT, form="avi", codec="rawvideo", pix_fmt="bgr24")
        for way in (1, -1):
            data = data.replace(struct.pack("<2i", 64, way * 48), struct.pack("<2i", width, way * height))
        return data

    return make


def still(form: str) -> Callable[[], bytes]:
    def make() -> bytes:
        buffer = io.BytesIO()
        picture(64, 48).save(buffer, form)
        return buffer.getvalue()

    return make


VIDEOS: dict[str, Video] = {
    **{f"a whole {kind}": Video(made(**given)) for kind, given in KINDS.items()},
    "turned to the left": Video(made(turned=90), size=(48, 64)),
    "turned to the right": Video(made(turned=270), size=(48, 64)),
    "upside down": Video(made(turned=180)),
    "of odd sides": Video(made(pix_fmt="yuv444p", width=63, height=47)),
    "of pixels that are not square": Video(made(change=wide), size=(64, 24)),
    "of variable frame rate": Video(lambda: video(count=COUNT, times=[0, 1, 9])),
    "of one frame": Video(lambda: video(count=1), frames=1),
    "grey": Video(made(pix_fmt="gray")),
    "lossless": Video(made(form="matroska", codec="ffv1", pix_fmt="bgr0"), name="clip.mkv"),
    "of pictures": Video(made(form="avi", codec="mjpeg", pix_fmt="yuvj420p"), name="clip.avi"),
    "of raw pixels": Video(made(form="avi", codec="rawvideo", pix_fmt="bgr24"), name="clip.avi"),
    "HDR (PQ)": Video(told_by(color_primaries=9, color_trc=16, colorspace=9)),
    "HDR (HLG)": Video(told_by(color_primaries=9, color_trc=18, colorspace=9)),
    "transparent": Video(transparent, name="clip.mov"),
    "by the name of another kind": Video(made(form="matroska"), name="clip.avi"),
    "with sound that is copied": Video(made(sound="aac"), sound="aac"),
    "with sound as of DVDs": Video(made(form="matroska", sound="ac3"), sound="ac3", name="clip.mkv"),
    "with sound of WebM": Video(made(form="webm", codec="libvpx", sound="libopus"), sound="opus", name="clip.webm"),
    "with sound of cameras": Video(made(form="mov", sound="pcm_s16be"), sound="aac", name="clip.mov"),
    "with sound of old cameras": Video(
        made(form="avi", codec="mjpeg", pix_fmt="yuvj420p", sound="adpcm_ms"), sound="aac"
    ),
    "with sound that is spoilt": Video(with_spoilt_sound, frames=20, name="clip.mkv"),
    "with noise in its midst": Video(spoilt("avi", codec="mpeg4"), frames=None, name="clip.avi"),
    "a copy that broke off in the pictures": Video(cut_off(0.5), "breaks off|does not decode to its end"),
    "a copy that broke off in the index": Video(cut_off(0.97), "breaks off|does not decode to its end"),
    "a copy that broke off, of MKV": Video(cut_off(0.6, form="matroska"), "breaks off", name="clip.mkv"),
    "a copy that broke off, of WebM": Video(cut_off(0.6, form="webm", codec="libvpx"), "breaks off", name="clip.webm"),
    "a copy that broke off, of AVI": Video(cut_off(0.6, form="avi", codec="mpeg4"), "does not decode", name="clip.avi"),
    "empty": Video(lambda: b"", "clip.mp4"),
    "zeros": Video(lambda: bytes(5000), "clip.mp4"),
    "noise": Video(lambda: np.random.default_rng(0).bytes(5000), "no video that can be read"),
    "text": Video(lambda: b"no video at all, " * 300, "no video that can be read"),
    "a picture": Video(still("PNG"), "no video that can be read"),
    "a picture of its suffix": Video(still("GIF"), "no video that can be read", name="clip.mov"),
    "sound alone": Video(sound_alone, "has no picture, only sound"),
    "a playlist": Video(lambda: b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "no video that can"),
    "larger than any": Video(with_size(20_000, 20_000), "the limit|no picture in it can be decoded", name="clip.avi"),
    "too small for the network": Video(made(width=4, height=4, codec="mpeg4"), size=(64, 64)),
    "a ribbon": Video(made(width=640, height=2, codec="mpeg4"), "too narrow|narrow"),
}


def chosen(is_long: bool) -> dict[str, Video]:
    return dict(list(VIDEOS.items())[:: 1 if is_long else SAMPLE])


def test_any_video_ends_in_a_sentence_or_a_right_result(place: Place, is_long: bool) -> None:
    videos = chosen(is_long)
    place.photo("painting.png", seed=2)
    for number, one in enumerate(videos.values()):
        folder = place.inbox / f"v{number}"
        folder.mkdir()
        (folder / one.name).write_bytes(one.make())
        (folder / "painting.png").write_bytes((place.inbox / "painting.png").read_bytes())
        place.manifest("job.yaml", folder=folder, content=one.name, parameters=QUICK)
    done = place.run("run", "--input-timeout", "0.5", timeout=600)
    assert done.returncode == (1 if any(one.said for one in videos.values()) else 0), done.stderr
    assert "Traceback" not in done.stderr
    logs = {log["job"]["name"]: log for log in place.logs()}
    wrong = {}
    for number, (kind, one) in enumerate(videos.items()):
        if said := _wrong(one, logs[f"v{number}"], place):
            wrong[kind] = said
    assert not wrong
    assert len(logs) == len(videos)
    assert place.leftovers() == []


def _wrong(one: Video, log: dict[str, Any], place: Place) -> str:
    """What is not as it is to be."""
    if one.said:
        is_told = any(part in (log["error"] or "") for part in one.said.split("|"))
        return "" if log["status"] == "failed" and is_told else f"{log['status']}: {log['error']}"
    if log["status"] != "done":
        return str(log["error"])
    with av.open(str(place.result(log))) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(place.result(log))) as container:
        tracks = [track.codec_context.name for track in container.streams.audio]
    height, width = frames[0].shape[:2]
    if one.frames is not None and len(frames) != one.frames:
        return f"{len(frames)} frames"
    if (width, height) != one.size:
        return f"{width}×{height}"
    if one.sound and [track.removesuffix("float") for track in tracks] != [one.sound]:
        return f"sound: {tracks}"
    return ""


BATCH = ("clip", "shot")
OF_CLIPS = ("content.", ".mp4", "shot.frames", "pictures/shot")  # in steps of the runner that photos have no like of


def drop_batch(place: Place) -> None:
    """A video with a cut and sound, and a folder of frames."""
    place.photo("painting.png", seed=2)

    def draw(number: int) -> Any:
        return halves(number) if number < 2 else np.asarray(picture(64, 48, seed=9).convert("RGB"))

    (place.inbox / "clip.mp4").write_bytes(video(count=4, sound="aac", draw=draw))
    shot = place.inbox / "shot"
    shot.mkdir()
    for number in range(2):
        Image.fromarray(halves(number)).save(shot / f"{number}.png")
    place.manifest("clip.yaml", content="clip.mp4", parameters=QUICK)
    place.manifest("shot.yaml", content="shot", frames=True, parameters=QUICK)


def digests(place: Place) -> dict[str, str]:
    """Of each job's result, each of which there is one."""
    logs = place.logs()
    assert [log["status"] for log in logs] == ["done"] * len(BATCH), [log["error"] for log in logs]
    assert sorted(log["job"]["name"] for log in logs) == list(BATCH)
    assert [log["loss"]["step"] for log in logs if log["job"]["name"] == "clip"] == [list(range(1, 7))]
    assert place.leftovers() == []
    return {log["job"]["name"]: log["output"]["sha256"] for log in logs}


class Unharmed(NamedTuple):
    steps: list[str]
    digests: dict[str, str]


@pytest.fixture(scope="session")
def unharmed(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> Callable[[str], Unharmed]:
    """The steps that a role takes over the batch, and what comes of it."""

    @functools.cache
    def of(role: str) -> Unharmed:
        place = Place(tmp_path_factory.mktemp(role), tiny_weights)
        drop_batch(place)
        place.run("run", "--checkpoint-seconds", "0", environment=faulty(place, role, 0))
        return Unharmed(steps(place), digests(place))

    return of


@pytest.mark.parametrize("role", ["runner", "worker"])
def test_a_kill_at_any_step_of_a_clip_goes_on_to_the_same_bytes(
    tmp_path: Path, tiny_weights: Path, unharmed: Callable[[str], Unharmed], role: str, part: int, is_long: bool
) -> None:
    if not is_long:
        pytest.skip("with --long")
    taken, wanted = unharmed(role)
    assert len(taken) > 20
    chosen = [at for at, step in enumerate(taken, 1) if role == "worker" or any(mark in step for mark in OF_CLIPS)]
    for at in chosen[part::PARTS]:
        place = Place(tmp_path / str(at), tiny_weights)
        drop_batch(place)
        environment = faulty(place, role, at)
        killed = place.run("run", "--checkpoint-seconds", "0", environment=environment)
        if killed.returncode == -signal.SIGKILL:
            done = place.run("run", environment={**environment, "FAULT_ROOT": ""})
            assert done.returncode == 0, (steps(place)[-1], done.stderr)
        assert digests(place) == wanted, steps(place)[-1]
    print(f"kills survived: {len(chosen[part::PARTS])} of {len(taken)} steps of the {role}, clips")
