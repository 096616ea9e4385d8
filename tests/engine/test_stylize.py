from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipeline.engine import objective, roots, stylize
from pipeline.engine.extractor import Extractor
from pipeline.engine.optimizers import Adam
from pipeline.engine.stylize import State, Step, Stylizer
from pipeline.engine.targets import PROTECTED_SHARE, Style, TargetStore
from pipeline.errors import ImageError, JobError
from pipeline.manifest.parameters import CONTENT_LAYERS, PRESETS, STYLE_LAYER_WEIGHTS, Parameters
from pipeline.manifest.schedule import schedule
from tests.conftest import opened, per_position, picture, tiny_kernels


def parameters(**given: Any) -> Parameters:
    return Parameters.model_validate({"epochs": 1, "steps_per_epoch": 6, "image_size": 64, **given})


def array(image: Image.Image) -> Any:
    return np.asarray(image.convert("RGB"), np.float32) / 255


PHOTO = array(picture(64, 48, seed=1))
PAINTING = Style(array(picture(60, 64, seed=2)), 1.0, "painting")


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer(Extractor(tiny_kernels(), "float32"))


def steps(stylizer: Stylizer, resume: State | None = None, **given: Any) -> list[Step]:
    return list(stylizer.run(PHOTO, [PAINTING], parameters(**given), resume))


class TestSchedule:
    @pytest.mark.parametrize(
        ("size", "pyramid", "expected"),
        [
            ((384, 512), "auto", [(128, 57), (256, 28), (512, 15)]),
            ((512, 384), "off", [(512, 100)]),
            ((384, 512), [200, 512], [(200, 50), (512, 50)]),
            ((384, 512), [200, 300, 700], [(200, 33), (300, 33), (512, 34)]),
            ((60, 100), "auto", [(100, 100)]),
            ((20, 512), "auto", [(512, 100)]),
            ((384, 512), {128: 9, 256: 5, 512: 2}, [(128, 9), (256, 5), (512, 2)]),
            ((300, 400), {128: 9, 256: 5, 512: 2, 600: 1}, [(128, 9), (256, 5), (400, 3)]),
            ((384, 512), {128: 9, 256: 5}, [(128, 9), (512, 5)]),
        ],
    )
    def test_steps_are_shared_by_scales_coarse_to_fine(
        self, size: tuple[int, int], pyramid: Any, expected: list[tuple[int, int]]
    ) -> None:
        given = parameters(steps_per_epoch=100, pyramid=pyramid)
        assert schedule(given, *size) == expected
        assert given.steps == sum(steps for _, steps in expected)

    def test_fewer_steps_than_scales_run_at_the_finest(self) -> None:
        assert schedule(parameters(steps_per_epoch=1, pyramid="auto"), 384, 512) == [(512, 1)]


