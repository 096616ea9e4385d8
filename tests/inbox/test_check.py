"""What would be wrong with a manifest, told as the inbox would find it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.errors import UsageError
from pipeline.inbox.check import check
from pipeline.inbox.readiness import Ready, Rejected
from pipeline.manifest.model import Limits
from tests.conftest import picture
from tests.inbox.conftest import drop, make, only, pair


@pytest.mark.parametrize("where", ["a.yaml", "job.yaml", "trip/job.yaml"])
@pytest.mark.parametrize("content", ["photo.png", "../photo.png", "../../photo.png", "..photo.png"])
def test_check_and_the_inbox_say_the_same(folder: Path, where: str, content: str) -> None:
    (folder / "trip").mkdir()
    for place in (folder.parent.parent, folder.parent, folder, folder / "trip"):
        pair(place)
        (place / "..photo.png").write_bytes((place / "photo.png").read_bytes())
    manifest = drop(folder / Path(where).parent, Path(where).name, content)
    problems = check(manifest, folder, [], Limits()).problems
    verdict = only(make(folder, settle_seconds=0))
    assert isinstance(verdict, Ready if not problems else Rejected)
    if isinstance(verdict, Rejected):
        assert problems == [f"{manifest}: {verdict.reason}"]


def test_a_style_file_is_taken_as_a_style_folders(folder: Path) -> None:
    (folder / "sea").mkdir()
    picture(seed=2).save(folder / "sea" / "style.png")
    style = folder / "sea" / "style.yaml"
    style.write_text("again: true\nparameters: {strength: 2}\n")
    assert check(style, folder, [], Limits()) == ([], [])
    style.write_text("style: ../wave.png\ncontent: a.jpg\nagain: perhaps\n")
    assert check(style, folder, [], Limits()).problems == [
        f"{style}, line 3: `again`: must be true or false, not 'perhaps'",
        f"{style}, line 2: `content`: each photo of the folder is one",
    ]
    style.write_text("style: ../wave.png\n")
    (problem,) = check(style, folder, [], Limits()).problems
    assert problem.startswith(f"{style}: ../wave.png: cannot be read: ../wave.png is missing")
    picture().save(folder / "wave.png")
    assert check(style, folder, [], Limits()).problems == []


def test_what_is_ignored_is_none_of_a_pattern(folder: Path) -> None:
    pair(folder)
    picture(seed=3).save(folder / "photo-edited.png")
    manifest = folder / "a.yaml"
    manifest.write_text("style: painting.png\nsweep: {content: 'photo*.png'}\n")
    assert len(check(manifest, folder, [], Limits()).paintings) == 2
    assert len(check(manifest, folder, [], Limits(), ignore=["*-edited.*"]).paintings) == 1
    with pytest.raises(UsageError, match="--ignore"):
        check(manifest, folder, [], Limits(), ignore=["***" * 9])


def test_the_command_knows_what_is_ignored_and_counts_no_pictures_of_a_style(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent))
    pair(folder)
    Path("inbox/a.yaml").write_text("style: painting.png\nsweep: {content: 'photo*.png'}\n")
    told = CliRunner().invoke(cli, ["check", "inbox/a.yaml"], env={"STYLISTIC_IGNORE": "photo.*"})
    assert (told.exit_code, "nothing matches photo*.png" in told.stdout) == (1, True)
    Path("inbox/sea").mkdir()
    Path("inbox/sea/style.yaml").write_text("style: ../painting.png\n")
    assert CliRunner().invoke(cli, ["check", "inbox/sea/style.yaml"]).stdout == "inbox/sea/style.yaml: fine\n"
