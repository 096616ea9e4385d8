"""Videos: reading what people really drop, a frame at a time. Only this, ``containers`` and ``mp4`` import PyAV."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.errors import HugeFileError, ImageError, IncompleteImageError
from pipeline.pictures import boxes, containers, shown_frame

if TYPE_CHECKING:
    from av import Packet, VideoStream
    from av.container import InputContainer


MISSING_SECONDS = 0.25  # that a file which says its length may be short of it
ORDINARY_RATE = Fraction(25)  # a second
TICKS = 90_000  # a second
MOST_GAP = (2**31 - 1) / TICKS  # seconds that MP4 can have from one frame to the next
LEAST_RATE, MOST_RATE = Fraction(1, 1001), Fraction(240)
MOST_FRAMES = 4_000_000  # of a film, each of whose times is held: a day and a half
MOST_TAKEN = 4  # times a file's size that its packets may have: some containers leave out what each begins with
MOST_BESIDE_BYTES = 1 << 30  # that a file has beside a fourth of them, such as what a camera or a cut leaves in it
# FFmpeg's codecs whose black may be zeros, as a file's part is that is not written yet
UNCOMPRESSED = ("rawvideo", "r210", "r10k", "v210", "v308", "v408", "v410", "y41p", "yuv4", "avrp", "avui", "cljr")
GUESSED = ("h264", "hevc")  # codecs of which FFmpeg finds the times of moved frames by guessing, where AVI has none
REORDERED = 32  # shown frames, the earliest of which is among so many first packets; H.265 moves one by 16 at most
COVER = 0x0400  # FFmpeg's AV_DISPOSITION_ATTACHED_PIC
INSTALL = "pip install 'stylistic[video]'"

Levels = npt.NDArray[np.uint8]


Kind = Literal["photo", "video", "animation", "series"]  # a series is a folder of numbered frames


class Film(NamedTuple):
    """A video, or another picture, as it is shown: its upright width and height in pixels, its frames, its length."""

    width: int
    height: int
    frames: int = 1
    seconds: float = 0.0  # 0 where it has none, or does not say
    kind: Kind = "photo"
    times: Sequence[float] = ()  # of a video, when each frame is shown, in seconds from the first one


class Filmed(NamedTuple):
    """A frame: RGB ``[H, W, 3]`` uint8, when it is shown, in seconds from the first one, its alpha where that is to be
    given back, ``[H, W]`` uint8, and for how many seconds it is shown where that is more than others are or told."""

    time: Fraction
    levels: Levels
    alpha: Levels | None = None
    lasts: Fraction | None = None


def missing() -> str:
    """Which package that videos take is not installed; empty if all are."""
    packages = {"av": "PyAV", "cv2": "OpenCV"}
    return next((told for name, told in packages.items() if importlib.util.find_spec(name) is None), "")


def verify(file: BinaryIO, name: str, max_pixels: int) -> Film:
    """Read a video to its end, its first frame decoded, and tell what it is.

    Args:
        file: its bytes.
        name: what errors call it.
        max_pixels: of a frame; larger ones are refused.

    Raises:
        IncompleteImageError: it breaks off, as a file does that is still being copied.
        HugeFileError: nearly all of the file is something else than film.
        ImageError: it is no video of a known format, or has no picture, or PyAV or OpenCV is not there.
    """
    size = file.seek(0, io.SEEK_END)
    if sum(boxes.samples(file)) > size:  # of each some bytes of memory are taken as soon as it is opened
        if containers.says_more(file):
            raise IncompleteImageError(f"{name}: breaks off.", "Copy the file again.")
        raise ImageError(f"{name}: says to have more frames than it has bytes.", "Save it again as MP4.")
    with opened(file, name) as container:
        if not container.streams.video and containers.breaks_off(file):
            raise IncompleteImageError(f"{name}: breaks off.", "Copy the file again.")
        stream = _video(container, name, max_pixels)
        unit = stream.time_base or Fraction(1)
        stamps, last, there, taken = array("q"), 0.0, 0, 0  # of the shown frames, in that unit; seconds; packets; bytes
        for packet in _whole_packets(container, stream, name):
            taken += packet.size
            if taken > MOST_TAKEN * size:
                raise ImageError(f"{name}: its frames lie over one another.", "Save it again as MP4.")
            if packet.pts is not None:
                last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream is stream:
                there += 1
                if not packet.is_discard:
                    stamps.append(_stamp(packet, stamps, stream))
                if there > MOST_FRAMES:
                    raise ImageError(f"{name}: has more than {MOST_FRAMES:,} frames.", "Cut it into shorter ones.")
        if containers.says_more(file) or _frames_told(stream) > there or last < _end_told(container):
            raise IncompleteImageError(f"{name}: breaks off after {last:.1f} s.", "Copy the file again.")
        if size > MOST_TAKEN * taken + MOST_BESIDE_BYTES:  # as a sparse file may: it is not even to be copied
            told = f"its file has {size / 1e9:,.1f} GB, and what is filmed in it {taken / 1e9:,.1f} GB"
            raise HugeFileError(f"{name}: {told}.", "Save it again as MP4.")
    file.seek(0)
    picture = next(frames_of(file, name, max_pixels), None)
    if picture is None:
        raise ImageError(f"{name}: no picture in it can be decoded.", "Save it again as MP4.")
    height, width = picture.levels.shape[:2]
    first = min(stamps[:REORDERED])
    times = array("d", [(stamp - first) * unit.numerator / unit.denominator for stamp in sorted(stamps)])
    if any(after - before > MOST_GAP for before, after in itertools.pairwise(times)):
        raise ImageError(f"{name}: has frames more than {MOST_GAP / 3600:.1f} hours apart.", "Save it again as MP4.")
    return Film(width, height, len(times), last - float(first * unit), "video", times)


def begin(file: BinaryIO, name: str) -> Fraction:
    """When the first of a video's frames is shown, by its file's clock, in seconds; errors as ``verify``."""
    stamps: list[int] = []
    with opened(file, name) as container:
        stream = shown(container, name)
        unit = stream.time_base or Fraction(1)
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                stamps.append(_stamp(packet, stamps, stream))
            if len(stamps) == REORDERED:
                break
    return min(stamps, default=0) * unit


def frames_of(
    file: BinaryIO,
    name: str,
    max_pixels: int,
    long_side: int | None = None,
    start: float | None = None,
    end: float | None = None,
) -> Iterator[Filmed]:
    """The frames of a video one after another, upright, in sRGB, of square pixels; transparent parts are grey.

    What cannot be decoded is left out. Errors as ``verify``.

    Args:
        file: its bytes.
        name: what errors call it.
        max_pixels: of a frame.
        long_side: pixels, to which they are ``scaled``; None to leave them.
        start: seconds; frames before are left out.
        end: seconds; that frame and those behind it are left out.
    """
    first = begin(file, name)
    with opened(file, name) as container:
        import av

        stream = _video(container, name, max_pixels)
        stream.thread_type, context = "AUTO", stream.codec_context
        context.options = {"max_pixels": str(max_pixels)}  # which a later frame may have more of
        step = _step(stream)
        tells_times = container.format.name != "avi" or not (context.has_b_frames and context.name in GUESSED)
        since, over = (None if at is None else moment(at) for at in (start, end))
        time, size = -step, None  # before the first
        for packet in container.demux(stream):
            with contextlib.suppress(av.error.InvalidDataError):  # the next one may be whole
                for frame in packet.decode():
                    at = Fraction(frame.pts) * (frame.time_base or 1) - first if frame.pts is not None else None
                    # Where no time is told, or it goes backwards, a frame follows the one before it.
                    time = at if at is not None and at > time and tells_times else time + step
                    if over is not None and time >= over:
                        return
                    if since is None or time >= since:
                        _require_size(frame.width, frame.height, name, max_pixels)
                        size = size or shown_frame.size(frame, stream)
                        levels = shown_frame.levels(frame, *size)
                        lasts = Fraction(0 if context.has_b_frames else frame.duration) * (frame.time_base or 1)
                        lasts = lasts if over is None else min(lasts, over - time)
                        lasting = lasts if lasts > 2 * step else None
                        yield Filmed(time, levels if long_side is None else scaled(levels, long_side), None, lasting)


def moment(seconds: float) -> Fraction:
    """A time that is asked for, as it is compared with those of frames."""
    return Fraction(seconds).limit_denominator(TICKS)


def rate(file: BinaryIO, name: str) -> Fraction:
    """Frames a second, about. Errors as ``verify``."""
    with opened(file, name) as container:
        said = shown(container, name).average_rate or ORDINARY_RATE
    return min(max(Fraction(said).limit_denominator(1001), LEAST_RATE), MOST_RATE)


def scaled(levels: Levels, long_side: int, to: int = 2) -> Levels:
    """A frame at ``long_side`` pixels by Lanczos's filter, both its sides being even, as yuv420p has them, or multiples
    of another number."""
    height, width = levels.shape[:2]
    return shown_frame.resized(levels, *scaled_size(width, height, long_side, to))


def scaled_size(width: int, height: int, long_side: int, to: int = 2) -> tuple[int, int]:
    """Width and height of a frame that is ``scaled``."""
    ratio = long_side / max(width, height)
    return max(to, to * round(width * ratio / to)), max(to, to * round(height * ratio / to))


@contextlib.contextmanager
def opened(file: BinaryIO, name: str) -> Iterator[InputContainer]:
    """A video's container. Errors as ``verify``."""
    if package := missing():
        raise ImageError(f"{name}: videos take {package}, which is not installed.", f"`{INSTALL}`")
    with containers.told(file, name), containers.opened(file) as container:
        yield container