class TestRun:
    def test_the_targets_of_one_photo_are_made_once(self, stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
        made = []
        real = TargetStore._content_graph

        def counted(self: TargetStore, layers: tuple[str, ...], strip_pixels: int) -> Any:
            made.append(layers)
            return real(self, layers, strip_pixels)

        monkeypatch.setattr(TargetStore, "_content_graph", counted)
        photo = PHOTO.copy()
        layers = ["block4_conv2"]
        runs: list[dict[str, Any]] = [{"style_weight": 1}, {"style_weight": 2}]
        runs.append({"style_weight": 1, "content_layers": layers})
        for given in runs:
            list(stylizer.run(photo, [PAINTING], parameters(pyramid=[32, 64], **given)))
        assert made == [("block5_conv2",)] * 2 + [("block4_conv2",)] * 2
        list(stylizer.run(photo.copy(), [PAINTING], parameters(style_weight=1, pyramid="off")))
        assert len(made) == 5

    def test_a_record_comes_after_every_step(self, stylizer: Stylizer) -> None:
        records = steps(stylizer, epochs=2, pyramid=[32, 64])
        assert [record.number for record in records] == list(range(1, 13))
        assert [record.scale for record in records] == [32] * 6 + [64] * 6
        for record in records:
            assert record.total == pytest.approx(record.content + record.style + record.total_variation, rel=1e-5)

    @pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
    def test_the_loss_falls(self, stylizer: Stylizer, optimizer: str) -> None:
        balanced: dict[str, Any] = {"content_weight": 1, "style_weight": 1, "total_variation_weight": 0.1}
        records = steps(stylizer, steps_per_epoch=30, optimizer=optimizer, pyramid="off", **balanced)
        assert records[-1].total < 0.5 * records[0].total

    def test_the_first_loss_is_of_the_content_image_itself(self, stylizer: Stylizer) -> None:
        first = steps(stylizer)[0]
        assert first.content == 0.0
        assert first.total_variation == pytest.approx(
            30 * float(tf.image.total_variation(tf.constant(PHOTO))), rel=1e-5
        )

    def test_weights_between_layers_and_styles_count(self, stylizer: Stylizer) -> None:
        other = Style(array(picture(64, 64, seed=3)), 3.0, "other")
        of_gram: dict[str, Any] = {"style_loss": "gram", "style_weight": 0.01, "style_layers": {"block2_conv1": 5.0}}
        first = next(stylizer.run(PHOTO, [PAINTING, other], parameters(**of_gram)))
        extractor = Extractor(tiny_kernels(), "float32")

        def gram(image: Any) -> Any:
            features = extractor.features(image[None], ["block2_conv1"])["block2_conv1"]
            return per_position(objective.gram_sums, features).numpy()

        target = (gram(PAINTING.image) + 3 * gram(other.image)) / 4
        expected = 0.01 * 5.0 * np.mean((gram(PHOTO) - target) ** 2)
        assert first.style == pytest.approx(expected, rel=1e-4)

    def test_another_size_costs_no_new_trace(self) -> None:
        stylizer = Stylizer(Extractor(tiny_kernels(), "float32"))
        traces = []
        for size in (PHOTO.shape, (50, 70, 3), (64, 64, 3)):
            list(stylizer.run(np.resize(PHOTO, size), [PAINTING], parameters(pyramid="off", style_weight=size[0])))
            graphs = [*stylizer._graphs.values(), *stylizer._targets._graphs.values()]
            traces.append(sum(graph.experimental_get_tracing_count() for graph in graphs))
        assert traces == [3, 3, 3]  # the step, the content's features, the style's Gram matrices

    def test_a_style_is_computed_once_for_each_scale(self) -> None:
        stylizer = Stylizer(Extractor(tiny_kernels(), "float32"))
        for _ in range(2):
            list(stylizer.run(PHOTO, [PAINTING], parameters(pyramid=[32, 64])))
        assert len(stylizer._targets._styles) == 2

    @pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_the_same_job_gives_the_same_bytes(self, optimizer: str, precision: str) -> None:
        pictures = []
        for _ in range(2):
            stylizer = Stylizer(Extractor(tiny_kernels(), precision))
            last = steps(stylizer, pyramid=[32, 64], optimizer=optimizer, init="noise", seed=5)[-1]
            pictures.append(stylizer.picture(last.state, parameters(optimizer=optimizer)).tobytes())
        assert pictures[0] == pictures[1]

    @pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
    @pytest.mark.parametrize("most", [1, 2, 3, 7])
    def test_however_many_steps_a_call_makes_they_are_the_same(
        self, stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch, optimizer: str, most: int
    ) -> None:
        given: dict[str, Any] = {"pyramid": [32, 64], "optimizer": optimizer, "steps_per_epoch": 14}
        one_by_one = steps(stylizer, **given)
        monkeypatch.setattr(stylize, "STEPS_A_CALL", most)
        looping = Stylizer(Extractor(tiny_kernels(), "float32"), call_seconds=1e9)
        records = steps(looping, **given)
        ends = {1: [1, 2, 3, 4, 5, 6, 7], 2: [1, 3, 3, 5, 5, 7, 7], 3: [1, 3, 3, 6, 6, 6, 7], 7: [1, 3, 3, 7, 7, 7, 7]}
        assert [record.state.step for record in records] == [*ends[most], *(7 + end for end in ends[most])]
        assert [record.total for record in records] == [record.total for record in one_by_one]
        np.testing.assert_array_equal(records[-1].state.tensors[0], one_by_one[-1].state.tensors[0])
        stored = records[-2].state  # the end of a call, or its midst
        whole = records if stored.step == 14 else steps(looping, stored, **given)
        np.testing.assert_array_equal(whole[-1].state.tensors[0], one_by_one[-1].state.tensors[0])

    def test_a_call_takes_about_the_time_it_may(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = Stylizer(Extractor(tiny_kernels(), "float32"), call_seconds=0.25)
        assert [calls._next_count(count, seconds) for count, seconds in [(1, 9), (1, 0.01), (16, 0.16), (20, 0.5)]] == [
            1,
            2,
            25,
            10,
        ]

    @pytest.mark.parametrize(("call_seconds", "root"), [(0.0, "by_decomposition"), (0.25, "by_products")])
    def test_the_defaults_graph_is_small_and_waits_for_no_value_of_the_device(
        self, monkeypatch: pytest.MonkeyPatch, call_seconds: float, root: str
    ) -> None:
        monkeypatch.setattr(roots, "traces", getattr(roots, root))
        stylizer = Stylizer(Extractor(tiny_kernels(), "bfloat16"), call_seconds)
        next(stylizer.run(PHOTO, [PAINTING], parameters(pyramid="off")))
        (graph,) = stylizer._graphs.values()
        (traced,) = graph._list_all_concrete_functions()
        definition = traced.graph.as_graph_def()
        within = [node.op for function in definition.library.function for node in function.node_def]
        nodes = [node.op for node in definition.node] + within
        assert 300 < len(nodes) <= 1400
        assert not [node for node in nodes if node in ("If", "StatelessIf", "Case", "StatelessCase", "Switch")]

    def test_a_gpu_has_every_operation_of_a_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each other one would have it wait for a CPU: so masks are made smaller before the steps, not in each."""
        from tensorflow.python.framework import kernels

        def devices(operation: str) -> set[str]:
            return {kernel.device_type for kernel in kernels.get_registered_kernels_for_op(operation).kernel}

        if "GPU" not in devices("MatMul"):
            pytest.skip("this TensorFlow was built without a GPU's kernels")
        monkeypatch.setattr(roots, "traces", roots.by_products)
        stylizer = Stylizer(Extractor(tiny_kernels(), "bfloat16"), call_seconds=0.25)
        left = np.repeat([[1.0, 0.0]], 32, 1).repeat(48, 0).astype(np.float32)
        regions = [Style(PAINTING.image, 1.0, "left", region=left), PAINTING]
        next(stylizer.run(PHOTO, regions, parameters(pyramid="off"), protected=left))
        (graph,) = stylizer._graphs.values()
        (traced,) = graph._list_all_concrete_functions()
        definition = traced.graph.as_graph_def()
        of_steps = {node.op for function in definition.library.function for node in function.node_def}
        assert {"Conv2D", "Conv2DBackpropInput"} <= of_steps
        assert [one for one in sorted(of_steps) if devices(one) and not devices(one) & {"GPU", "DEFAULT"}] == []
        assert "ResizeArea" in {node.op for node in definition.node}

    def test_another_seed_gives_another_picture(self, stylizer: Stylizer) -> None:
        first, second = (steps(stylizer, init="noise", seed=seed)[0].total for seed in (1, 2))
        assert first != second

    @pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
    @pytest.mark.parametrize("at", [1, 5, 6, 7, 11, 12])  # within a scale, at its last step, at the first of the next
    def test_a_resumed_run_is_the_run_that_was_never_interrupted(
        self, stylizer: Stylizer, optimizer: str, at: int
    ) -> None:
        given: dict[str, Any] = {"epochs": 2, "pyramid": [32, 64], "optimizer": optimizer}
        whole = steps(stylizer, **given)
        state = whole[at - 1].state
        stored = State(state.step, state.scale_index, tuple(part.numpy() for part in state.tensors))
        rest = steps(stylizer, stored, **given)
        assert [record.total for record in rest] == [record.total for record in whole[at:]]
        last = rest[-1].state if rest else stored
        np.testing.assert_array_equal(
            stylizer.picture(last, parameters(optimizer=optimizer)),
            stylizer.picture(whole[-1].state, parameters(optimizer=optimizer)),
        )


class TestStrength:
    OBJECTIVE = ("style_weight", "content_limit", "content_layers", "style_layers")

    @pytest.mark.parametrize("style_loss", ["gram", "wasserstein"])
    def test_it_grows_the_distance_from_the_photo(self, stylizer: Stylizer, style_loss: str) -> None:
        photo = tf.constant(PHOTO)[None]
        extractor = Extractor(tiny_kernels(), "float32")
        distances = []
        for strength in (0.25, 1, 4):
            given: dict[str, Any] = {"strength": strength, "style_loss": style_loss, "total_variation_weight": 0}
            last = steps(stylizer, steps_per_epoch=100, pyramid="off", **given)[-1]
            found, target = (
                extractor.features(image, ["block4_conv2"])["block4_conv2"]
                for image in (stylizer.picture(last.state, parameters())[None], photo)
            )
            distances.append(float(tf.reduce_sum((found - target) ** 2) / tf.reduce_sum(target**2)))
        assert distances == sorted(distances)
        assert distances[-1] > 4 * distances[0]

    def test_nothing_of_the_painting_is_left_at_0(self, stylizer: Stylizer) -> None:
        last = steps(stylizer, strength=0, total_variation_weight=0)[-1]
        np.testing.assert_array_equal(stylizer.picture(last.state, parameters()), PHOTO)

    def test_a_louder_painting_weighs_no_more(self, stylizer: Stylizer) -> None:
        loud = Style(np.clip((PAINTING.image - 0.5) * 2 + 0.5, 0, 1), 1.0, "loud")
        ratios = []
        for style in (PAINTING, loud):
            settled = stylizer.settled(PHOTO, [style], parameters())
            nothing = Style(np.full_like(PHOTO, 0.5), 1.0, "grey")
            first = next(stylizer.run(nothing.image, [style], settled))
            ratios.append(first.style)
        assert ratios[1] == pytest.approx(ratios[0], rel=0.5)

    def test_settled_parameters_are_plain_numbers_that_make_the_same_picture(self, stylizer: Stylizer) -> None:
        settled = stylizer.settled(PHOTO, [PAINTING], parameters())
        again = Parameters.model_validate(json.loads(json.dumps(settled.model_dump(mode="json"))))
        assert "auto" not in [getattr(again, field) for field in self.OBJECTIVE]
        assert stylizer.settled(PHOTO, [PAINTING], again) is again
        totals = [[step.total for step in stylizer.run(PHOTO, [PAINTING], given)] for given in (parameters(), again)]
        assert totals[0] == totals[1]

    @pytest.mark.parametrize("given", [{"strength": 0.001}, {"content_weight": 1e12, "strength": 10}])
    def test_what_is_chosen_can_be_written_in_a_manifest(self, stylizer: Stylizer, given: dict[str, Any]) -> None:
        settled = stylizer.settled(PHOTO, [PAINTING], parameters(**given))
        assert Parameters.model_validate(settled.model_dump(mode="json")) == settled

    def test_without_content_there_is_a_style_weight_however_that_is_said(self, stylizer: Stylizer) -> None:
        ways: list[dict[str, Any]] = [{"content_weight": 0}, {"content_layers": {"block5_conv2": 0}}]
        by_weight, by_layers = (
            float(stylizer.settled(PHOTO, [PAINTING], parameters(**way)).style_weight) for way in ways
        )
        assert by_layers == pytest.approx(by_weight, rel=1e-2)
        assert by_layers > 0

    def test_layers_of_ones_own_keep_their_weights(self, stylizer: Stylizer) -> None:
        given = parameters(style_layers={"block2_conv1": 3}, content_layers=["block3_conv2"])
        settled = stylizer.settled(PHOTO, [PAINTING], given)
        assert settled.style_layers == {"block2_conv1": 3.0}
        assert settled.content_layers == {"block3_conv2": 1.0}
        more = stylizer.settled(
            PHOTO, [PAINTING], parameters(style_layers={"block2_conv1": 6}, content_layers=["block3_conv2"])
        )
        assert more.style_weight == pytest.approx(float(settled.style_weight) / 2, rel=1e-3)

    def test_a_number_for_the_style_weight_is_on_the_tutorials_scale(self, stylizer: Stylizer) -> None:
        settled = stylizer.settled(PHOTO, [PAINTING], parameters(style_weight=0.01))
        assert [getattr(settled, field) for field in self.OBJECTIVE] == [
            0.01,
            "off",
            CONTENT_LAYERS,
            STYLE_LAYER_WEIGHTS,
        ]

    def test_regions_are_weighed_as_one(self, stylizer: Stylizer) -> None:
        left = np.zeros(PHOTO.shape[:2], np.float32)
        left[:, :32] = 1
        halves = [Style(PAINTING.image, 1.0, "painting", region) for region in (left, 1 - left)]
        one, two = (stylizer.settled(PHOTO, styles, parameters()) for styles in ([PAINTING], halves))
        assert [getattr(one, field) for field in self.OBJECTIVE] == [getattr(two, field) for field in self.OBJECTIVE]


class TestRefusals:
    def test_a_picture_too_small_for_the_layers_is_told_the_smallest_size(self, stylizer: Stylizer) -> None:
        with pytest.raises(ImageError, match="the content image is 64×10 pixels.* at least 16 pixels"):
            next(stylizer.run(PHOTO[:10], [PAINTING], parameters()))
        with pytest.raises(ImageError, match="the style image is 60×4 pixels"):
            next(stylizer.run(PHOTO, [Style(PAINTING.image[:4], 1.0, "flat")], parameters(pyramid="off")))
        with pytest.raises(ImageError, match="the content image is 20×8 pixels.* at least 16 pixels"):
            next(stylizer.run(PHOTO[:24], [PAINTING], parameters(pyramid=[20, 64])))

    def test_an_overflow_is_a_sentence(self, stylizer: Stylizer) -> None:
        huge = {f"block{b}_conv1": 1e6 for b in range(1, 6)}
        kernels = {layer: (kernel * 100, bias) for layer, (kernel, bias) in tiny_kernels().items()}
        with pytest.raises(JobError, match="the loss is (inf|nan) at step 1"):
            of_gram = parameters(style_loss="gram", style_weight=1, style_layers=huge)
            list(Stylizer(Extractor(kernels, "float32")).run(PHOTO, [PAINTING], of_gram))

    def test_an_overflow_of_the_last_update_is_a_sentence_too(
        self, stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No loss is of its picture, which would be black."""
        monkeypatch.setattr(Adam, "result", lambda self, state: state.image / 0.0)
        with pytest.raises(JobError, match="the picture is not finite after step 6"):
            steps(stylizer, optimizer="adam", pyramid="off")


class TestAgreement:
    """With values of the objective from an independent float32 implementation."""

    @pytest.fixture
    def reference(self, shared: Path) -> Any:
        return json.loads((shared / "reference" / "objective.json").read_text())

    @staticmethod
    def image(shared: Path, name: str) -> Any:
        return array(opened(shared / "reference" / name))

    def test_gram_statistics(self, shared: Path, reference: Any, real_kernels: dict[str, Any]) -> None:
        style = tf.constant(self.image(shared, reference["style"]))[None]
        features = Extractor(real_kernels, "float32").features(style, reference["style_layers"])
        for layer, expected in reference["gram"].items():
            gram = per_position(objective.gram_sums, features[layer]).numpy()
            assert np.mean(gram) == pytest.approx(expected["mean"], rel=0.005)
            assert np.linalg.norm(gram) == pytest.approx(expected["frobenius"], rel=0.005)
            assert np.trace(gram) == pytest.approx(expected["trace"], rel=0.005)

    @pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.005), ("bfloat16", 0.03)])
    def test_loss_at_an_image(
        self, shared: Path, reference: Any, real_kernels: dict[str, Any], precision: str, tolerance: float
    ) -> None:
        content, style, image = (self.image(shared, reference[key]) for key in ("content", "style", "image"))
        stylizer = Stylizer(Extractor(real_kernels, precision))
        tutorial = parameters(**{**PRESETS["tutorial"], "epochs": 1, "steps_per_epoch": 2, "image_size": 256})
        first = next(stylizer.run(content, [Style(style, 1.0, "style")], tutorial))
        # The loss at another image than the content: go on from a state that holds it.
        moments = (np.zeros_like(image)[None], np.zeros_like(image)[None], np.float32(0))
        record = next(
            stylizer.run(content, [Style(style, 1.0, "style")], tutorial, State(1, 0, (image[None], *moments)))
        )
        assert first.content == 0.0
        for name, expected in reference["loss_at_image"].items():
            if name != "gram_mse_per_layer":
                assert getattr(record, name) == pytest.approx(expected, rel=tolerance)

    @pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.01), ("bfloat16", 0.03)])
    def test_the_tutorials_trajectory(
        self, shared: Path, reference: Any, real_kernels: dict[str, Any], precision: str, tolerance: float
    ) -> None:
        content, style = (self.image(shared, reference[key]) for key in ("content", "style"))
        tutorial = parameters(**{**PRESETS["tutorial"], "epochs": 1, "steps_per_epoch": 20, "image_size": 256})
        stylizer = Stylizer(Extractor(real_kernels, precision))
        records = list(stylizer.run(content, [Style(style, 1.0, "style")], tutorial))
        for record, expected in zip(records, reference["adam_trajectory_from_content"]["steps"], strict=True):
            for name in ("total", "style", "content", "total_variation"):
                assert getattr(record, name) == pytest.approx(expected[name], rel=tolerance), (record.number, name)


