"""Control over colour, noise and start, through the installed command."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.engine.balance import LIMIT
from pipeline.manifest.parameters import STYLE_LAYERS
from pipeline.pictures import color
from tests.conftest import Place, opened


def results(place: Place) -> dict[str, tuple[dict[str, Any], Any]]:
    """Log and picture of each job, by name."""
    done = place.run("run")
    assert done.returncode == 0, done.stderr
    return {log["job"]["name"]: (log, pixels(place.result(log))) for log in place.logs()}


def pixels(path: Any) -> Any:
    return np.asarray(opened(path).convert("RGB"), np.float32) / 255


def chroma(image: Any) -> Any:
    return image - (image @ color.LUMA)[..., None]


def test_the_photos_own_colours_are_kept_on_demand(place: Place) -> None:
    place.photo("photo.png", seed=1, width=64, height=48)
    place.photo("painting.png", seed=2)
    parameters = {"content_weight": 0, "style_weight": 1e3, "style_layers": list(STYLE_LAYERS)}
    for name in ("style", "content", "match"):
        place.manifest(f"{name}.yaml", parameters={**parameters, "color": name})
    photo = pixels(place.inbox / "photo.png")
    beforehand = color.matched(pixels(place.inbox / "painting.png"), photo)
    Image.fromarray((beforehand * 255).round().astype(np.uint8)).save(place.inbox / "matched.png")
    place.manifest("beforehand.yaml", style="matched.png", parameters=parameters)
    found = results(place)
    kept = found["content"][1]
    # Chroma may only shrink, where a brighter or darker pixel has less room for it; 2/255 are rounding.
    growth = np.linalg.norm(chroma(kept), axis=-1) - np.linalg.norm(chroma(photo), axis=-1)
    assert growth.max() < 2 / 255
    np.testing.assert_allclose(kept @ color.LUMA, found["style"][1] @ color.LUMA, atol=2 / 255)
    assert np.abs(chroma(found["style"][1]) - chroma(photo)).mean() > 2 * np.abs(chroma(kept) - chroma(photo)).mean()
    first = {name: log["loss"]["style"][0] for name, (log, _) in found.items()}
    assert first["match"] == pytest.approx(first["beforehand"], rel=0.02)
    assert first["match"] != pytest.approx(first["style"], rel=0.1)


def test_auto_values_are_chosen_and_recorded(place: Place) -> None:
    place.photo("painting.png", seed=2)
    grain = np.random.default_rng(0).normal(0, 20, (64, 80, 3))
    place.photo("photo.png", seed=1)
    grainy = np.clip(pixels(place.inbox / "photo.png") * 255 + grain, 0, 255).astype(np.uint8)
    Image.fromarray(grainy).save(place.inbox / "photo.png")
    place.manifest("a.yaml", parameters={"denoise": "auto", "total_variation_weight": "auto"})
    log, picture = results(place)["a"]
    chosen = log["manifest"]["parameters"]
    assert chosen["denoise"] > 0.3
    assert chosen["total_variation_weight"] >= 30
    assert chosen["style_weight"] > 0
    assert list(chosen["content_layers"]) == ["block4_conv2", "block5_conv2"]
    assert (chosen["strength"], chosen["content_limit"]) == (1, LIMIT)
    effective = yaml.safe_load((place.outbox / log["job"]["id"] / "manifest.yaml").read_text())
    assert effective == log["manifest"]
    effective["name"] = "again"
    (place.inbox / "again.yaml").write_text(yaml.safe_dump(effective))
    np.testing.assert_array_equal(results(place)["again"][1], picture)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_first_loss_tells_where_a_run_started(place: Place, optimizer: str) -> None:
    place.pair()
    place.photo("start.png", seed=3, width=40, height=40)
    common = {"steps_per_epoch": 1, "optimizer": optimizer, "pyramid": "off"}
    for init in ("content", "style", "noise"):
        place.manifest(f"{init}.yaml", parameters={**common, "init": init})
    place.manifest("file.yaml", init_image="start.png", parameters={**common, "init": "file"})
    place.manifest("same.yaml", init_image="photo.png", parameters={**common, "init": "file"})
    first = {
        name: {part: values[0] for part, values in log["loss"].items()} for name, (log, _) in results(place).items()
    }
    assert first["content"]["content"] == 0.0
    assert first["same"] == first["content"]
    assert first["style"]["style"] < 0.3 * first["content"]["style"]
    assert len({round(losses["total"]) for losses in first.values()}) == 4


def test_a_larger_style_scale_changes_the_strokes_alone(place: Place) -> None:
    place.pair()
    for scale in (1.0, 2.0):
        place.manifest(f"s{scale:g}.yaml", parameters={"style_weight": 1e3, "style_scale": scale})
    place.manifest("size.yaml", parameters={"style_weight": 1e3, "style_size": 128})
    found = results(place)
    np.testing.assert_array_equal(found["s2"][1], found["size"][1])
    assert np.abs(found["s2"][1] - found["s1"][1]).max() > 0


@pytest.mark.stand_in
def test_a_preset_of_ones_own_is_found_by_every_command(place: Place) -> None:
    place.pair()
    (place.root / "mine").mkdir()
    (place.root / "mine" / "night.yaml").write_text("preset: draft\nparameters: {style_weight: 0.5, seed: 7}\n")
    manifest = place.manifest("a.yaml", preset="night")
    assert place.run("check", str(manifest), "--presets", "mine").returncode == 0
    assert place.run("check", str(manifest)).returncode == 1
    done = place.run("run", "--presets", "mine")
    assert done.returncode == 0, done.stderr
    (log,) = place.logs()
    assert (log["manifest"]["parameters"]["style_weight"], log["manifest"]["parameters"]["seed"]) == (0.5, 7)
