"""Writing MP4, a frame at a time, with the sound of another video."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import struct
import uuid
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

from pipeline.pictures.clips import BUFFER_BYTES, ORDINARY_RATE, TICKS, Filmed, Handle, begin, opened
from pipeline.pictures.shown_frame import BT709

if TYPE_CHECKING:
    import av
    from av import AudioStream, Packet
    from av.container import InputContainer, OutputContainer

log = logging.getLogger(__name__)

CODECS = {"h264": "libx264", "h265": "libx265"}  # by what a manifest calls them
SOUND_OF_MP4 = ("aac", "mp3", "ac3", "eac3", "opus", "alac")  # which players find there, too
XMP = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac")  # of XMP's specification, part 3, 1.1.4
AAC_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)


def write(
    target: BinaryIO,
    frames: Iterable[Filmed],
    rate: Fraction = ORDINARY_RATE,
    codec: str = "h264",
    crf: int = 18,
    sound: BinaryIO | None = None,
    name: str = "",
    xmp: bytes = b"",
) -> None:
    """Write frames as MP4, ``yuv420p`` in BT.709; neither they nor the sound are held in memory.

    Args:
        target: a file that can be sought in.
        frames: of one even height and width, at least one; their times are kept, less the first one's.
        rate: frames a second, about, by which players are told what the file asks of them.
        codec: of ``CODECS``.
        crf: constant rate factor, 0 to 51; less is better and larger.
        sound: the video that the frames are of, whose sound is copied, or coded as AAC where MP4 does not hold it; None
            for silence.
        name: what is told of that.
        xmp: a packet that says how it was made.
    """
    import av

    coming = iter(frames)
    first = next(coming)
    second = list(itertools.islice(coming, 1))
    options = {"crf": str(crf)}
    if codec == "h264":
        options["x264-params"] = "cpu-independent=1"  # else its AVX-512 code gives one file in a thousand other bytes
    elif not second:
        options["x265-params"] = "bframes=0"  # of a frame alone x265 tells no time to decode it at, or any
    height, width = first.levels.shape[:2]
    since = (begin(sound, name) if sound else 0) + first.time
    with av.open(Handle(target), "w", "mp4", buffer_size=BUFFER_BYTES) as container, contextlib.ExitStack() as stack:
        stream = container.add_stream(CODECS[codec], rate=rate, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS)
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, BT709, 1, 1
        if codec == "h265":
            context.codec_tag = "hvc1"  # what Apple's players look for
        track = _Track.of(stack.enter_context(opened(sound, name)), container, since) if sound else None
        time = Fraction(0)
        for filmed in itertools.chain([first], second, coming):
            time = filmed.time - first.time
            picture = av.VideoFrame.from_ndarray(filmed.levels, format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=1)
            picture.pts, picture.time_base = round(time * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(picture))
            if track:
                track.follow(time)
        if track:
            track.follow(time + 1 / rate)
            track.end()
        container.mux(stream.encode())
    if xmp:
        target.seek(0, io.SEEK_END)
        target.write(struct.pack(">I4s", 24 + len(xmp), b"uuid") + XMP.bytes + xmp)


class _Track:
    """The sound of a video on its way into another."""

    def __init__(self, source: InputContainer, target: OutputContainer, given: AudioStream, begin: Fraction) -> None:
        import av

        self._target, self._begin = target, begin
        self._packets = source.demux(given)
        self._waiting: Packet[AudioStream] | None = None
        self._is_over = False
        self._resampler: av.AudioResampler | None = None
        if given.codec_context.codec.canonical_name in SOUND_OF_MP4:
            self._stream = target.add_stream_from_template(given)
        else:
            rate = given.rate if given.rate in AAC_RATES else 48_000
            self._stream = target.add_stream("aac", rate=rate, layout="mono" if given.channels == 1 else "stereo")
            self._resampler = av.AudioResampler("fltp", self._stream.layout, rate)

    @classmethod
    def of(cls, source: InputContainer, target: OutputContainer, begin: Fraction) -> _Track | None:
        """The first sound of a video from a time on, in seconds by its file's clock; None where there is none, or none
        that can be decoded."""
        import av

        found = next(iter(source.streams.audio), None)
        if found is None:
            return None
        try:
            return cls(source, target, found, begin)
        except (av.error.FFmpegError, ValueError, AttributeError) as error:
            log.warning("its sound is left out: %s", error)
            return None

    def follow(self, time: Fraction) -> None:
        """Copy what is heard up to a time, in seconds."""
        while not self._is_over:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None or not packet.size:
                self._is_over = True
                return
            at = None if packet.pts is None else Fraction(packet.pts) * packet.time_base - self._begin
            if at is not None and at >= time:
                self._waiting = packet
                return
            if at is None or at >= 0:
                self._take_if_it_can_be(packet, at)

    def _take_if_it_can_be(self, packet: Packet[AudioStream], at: Fraction | None) -> None:
        import av

        try:
            self._take(packet, at)
        except av.error.FFmpegError as error:  # a clip is not to be lost for its sound
            log.warning("from %.1f s on its sound is left out: %s", float(at or 0), error)
            self._is_over = True

    def _take(self, packet: Packet[AudioStream], at: Fraction | None) -> None:
        import av

        if self._resampler is None:
            shift = round(self._begin / packet.time_base)
            if packet.pts is not None:
                packet.pts -= shift
                packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            packet.stream = self._stream
            self._target.mux(packet)
            return
        with contextlib.suppress(av.error.InvalidDataError):
            for frame in packet.decode():
                frame.pts = None  # one after another
                for part in self._resampler.resample(frame):
                    self._target.mux(self._stream.encode(part))

    def end(self) -> None:
        """Write what is still held back."""
        if self._resampler is not None:
            self._target.mux(self._stream.encode())