class TestProtection:
    """The left half protected."""

    WHERE = np.repeat([[1.0, 0.0]], 32, 1).repeat(48, 0).astype(np.float32)

    def steps(self, stylizer: Stylizer, resume: State | None = None, **given: Any) -> list[Step]:
        asked = parameters(**{"pyramid": [32, 64], "epochs": 4, **given})
        return list(stylizer.run(PHOTO, [PAINTING], asked, resume, protected=self.WHERE))

    def test_what_is_protected_keeps_to_the_photo_and_the_rest_goes_on(self, stylizer: Stylizer) -> None:
        given: dict[str, Any] = {"strength": 3, "total_variation_weight": 0}
        plain = steps(stylizer, pyramid=[32, 64], epochs=4, **given)[-1]
        held = self.steps(stylizer, **given)[-1]
        extractor = Extractor(tiny_kernels(), "float32")

        def lost(last: Step, side: slice) -> float:
            """Of the photo's features on one side of it."""
            found, target = (
                extractor.features(image[None], ["block4_conv2"])["block4_conv2"].numpy()[:, :, side]
                for image in (stylizer.picture(last.state, parameters()), PHOTO)
            )
            return float(((found - target) ** 2).sum() / (target**2).sum())

        left, right = slice(0, 3), slice(5, 8)
        assert lost(held, left) < 0.5 * lost(plain, left)
        assert lost(held, right) > 2 * lost(held, left)

    @pytest.mark.parametrize(("region", "elsewhere"), [(None, 1.0), (np.full((48, 64), 0.5, np.float32), 0.5)])
    def test_it_counts_for_less_in_a_styles_statistics(self, region: Any, elsewhere: float) -> None:
        store = TargetStore(Extractor(tiny_kernels(), "float32"))
        style = replace(PAINTING, region=region)
        found = store.at(PHOTO, tf.constant(PHOTO[None]), [style], 1.0, parameters(), self.WHERE)
        (mask,) = found.masks
        np.testing.assert_allclose(mask[0, :, :32], elsewhere * (1 - PROTECTED_SHARE))
        np.testing.assert_allclose(mask[0, :, 32:], elsewhere)

    @pytest.mark.parametrize(("optimizer", "is_told"), [("lbfgs", True), ("adam", False)])
    def test_the_search_of_lbfgs_is_told_what_is_protected(
        self, monkeypatch: pytest.MonkeyPatch, optimizer: str, is_told: bool
    ) -> None:
        def losses() -> list[float]:
            stylizer = Stylizer(Extractor(tiny_kernels(), "float32"))
            return [step.total for step in self.steps(stylizer, optimizer=optimizer, pyramid="off", epochs=1)]

        told = losses()
        monkeypatch.setattr(objective, "mobility", lambda protected, limit: tf.ones_like(protected))
        assert (told != losses()) is is_told

    def test_a_plain_rest_may_lose_most_of_what_the_photo_has_on_average(self) -> None:
        """As it does where nothing is protected: its own features are few."""
        photo = PHOTO.copy()
        photo[:, 40:] = 0.5  # what is not protected, and no edge near it

        def whole(protected: Any) -> Any:
            store = TargetStore(Extractor(tiny_kernels(), "float32"))
            given = photo, tf.constant(photo[None]), [PAINTING], 1.0, parameters(content_layers=["block1_conv2"])
            return store.at(*given, protected).whole_content[0].numpy()

        (of_all,), (of_rest, of_protected) = whole(None), whole(self.WHERE)
        assert of_rest == pytest.approx(0.75 * 0.5 * of_all + 0.25 * (of_all - of_protected), rel=1e-4)
        assert of_protected > 0.6 * of_all

    @pytest.mark.parametrize("region", [None, np.full((48, 64), 0.5, np.float32)])
    def test_of_a_style_is_left_what_pulls_at_the_rest_as_before(self, region: Any) -> None:
        """A position's pull is its weight over the sum of all, times its style's share."""
        store = TargetStore(Extractor(tiny_kernels(), "float32"))
        style = replace(PAINTING, region=region)

        def pull_at_the_rest(protected: Any) -> float:
            found = store.at(PHOTO, tf.constant(PHOTO[None]), [style], 1.0, parameters(), protected)
            weights = tf.square(found.masks[0]) if found.masks else tf.ones([1, 48, 64, 1])
            return float(found.shares[0] * weights[0, 0, -1, 0] / tf.reduce_sum(weights))

        assert pull_at_the_rest(self.WHERE) == pytest.approx(pull_at_the_rest(None), rel=1e-5)

    def test_what_a_photo_has_is_the_same_in_strips(self, monkeypatch: pytest.MonkeyPatch) -> None:
        of_many_rows = parameters(content_layers=["block1_conv2"])
        given = PHOTO, tf.constant(PHOTO[None]), [PAINTING], 1.0, of_many_rows, self.WHERE
        whole = TargetStore(Extractor(tiny_kernels(), "float32")).at(*given)
        monkeypatch.setattr(Extractor, "strip_pixels", lambda *sizes: 1)  # by the fewest rows
        found = TargetStore(Extractor(tiny_kernels(), "float32")).at(*given)
        assert found.whole_content[0].shape == (2,)  # of the rest, and of what is protected
        for one, other in zip(found.whole_content, whole.whole_content, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)

    @pytest.mark.parametrize("at", [5, 12, 13])
    def test_it_resumes_to_the_same_bytes(self, stylizer: Stylizer, at: int) -> None:
        whole = self.steps(stylizer)
        state = whole[at - 1].state
        stored = State(state.step, state.scale_index, tuple(part.numpy() for part in state.tensors))
        rest = self.steps(stylizer, stored)
        assert [record.total for record in rest] == [record.total for record in whole[at:]]