def _whole_packets(container: InputContainer, stream: VideoStream, name: str) -> Iterator[Packet[Any]]:
    """The packets of a file of which a stream is shown; errors as ``verify``."""
    may_be_zeros = stream.codec_context.codec.canonical_name in UNCOMPRESSED
    for packet in container.demux():
        if packet.stream is stream and not may_be_zeros and _is_zeros(packet):
            raise IncompleteImageError(f"{name}: a part of it is zeros.", "Copy the file again.")
        if packet.size:
            yield packet


def _is_zeros(packet: Packet[Any]) -> bool:
    return packet.size > 64 and not any(memoryview(packet)[:64]) and bytes(packet).count(0) == packet.size


def _stamp(packet: Packet[VideoStream], before: Sequence[int], stream: VideoStream) -> int:
    """When a frame is shown, in the stream's unit; one that does not say follows that before it."""
    if packet.pts is not None:
        return packet.pts
    return before[-1] + round(_step(stream) / (stream.time_base or 1)) if before else 0


def _frames_told(stream: VideoStream) -> int:
    """How many frames a file says to have of a stream; 0 where it does not."""
    if "mov" in stream.container.format.name:  # whose edit list may leave some of them out
        return min(stream.frames, len(stream.index_entries))
    return stream.frames


def _end_told(container: InputContainer) -> float:
    """Seconds, before which a file does not end that is whole; 0 where it does not say."""
    start = (container.start_time or 0) / 1e6
    if "matroska" in container.format.name:  # where a length is from 0 on, wherever the first frame is
        start = min(start, 0.0)
    said = container.duration / 1e6 + start if container.duration else 0.0
    return said - max(MISSING_SECONDS, 0.005 * said)


def shown(container: InputContainer, name: str) -> VideoStream:
    """The stream that is shown: the first that is no cover of a song. Errors as ``verify``."""
    found = next((stream for stream in container.streams.video if not stream.disposition & COVER), None)
    if found is None:
        raise ImageError(f"{name}: has no picture, only {'sound' if container.streams.audio else 'other data'}.")
    return found


def _video(container: InputContainer, name: str, max_pixels: int) -> VideoStream:
    """``shown``, of a size that may be."""
    stream = shown(container, name)
    context = stream.codec_context
    if context is None:
        raise ImageError(f"{name}: coded in a way that is not known here.", "Save it again as MP4 (H.264).")
    _require_size(context.width, context.height, name, max_pixels)
    return stream


def _step(stream: VideoStream) -> Fraction:
    """Seconds from one frame to the next where no times are told."""
    return 1 / (stream.average_rate or ORDINARY_RATE)


def _require_size(width: int, height: int, name: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: frames of {width}×{height} pixels; the limit is {max_pixels:,} (--max-pixels).",
            "Make it smaller, or raise the limit.",
        )
