"""A print on paper: a side in cm and the dpi say the pixels, once the photo is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.jobs import variants
from pipeline.jobs.record import Job, JobImage, now
from pipeline.jobs.unfit import unfit
from pipeline.manifest.model import Manifest
from pipeline.manifest.parse import parse_manifest
from tests.manifest.conftest import MINIMAL, parse, problems

LANDSCAPE, PORTRAIT = (4000, 3000), (3000, 4000)


def of(paper: str, more: str = "") -> Manifest:
    return parse(MINIMAL + f"parameters: {{print: {paper}{more}}}\n")


def told(manifest: Manifest, photo: tuple[int, int]) -> str:
    return unfit(manifest, {"a.jpg": photo, "b.jpg": (800, 600)})


@pytest.mark.parametrize(
    ("paper", "photo", "side"),
    [
        ("{width_cm: 90, dpi: 300}", LANDSCAPE, 10630),
        ("{width_cm: 90, dpi: 300}", PORTRAIT, 14173),
        ("{height_cm: 90, dpi: 300}", LANDSCAPE, 14173),
        ("{height_cm: 90, dpi: 300}", PORTRAIT, 10630),
        ("{width_cm: 59.4}", (7016, 4961), 7016),
        ("{width_cm: 2.54, dpi: 150}", (100, 100), 150),
    ],
)
def test_a_side_in_cm_is_so_many_pixels_of_the_photos_long_side(paper: str, photo: tuple[int, int], side: int) -> None:
    sized = of(paper).sized(*photo).parameters
    assert (sized.image_size, sized.style_size) == (side, side)
    assert told(of(paper), photo) == ""


def test_the_painting_keeps_a_size_of_its_own() -> None:
    assert of("{width_cm: 90}", ", style_size: 800").sized(*LANDSCAPE).parameters.style_size == 800


def test_the_effective_manifest_makes_the_same_print_again() -> None:
    sized = of("{width_cm: 30}").sized(*PORTRAIT)
    again = Manifest.model_validate(json.loads(json.dumps(sized.effective())))
    assert again.sized(*PORTRAIT) == sized
    assert again.parameters.image_size == 4724


@pytest.mark.parametrize(
    ("paper", "said"),
    [
        ("{}", "needs `width_cm` or `height_cm`, one of them"),
        ("{width_cm: 3, height_cm: 4}", "needs `width_cm` or `height_cm`, one of them"),
        ("{width_cm: 0}", "greater than 0"),
        ("{width_cm: .inf}", "finite"),
        ("{width_cm: 30 cm}", "must be a number"),
        ("{width_cm: 30, dpi: 0}", "1"),
        ("{width: 30}", "unknown"),
        ("A2", "such as {width_cm: 90, dpi: 300}"),
        ("[30, 40]", "such as {width_cm: 90, dpi: 300}"),
    ],
)
def test_what_is_no_paper_is_said_with_its_line(paper: str, said: str) -> None:
    (problem,) = problems(MINIMAL + f"parameters:\n  print: {paper}\n")
    assert problem.startswith("harbour.yaml, line 4: `parameters.print")
    assert said in problem


@pytest.mark.parametrize(("form", "most"), [("png", 100_000), ("tiff", 100_000), ("jpeg", 65_500), ("webp", 16_383)])
def test_a_format_that_ends_before_says_so_and_what_would_do(form: str, most: int) -> None:
    small, large = (MINIMAL + f"parameters: {{image_size: {size}, output_format: {form}}}" for size in (most, most + 1))
    assert parse(small).parameters.image_size == most
    assert str(most + 1) in problems(large)[0]
    sentence = told(of("{width_cm: 1000, dpi: 300}", f", output_format: {form}"), LANDSCAPE)
    if form in ("png", "tiff", "jpeg"):
        assert told(of("{width_cm: 254, dpi: 650}", f", output_format: {form}"), LANDSCAPE) == ""
    if most < 118_110:
        assert sentence.startswith(f"a.jpg: 4000×3000 pixels; `print` makes 118,110 of the long side, and a {form} has")
        dpi = sentence.rsplit("dpi ", 1)[1].split()[0]
        assert told(of(f"{{width_cm: 1000, dpi: {dpi}}}", f", output_format: {form}"), LANDSCAPE) == ""


def test_where_no_dpi_would_do_less_paper_is_asked_for() -> None:
    assert told(of("{width_cm: 10000, dpi: 2}"), (1, 1000)).endswith("Ask for less paper.")


def test_a_print_and_another_size_contradict_each_other() -> None:
    sentence = told(of("{width_cm: 30}", ", image_size: 768"), LANDSCAPE)
    assert sentence.endswith("`print` makes 3,543 of the long side, and `image_size` says 768. Leave `image_size` out.")
    assert told(of("{width_cm: 30}", ", image_size: 3543"), LANDSCAPE) == ""
    swept = parse(MINIMAL + "parameters: {print: {width_cm: 30}}\nsweep: {image_size: [256, 512]}")
    assert "Leave `image_size` out" in told(swept, LANDSCAPE)


@pytest.mark.parametrize("paper", ["{width_cm: 0.001, dpi: 1}", "{height_cm: 1e-300}", "{width_cm: 0.1, dpi: 300}"])
def test_a_print_of_no_pixels_is_told(paper: str) -> None:
    assert "and a picture has at least 16. Is the side in cm?" in told(of(paper), LANDSCAPE)


def test_each_photo_of_a_sweep_has_its_own_pixels_also_out_of_its_record(tmp_path: Path) -> None:
    text = "style: b.jpg\nparameters: {print: {width_cm: 30}}\nsweep: {content: [wide.jpg, high.jpg]}\n"
    manifest = parse(text)
    sizes = {"wide.jpg": LANDSCAPE, "high.jpg": PORTRAIT, "b.jpg": (800, 600)}
    images = {
        part: JobImage(file=file, stored=f"{part}.jpg", sha256="0" * 64, width=sizes[file][0], height=sizes[file][1])
        for part, file in manifest.images.items()
    }
    folder = tmp_path / "harbour-20260101-000000-0000"
    folder.mkdir()
    job = Job(id=folder.name, name="harbour", claimed_at=now(), manifest=manifest, images=images)
    job.save(folder)
    sides = [
        (record.manifest.parameters.image_size, record.manifest.parameters.style_size)
        for record in variants.records(Job.load(folder))
        if record.manifest
    ]
    assert sides == [(3543, 3543), (4724, 4724)]


def test_the_nearer_word_counts_where_a_preset_has_a_print(tmp_path: Path) -> None:
    (tmp_path / "wall.yaml").write_text("parameters: {print: {width_cm: 90}}\n")
    text = MINIMAL + "preset: wall\n"
    assert parse_manifest(text.encode(), "a.yaml", presets=tmp_path).sized(*LANDSCAPE).parameters.image_size == 10630
    sized = parse_manifest(f"{text}parameters: {{image_size: 700}}".encode(), "a.yaml", presets=tmp_path)
    assert sized.sized(*LANDSCAPE).parameters.image_size == 700
    (tmp_path / "wall.yaml").write_text("parameters: {image_size: 700}\n")
    large = parse_manifest(f"{text}parameters: {{print: {{width_cm: 90}}}}".encode(), "a.yaml", presets=tmp_path)
    assert told(large, LANDSCAPE) == ""
    assert large.sized(*LANDSCAPE).parameters.image_size == 10630
    several = "sweep: {print: [{width_cm: 90}, {width_cm: 30}]}\n"
    assert told(parse_manifest(f"{text}{several}".encode(), "a.yaml", presets=tmp_path), LANDSCAPE) == ""