class TestAnchor:
    """What a frame of a clip stays near to."""

    def painted(self, stylizer: Stylizer, weight: float, side: slice) -> tuple[Any, Step]:
        balanced = {"style_weight": 1e-4, "content_weight": 1, "total_variation_weight": 0}
        asked = parameters(steps_per_epoch=10, pyramid="off", **balanced)
        picture_, where = PHOTO[:, ::-1], np.zeros(PHOTO.shape[:2], np.float32)
        where[:, side] = weight
        *_, last = stylizer.run(PHOTO, [PAINTING], asked, start=picture_, anchor=(picture_, where))
        return np.abs(stylizer.picture(last.state, asked) - picture_).mean(-1), last

    def test_a_picture_stays_near_to_its_anchor_where_that_has_weight(self, stylizer: Stylizer) -> None:
        away, last = self.painted(stylizer, 1e8, slice(0, 32))
        assert away[:, :28].mean() < 0.3 * away[:, 36:].mean()
        assert last.total == pytest.approx(last.content + last.style + last.total_variation + last.temporal, rel=1e-4)

    def test_one_without_weight_is_none(self, stylizer: Stylizer) -> None:
        away, last = self.painted(stylizer, 0.0, slice(0, 32))
        assert last.temporal == 0.0
        assert away[:, :28].mean() == pytest.approx(away[:, 36:].mean(), rel=0.8)
