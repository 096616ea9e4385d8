"""How long work takes: arithmetic over what was painted here, and over recorded logs of real jobs."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.forecast.paces import FIXED_PIXELS, Device, Estimate, Measured, Pace, Paces
from pipeline.forecast.words import counted, spoken, told
from pipeline.forecast.work import Painting, paintings_of
from pipeline.jobs.losses import Loss
from pipeline.jobs.record import Job, JobImage, now
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.parse import parse_manifest

KIND = "CPU, auto, wasserstein, lbfgs"
RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))
SMALL, LARGE = 120 * 160, 240 * 320  # pixels of the pictures below, at their two scales


def known(file: Path, *steps: tuple[int, float], start_seconds: float = 8.0, other_seconds: float = 0.0) -> Paces:
    """What is known of this machine: the seconds of steps by their pixels."""
    rates = {round(math.log2(pixels)): seconds / (pixels + FIXED_PIXELS) for pixels, seconds in steps}
    device = Device(name="CPU", precision="bfloat16", start_seconds=start_seconds)
    pace = Pace(rates=rates, other_seconds=other_seconds)
    storage.write_json(file, Measured(devices={"auto": device}, paces={KIND: pace}).model_dump(mode="json"))
    return Paces(file)


def losses(*stretches: tuple[int, int, float], slow: float = 0.0) -> list[Loss]:
    """A log by (long side, steps, seconds of a step); the first step of each scale takes ``slow`` longer."""
    found: list[Loss] = []
    seconds = 0.0
    for side, steps, each in stretches:
        for number in range(steps):
            seconds += each + (slow if number == 0 else 0)
            found.append(loss(1 + len(found), side, seconds))
    return found


def loss(step: int, side: int, seconds: float) -> Loss:
    return Loss(step=step, scale=side, total=1, content=0, style=1, total_variation=0, seconds=seconds)


def job(text: str, width: int = 400, height: int = 300) -> Job:
    manifest = parse_manifest(f"content: a.png\nstyle: b.png\n{text}".encode(), "a.yaml")
    images = {
        part: JobImage(file=file, stored=f"{part}.png", sha256="0" * 64, width=width, height=height)
        for part, file in manifest.images.items()
    }
    return Job(
        id="a-20260101-000000-0000",
        name="a",
        claimed_at=now(),
        manifest=manifest,
        images=images,
        steps=manifest.steps,
        attempts=1,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pace.json"


class TestWork:
    def test_each_scale_has_its_pixels_and_its_steps_and_one_to_begin_it(self) -> None:
        parameters = Parameters(image_size=320, pyramid={160: 6, 320: 3})
        aheads = {done: list(Painting(parameters, 4000, 3000, done).ahead()) for done in (0, 2, 6, 7, 9)}
        assert aheads == {
            0: [(SMALL, 7), (LARGE, 4)],
            2: [(SMALL, 4), (LARGE, 4)],
            6: [(LARGE, 4)],
            7: [(LARGE, 2)],
            9: [],
        }


class TestEstimate:
    OFF = Parameters(epochs=1, steps_per_epoch=9, image_size=320, pyramid="off")

    def test_pictures_are_their_steps_and_what_is_beside_them(self, file: Path) -> None:
        found = known(file, (SMALL, 0.1), (LARGE, 0.4), other_seconds=0.5)
        assert found.estimate([Painting(self.OFF, 400, 300)] * 2) == Estimate(8 + 2 * (0.5 + 10 * 0.4), "CPU", False)
        warm = found.estimate([Painting(self.OFF, 400, 300)] * 2, workers=2, is_warm=True)
        assert warm == Estimate(0.5 + 10 * 0.4, "CPU", False)

    def test_another_size_is_reckoned_from_the_nearest_and_said_to_be(self, file: Path) -> None:
        large = self.OFF.model_copy(update={"image_size": 4096})
        found = known(file, (SMALL, 0.1), (LARGE, 0.4)).estimate([Painting(large, 400, 300)], is_warm=True)
        assert found is not None and found.is_reckoned
        pixels = 4096 * 3072
        assert found.seconds == pytest.approx(10 * 0.4 * (pixels + FIXED_PIXELS) / (LARGE + FIXED_PIXELS))

    @pytest.mark.parametrize("change", [{"precision": "float32"}, {"optimizer": "adam"}, {"style_loss": "gram"}])
    def test_another_kind_is_another_matter(self, file: Path, change: dict[str, str]) -> None:
        other = Painting(self.OFF.model_copy(update=change), 400, 300)
        found = known(file, (LARGE, 0.4))
        assert found.estimate([Painting(self.OFF, 400, 300), other]) is None
        assert Paces(file, "gpu").estimate([Painting(self.OFF, 400, 300)]) is None

    def test_of_nothing_and_without_a_file_nothing_is_said(self, file: Path) -> None:
        assert known(file, (LARGE, 0.4)).estimate([]) is None
        assert Paces(None).estimate([Painting(self.OFF, 400, 300)]) is None


class TestNoting:
    PICTURE = Painting(Parameters(image_size=320, pyramid={160: 4, 320: 3}), 400, 300)
    SEEN = losses((160, 4, 0.1), (320, 3, 0.5), slow=0.2)

    def test_what_a_picture_took_is_what_the_next_is_told_to_take(self, file: Path) -> None:
        Paces(file).note("CPU", "float32", self.PICTURE, self.SEEN, 12.0, is_first=True)
        found = Paces(file).estimate([self.PICTURE])
        assert found is not None and found.seconds == pytest.approx(12)
        Paces(file).note("CPU", "float32", self.PICTURE, self.SEEN, 3.0, is_first=False)
        found = Paces(file).estimate([self.PICTURE], is_warm=True)
        assert found is not None and found.seconds == pytest.approx(3)

    def test_much_memory_is_told_once_it_is_known_what_paints_and_in_which_precision(self, file: Path) -> None:
        small, wall = (Painting(Parameters(image_size=side), 4000, 3000) for side in (512, 7016))
        assert Paces(file).much_memory([wall]) is None
        told = []
        for precision in ("float32", "bfloat16"):
            Paces(file).note("CPU", precision, self.PICTURE, self.SEEN, 3.0, is_first=False)
            assert Paces(file).much_memory([small]) is None
            told.append(Paces(file).much_memory([small, wall]) or 0)
        assert told[0] > told[1] > 5e9

    def test_what_is_new_counts_half(self, file: Path) -> None:
        for each in (0.1, 0.3):
            Paces(file).note(
                "CPU", "float32", self.PICTURE, losses((160, 4, each), (320, 3, each)), 0.0, is_first=False
            )
        found = Paces(file).estimate([self.PICTURE], is_warm=True)
        assert found is not None and found.seconds == pytest.approx(9 * 0.2)

    def test_a_print_in_strips_and_a_whole_picture_of_the_size_of_its_scales_have_paces_of_their_own(
        self, file: Path
    ) -> None:
        parameters = Parameters(image_size=4096, pyramid={2048: 4, 4096: 3})
        wall, room = (Painting(parameters.model_copy(update={"image_size": side}), 400, 300) for side in (4096, 2048))
        strips, whole = losses((2048, 4, 15.0), (4096, 3, 60.0)), losses((2048, 4, 10.0))
        Paces(file).note("CPU", "bfloat16", wall, strips, 315.0, is_first=False)
        first = Paces(file).estimate([room], is_warm=True)
        assert first is not None and first.seconds == pytest.approx(8 * 15)
        for _ in range(2):
            Paces(file).note("CPU", "bfloat16", room, whole, 80.0, is_first=False)
            Paces(file).note("CPU", "bfloat16", wall, strips, 315.0, is_first=False)
        found = [Paces(file).estimate([one], is_warm=True) for one in (room, wall)]
        assert [one and one.seconds for one in found] == [pytest.approx(80), pytest.approx(315)]

    def test_of_a_picture_that_went_on_only_what_was_left_took_the_time(self, file: Path) -> None:
        went_on = Painting(self.PICTURE.parameters, 400, 300, done=4)
        Paces(file).note("CPU", "float32", went_on, self.SEEN, 4 * 0.5 + 6, is_first=True)
        device = Paces(file).device
        assert device is not None and device.start_seconds == pytest.approx(6)

    @pytest.mark.parametrize(
        "damage",
        [b"", b"\0" * 99, b'{"paces": {"a": {"rates": {}}}}', b'{"devices": 3}', b"[]", b'{"points": []}'],
    )
    def test_a_damaged_file_is_as_none_and_is_written_anew(self, file: Path, damage: bytes) -> None:
        file.write_bytes(damage)
        assert Paces(file).measured == Measured()
        Paces(file).note("CPU", "float32", self.PICTURE, self.SEEN, 3.0, is_first=False)
        assert Paces(file).measured.paces.keys() == {KIND}

    def test_a_folder_that_cannot_be_written_is_no_fault(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        Paces(tmp_path / "file" / "pace.json").note("CPU", "float32", self.PICTURE, self.SEEN, 3.0, is_first=False)
        assert Paces(tmp_path / "file" / "pace.json").measured == Measured()


class TestTimeLeft:
    """On a picture of 320 px in two scales, 40 steps at 160 and 20 at 320 px."""

    JOB = job("parameters: {image_size: 320, pyramid: {160: 40, 320: 20}}")

    @pytest.fixture
    def measured(self, file: Path) -> Paces:
        return known(file, (SMALL, 0.1), (LARGE, 0.5))

    def test_coarse_steps_do_not_promise_as_much_for_fine_ones(self, measured: Paces) -> None:
        assert measured.left(self.JOB, losses((160, 10, 0.1))) == pytest.approx(30 * 0.1 + 21 * 0.5)

    @pytest.mark.parametrize(("since", "made"), [(0.04, 0.04), (0.1, 0.1), (60.0, 0.1)])
    def test_of_the_step_under_way_what_has_passed_is_not_told_again_and_never_more_than_it_takes(
        self, measured: Paces, since: float, made: float
    ) -> None:
        left = measured.left(self.JOB, losses((160, 10, 0.1)), since_newest=since)
        assert left == pytest.approx(30 * 0.1 - made + 21 * 0.5)

    def test_a_job_that_is_slower_today_is_slower_at_the_next_scale_too(self, measured: Paces) -> None:
        assert measured.left(self.JOB, losses((160, 10, 0.2))) == pytest.approx(30 * 0.2 + 21 * 1.0)

    @pytest.mark.parametrize("steps", [2, 3])
    def test_a_moment_s_hindrance_says_nothing_of_the_rest(self, measured: Paces, steps: int) -> None:
        left = measured.left(self.JOB, losses((160, steps, 0.4)))
        assert left == pytest.approx((40 - steps) * 0.1 + 21 * 0.5)

    def test_the_first_step_of_a_process_that_goes_on_within_a_scale_is_not_foretold_again(
        self, measured: Paces
    ) -> None:
        seen = losses((160, 30, 0.1))
        for seconds in (2.4, 0.1, 0.1):
            seen.append(loss(seen[-1].step + 1, 160, seen[-1].seconds + seconds))
            left = measured.left(self.JOB, seen[-4:])
            assert left == pytest.approx((40 - seen[-1].step) * 0.1 + 21 * 0.5)

    def test_without_anything_known_its_own_steps_and_pixels_count(self) -> None:
        left = Paces(None).left(self.JOB, losses((160, 10, 0.1), slow=9.0))
        assert left == pytest.approx(30 * 0.1 + 21 * 0.1 * (LARGE + FIXED_PIXELS) / (SMALL + FIXED_PIXELS))
        left = Paces(None).left(self.JOB, losses((160, 40, 0.1), (320, 5, 0.5), slow=9.0))
        assert left == pytest.approx(15 * 0.5)

    def test_one_slow_step_at_a_scale_that_was_never_painted_says_nothing_of_it(self) -> None:
        seen = losses((160, 40, 0.1), (320, 1, 0.5))
        calm = 0.1 * (LARGE + FIXED_PIXELS) / (SMALL + FIXED_PIXELS)
        for count, expected in ((1, 18 * calm), (2, 17 * calm), (3, 16 * 9.0)):
            slow = [loss(41 + n, 320, seen[-1].seconds + 9.0 * n) for n in range(1, count + 1)]
            assert Paces(None).left(self.JOB, [*seen, *slow]) == pytest.approx(expected)

    def test_before_the_second_step_nothing_is_said_unless_it_is_known(self, measured: Paces) -> None:
        for seen in ([], losses((160, 1, 9.0))):
            assert Paces(None).left(self.JOB, seen) is None
            assert measured.left(self.JOB, seen) == pytest.approx((40 - len(seen) + (not seen)) * 0.1 + 21 * 0.5)

    def test_the_time_between_two_attempts_does_not_count(self, measured: Paces) -> None:
        seen = [*losses((160, 10, 0.1)), *(loss(11 + n, 160, 7 + 0.1 * n) for n in range(10))]
        assert measured.left(self.JOB, seen) == pytest.approx(20 * 0.1 + 21 * 0.5)

    def test_what_lies_between_a_clips_frames_counts_for_those_to_come(self) -> None:
        clip = job("parameters: {image_size: 320, pyramid: off, epochs: 1, steps_per_epoch: 10, frame_steps: 4}")
        images = clip.images | {"content": clip.images["content"].model_copy(update={"frames": 9})}
        clip = clip.model_copy(update={"images": images, "steps": 10 + 8 * 4})
        seen = losses((320, 10, 0.5))
        for number in range(8):  # frames 2 and 3, 3 s after the one before
            seconds = seen[-1].seconds + (3.5 if number in (0, 4) else 0.5)
            seen.append(loss(11 + number, 320, seconds).model_copy(update={"frame": 2 + number // 4}))
        assert Paces(None).left(clip, seen) == pytest.approx(6 * (4 * 0.5 + 3.0))

    def test_a_sweep_counts_the_variants_to_come(self) -> None:
        sweep = job("parameters: {image_size: 320, pyramid: {160: 4, 320: 5}}\nsweep: {strength: [1, 2, 3]}")
        first = losses((160, 4, 0.1), (320, 5, 0.5))
        seen = [*first, *(one.model_copy(update={"picture": 2}) for one in losses((160, 3, 0.1)))]
        assert Paces(None).left(sweep, seen) == pytest.approx((1 * 0.1 + 6 * 0.5) + (5 * 0.1 + 6 * 0.5))

    def test_of_a_sweep_two_pictures_at_once_take_half_as_long_but_none_less_than_its_own_time(
        self, measured: Paces
    ) -> None:
        sweep = job("parameters: {image_size: 320, pyramid: {160: 4, 320: 3}}\nsweep: {strength: [1, 2, 3]}")
        first, second = losses((160, 3, 0.1)), losses((160, 3, 0.1))
        turns = zip(first, (one.model_copy(update={"picture": 2}) for one in second), strict=True)
        seen = [loss for both in turns for loss in both]
        begun, whole = 0.1 + 4 * 0.5, 5 * 0.1 + 4 * 0.5
        assert measured.left(sweep, seen, at_once=2) == pytest.approx((begun * 2 + whole) / 2)
        assert measured.left(sweep, seen, at_once=9) == pytest.approx(whole)

    @pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
    @pytest.mark.parametrize("is_first", [True, False], ids=["first here", "known"])
    def test_of_real_jobs_it_holds_within_a_fifth_from_a_tenth_on(self, file: Path, path: Path, is_first: bool) -> None:
        """``recorded/`` has logs of real jobs on two busy cores: [step, long side, seconds] a line."""
        data = json.loads(path.read_text(encoding="utf-8"))
        painted = job(f"parameters: {json.dumps(data['parameters'])}", data["width"], data["height"])
        seen = [loss(*line) for line in data["log"]]
        if not is_first:
            (painting,) = paintings_of(painted)
            Paces(file).note("CPU", "float32", painting, seen, seen[-1].seconds, is_first=True)
        end = seen[-1].seconds
        steps = sorted(after.seconds - before.seconds for before, after in itertools.pairwise(seen))
        for number, at in list(enumerate(seen[:-1], 1))[len(seen) // 10 :]:
            left = Paces(file).left(painted, seen[:number])
            assert left is not None
            off = abs(left - (end - at.seconds))
            assert off < 0.2 * (end - at.seconds) + steps[-2], f"after step {at.step}"  # no step is cut in two


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (12.4, "12 s"),
        (63, "65 s"),
        (95, "2 min"),
        (3300, "55 min"),
        (12_000, "3 h 20 min"),
        (7_150, "2 h"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations_are_told_as_exactly_as_they_are_known(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_work_is_told_in_a_line() -> None:
    assert told(30, Estimate(3300, "CPU", is_reckoned=False)) == "30 pictures, about 55 min on this CPU"
    assert told(1, Estimate(30_000, "NVIDIA H200", is_reckoned=True)) == (
        "1 picture, about 8 h 20 min on this NVIDIA H200, reckoned from the nearest size that was painted here"
    )
    assert told(12, None, "frame").startswith("12 frames; ")
    assert told(1, None) == "1 picture; how long that takes is not measured yet on this machine"


def test_clips_are_counted_by_their_frames_where_there_is_nothing_else() -> None:
    photo = Painting(Parameters(), 640, 480)
    clip = Painting(Parameters(frame_steps=30), 640, 480, further_steps=330)
    assert counted([clip, clip]) == (24, "frame")
    assert counted([clip, photo]) == counted([clip], more=1) == (2, "picture")
    assert counted([]) == (0, "picture")
