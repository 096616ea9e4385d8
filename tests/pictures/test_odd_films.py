"""Videos that are whole though they look broken, or whose clock does not begin with their first frame."""

from __future__ import annotations

import io
import json
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ImageError, IncompleteImageError
from pipeline.jobs import clips as clip_jobs
from pipeline.manifest.parse import parse_manifest
from pipeline.pictures import boxes, clips
from tests.conftest import SMALL
from tests.pictures.test_clips import read, verify, video, written

av = pytest.importorskip("av")


def no_b_frames(stream: Any) -> None:
    stream.codec_context.max_b_frames = 0


def keyframes_each(count: int) -> Any:
    def change(stream: Any) -> None:
        no_b_frames(stream)
        stream.codec_context.gop_size = count

    return change


def copied(data: bytes, since: float, form: str = "mp4") -> bytes:
    """The packets of a video with their clock at zero at a time, as a cut that codes nothing anew leaves it."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(buffer, "w", form) as target:
        given = source.streams.video[0]
        stream = target.add_stream_from_template(given)
        for packet in source.demux(given):
            if packet.size:
                packet.pts, packet.dts = (at - round(since / given.time_base) for at in (packet.pts, packet.dts))
                packet.stream = stream
                target.mux(packet)
    return buffer.getvalue()


def trimmed(data: bytes, seconds: float, since: float = 0.0) -> bytes:
    """An MP4 whose edit list shows that part of it alone."""
    at, clock = data.index(b"elst") + 12, struct.unpack(">I", data[data.index(b"mdhd") + 16 :][:4])[0]
    return data[:at] + struct.pack(">Ii", round(1000 * seconds), round(clock * since)) + data[at + 8 :]


def packets(data: bytes, kind: str = "video") -> list[Any]:
    with av.open(io.BytesIO(data)) as container:
        return [packet for packet in container.demux(**{kind: 0}) if packet.size]


DENSE = [*range(20), *range(20, 80, 10)]  # tenths of a second: a tenth apart, then a second
SPARSE = [*range(0, 60, 10), *range(60, 80)]


class TestTimes:
    @pytest.mark.parametrize("times", [DENSE, SPARSE])
    def test_times_that_are_counted_are_those_of_the_frames_that_are_shown(self, times: list[int]) -> None:
        """What is copied from a keyframe on has frames before its beginning, which nobody is shown."""
        data = copied(video(count=26, times=times, change=keyframes_each(300)), since=1.0)
        assert any(packet.is_discard for packet in packets(data))
        found = [filmed.time for filmed in read(data)]
        assert found[0] == 0 and len(found) == sum(time >= 10 for time in times)
        assert list(verify(data).times) == pytest.approx([float(time) for time in found])

    def test_of_a_part_as_many_are_counted_as_there_are(self) -> None:
        data = copied(video(count=26, times=DENSE, change=keyframes_each(300)), since=1.0)
        for start, end in ((0.0, 2.0), (0.5, None), (1.0, 4.0)):
            counted = clip_jobs._between(verify(data), start, end, "clip")
            assert counted == len(read(data, start=start, end=end))

    def test_moved_frames_in_avi_come_evenly(self) -> None:
        """AVI has no times, and FFmpeg's guesses go back and forth."""
        data = video(form="avi", count=20)
        assert [float(filmed.time) for filmed in read(data)] == pytest.approx([number / 10 for number in range(20)])
        assert list(verify(data).times) == pytest.approx([number / 10 for number in range(20)])

    def test_frames_that_were_not_counted_are_told(self) -> None:
        document = {"content": "clip.mp4", "style": "a.png", "parameters": SMALL}
        manifest = parse_manifest(json.dumps(document).encode(), "clip.json", "clip")

        class Job:
            kind, frames = "video", 4

        Job.manifest = manifest  # type: ignore[attr-defined]
        coming = clip_jobs.frames_of(io.BytesIO(video()), Job, 10**6)  # type: ignore[arg-type]
        with pytest.raises(ImageError, match=r"clip\.mp4: has more than the 4 frames that were counted"):
            list(coming)

    def test_where_the_first_frames_cannot_be_decoded_sound_stays_with_the_picture(self) -> None:
        data = bytearray(video(count=20, sound="aac", change=keyframes_each(5)))
        for packet in packets(bytes(data))[:5]:
            data[packet.pos + 4 : packet.pos + packet.size] = bytes([255]) * (packet.size - 4)
        assert [float(filmed.time) for filmed in read(bytes(data))[:2]] == pytest.approx([0.5, 0.6])
        heard = packets(written(bytes(data)), "audio")[0]
        meant = next(packet for packet in packets(bytes(data), "audio") if packet.pts * packet.time_base >= 0.5)
        assert bytes(heard) == bytes(meant)
        assert heard.pts * heard.time_base == meant.pts * meant.time_base - Fraction(1, 2)

    def test_a_songs_cover_in_front_is_not_the_film(self) -> None:
        """Its rate and its clock are its own."""
        data = with_cover(copied(video(count=20, sound="aac", change=no_b_frames), since=-1.0))
        with av.open(io.BytesIO(data)) as container:
            assert container.streams.video[0].disposition & clips.COVER
        assert clips.rate(io.BytesIO(data), "clip") == 10
        assert clips.begin(io.BytesIO(data), "clip") == 1


def with_cover(data: bytes) -> bytes:
    """An MP4 with a picture for a player's list, which stands before its tracks."""
    picture = io.BytesIO()
    with av.open(picture, "w", "image2pipe") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())

    def box(kind: bytes, *inner: bytes) -> bytes:
        body = b"".join(inner)
        return struct.pack(">I4s", 8 + len(body), kind) + body

    cover = box(b"covr", box(b"data", struct.pack(">II", 13, 0), picture.getvalue()))
    handler = box(b"hdlr", bytes(8), b"mdirappl", bytes(9))
    told = box(b"udta", box(b"meta", bytes(4), handler, box(b"ilst", cover)))
    moov = next(one for one in boxes.boxes(io.BytesIO(data)) if one.kind == b"moov")
    at = data.index(b"moov") + 4
    inside = told + data[at : moov.end]
    return data[: at - 8] + box(b"moov", inside) + data[moov.end :]


class TestWhatLooksBroken:
    @pytest.mark.parametrize("since", [0.0, 1.5])
    def test_a_part_that_an_edit_list_shows_is_whole(self, since: float) -> None:
        data = trimmed(video(count=40, change=keyframes_each(10)), 2.0, since)
        assert verify(data).frames == 20 == len(read(data))

    @pytest.mark.parametrize(("form", "codec"), [("matroska", "libx264"), ("webm", "libvpx-vp9")])
    def test_one_that_begins_late_is_whole(self, form: str, codec: str) -> None:
        data = video(form=form, codec=codec, times=list(range(5, 25)), count=20)
        film = verify(data)
        assert film.frames == 20
        assert film.seconds == pytest.approx(2.0, abs=0.05)
        assert read(data)[0].time == 0
        with pytest.raises(IncompleteImageError):
            verify(data[: int(len(data) * 0.6)])

    def test_silence_is_not_a_part_that_is_missing(self) -> None:
        data = video(form="mov", sound="pcm_s16le", count=20)
        sound = packets(data, "audio")
        for packet in sound[:4]:
            data = data[: packet.pos] + bytes(packet.size) + data[packet.pos + packet.size :]
        assert verify(data).frames == 20

    def test_nor_is_black_of_pixels_that_are_not_compressed(self) -> None:
        data = video(form="avi", codec="rawvideo", pix_fmt="bgr24", draw=lambda _: np.zeros((48, 64, 3), np.uint8))
        assert not any(bytes(packets(data)[0]))
        assert verify(data)[:3] == (64, 48, 6)

    def test_a_frame_of_zeros_is(self) -> None:
        data = video(form="mov", codec="mjpeg", pix_fmt="yuvj420p")
        third = packets(data)[2]
        with pytest.raises(IncompleteImageError, match="a part of it is zeros"):
            verify(data[: third.pos] + bytes(third.size) + data[third.pos + third.size :])
