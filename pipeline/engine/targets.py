"""What a picture aims at: the photo's activations, the paintings' statistics. Kept across scales and jobs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.engine import balance, objective, scales, strips
from pipeline.engine.extractor import Extractor
from pipeline.engine.objective import STYLE_LOSSES
from pipeline.engine.roots import Tensor
from pipeline.engine.scales import Image
from pipeline.errors import ImageError
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.schedule import smallest_side

MASK = tf.TensorSpec([1, None, None, 1])
PROTECTED_SHARE = 0.25  # that does not count in a style's statistics
BY_AREA = 0.75  # of what the rest of a picture with something protected may lose; by its own features the other part
KEPT_STYLES = 16  # (style, size) pairs whose statistics stay in memory; 2.4 MB each for VGG-19's five blocks


@dataclass(frozen=True)
class Style:
    """A style image: RGB ``[H, W, 3]`` float32 in [0, 1], its share among several, and a key that names its pixels.

    Masks are float32 in [0, 1]: ``region`` (of the content's height and width) is where the style paints,
    ``part`` (of its own height and width) is what of it counts; None for all. ``side`` is the long side in pixels that
    it has beside a picture at full size, where that is more than its own: there its own grain gives the finest strokes.
    """

    image: Image
    weight: float
    key: str
    region: Image | None = None
    part: Image | None = None
    side: int | None = None


class Targets(NamedTuple):
    """Of a picture at one size. Content is ``[1, h, w, C]`` by layer, in the extractor's precision."""

    content: list[Tensor]
    whole_content: list[Tensor]  # by layer, as `content_distance` takes it
    style: list[list[Any]]  # of each region, by layer, as the style loss keeps it
    masks: list[Tensor]  # [1, H, W, 1], of the regions that have one
    shares: Tensor  # of each region in the style loss; their sum is 1 where nothing is protected
    protected: list[Tensor]  # [1, H, W, 1], where content counts more; empty for nowhere
    anchor: list[Tensor]  # a picture [1, H, W, 3] to stay near to, and how much [1, H, W, 1]; empty for none


class TargetStore:
    """Computes targets with one extractor, and keeps what can be used again: a style's statistics by its pixels, size
    and layers, the last photo's activations by their size and layers."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self._graphs: dict[Any, Any] = {}
        self._styles: OrderedDict[Any, list[Tensor]] = OrderedDict()
        self._content: Image | None = None  # the last one, whose targets are kept by its size and layers
        self._content_targets: dict[Any, list[Tensor]] = {}

    def at(
        self,
        photo: Image,
        content: Tensor,
        styles: Sequence[Style],
        ratio: float,
        parameters: Parameters,
        protected: Image | None = None,
        anchor: tuple[Image, Image] | None = None,
    ) -> Targets:
        """Of a photo, which at this ratio is ``content``, and of the styles at the same ratio."""
        if photo is not self._content:
            self._content, self._content_targets = photo, {}
        content_layers, layers = map(tuple, balance.layers(parameters))
        loss = STYLE_LOSSES[parameters.style_loss]
        everywhere = [style for style in styles if style.region is None]
        regions = [everywhere] if everywhere else []
        regions += [[style] for style in styles if style.region is not None]
        targets, masks, parts = [], [], []
        for group in regions:
            share = sum(style.weight for style in group)
            statistics = [
                self._style_statistics(style, ratio, layers, parameters.style_loss, photo.shape[:2]) for style in group
            ]
            mixed = [
                tf.add_n([found * (style.weight / share) for found, style in zip(of_layer, group, strict=True)])
                for of_layer in zip(*statistics, strict=True)
            ]
            targets.append([loss.target(of_layer) for of_layer in mixed])
            counted, part = _counted(group[0].region, protected)
            if counted is not None:
                masks.append(scales.resize_mask(counted, content))
            parts.append(part)
        shares = tf.constant([sum(style.weight for style in group) for group in regions], tf.float32)
        key = (content.shape, content_layers)
        strip_pixels = self._extractor.strip_pixels(content.shape[1:3], photo.shape[:2])
        if key not in self._content_targets:
            self._content_targets[key] = self._content_graph(content_layers, strip_pixels)(content)
        where = [] if protected is None else [scales.resize_mask(protected, content)]
        near = [] if anchor is None else [scales.resize(anchor[0], ratio), scales.resize_mask(anchor[1], content)]
        of_content = self._content_targets[key]
        rows = int(strips.rows(strip_pixels, content.shape[2])) if strip_pixels else content.shape[1]
        whole = [
            _whole_content(target, [objective.shares(mask, layer) for mask in where], rows)
            for layer, target in zip(content_layers, of_content, strict=True)
        ]
        shares = shares / tf.reduce_sum(shares) * tf.constant(parts, tf.float32)
        return Targets(of_content, whole, targets, masks, shares, where, near)

    def _style_statistics(
        self, style: Style, ratio: float, layers: tuple[str, ...], loss: str, full: tuple[int, int]
    ) -> list[Tensor]:
        height, width = style.image.shape[:2]
        if style.side is not None and style.side != max(height, width):
            ratio = min(1.0, ratio * style.side / max(height, width))
        strip_pixels = self._extractor.strip_pixels(scales.size(height, width, ratio), full)
        key = (style.key, style.image.shape, ratio, layers, loss, strip_pixels)
        if key not in self._styles:
            scaled = scales.resize(style.image, ratio)
            require_size(scaled[0], "the style image", layers)
            masks = [] if style.part is None else [scales.resize_mask(style.part, scaled)]
            self._styles[key] = self._statistics_graph(layers, loss, bool(masks), strip_pixels)(scaled, masks)
            if len(self._styles) > KEPT_STYLES:
                self._styles.popitem(last=False)
        self._styles.move_to_end(key)
        return self._styles[key]

    def _content_graph(self, layers: tuple[str, ...], strip_pixels: int) -> Any:
        key = ("content", layers, strip_pixels)
        if key not in self._graphs:

            def targets(image: Tensor) -> list[Tensor]:
                return list(self._extractor.features(image, layers, strip_pixels).values())

            self._graphs[key] = tf.function(targets, input_signature=[any_size([1, 1, 1, 3])], autograph=False)
        return self._graphs[key]

    def _statistics_graph(self, layers: tuple[str, ...], loss: str, is_masked: bool, strip_pixels: int) -> Any:
        key = (loss, layers, is_masked, strip_pixels)
        if key not in self._graphs:

            def targets(image: Tensor, masks: list[Tensor]) -> list[Tensor]:
                heads = objective.style_heads(STYLE_LOSSES[loss], layers, masks[0] if masks else None)
                return objective.style_statistics(heads, self._extractor.sums(image, heads, strip_pixels), image)

            signature = [any_size([1, 1, 1, 3]), [MASK] if is_masked else []]
            self._graphs[key] = tf.function(targets, input_signature=signature, autograph=False)
        return self._graphs[key]

    def scales_of(
        self, content: Image, styles: Sequence[Style], parameters: Parameters
    ) -> tuple[dict[str, float], dict[str, float]]:
        """The content and the style loss, by layer, of a picture without features beside these images at full size."""
        targets = self.at(content, scales.resize(content, 1.0), styles, 1.0, parameters)
        of_content = [float(tf.reduce_sum(whole)) for whole in targets.whole_content]
        content_layers, style_layers = map(tuple, balance.layers(parameters))
        loss = STYLE_LOSSES[parameters.style_loss]
        full = content.shape[:2]
        of_first = self._style_statistics(styles[0], 1.0, style_layers, parameters.style_loss, full)
        nothing = [tf.zeros_like(s) for s in of_first]
        of_regions = np.stack([loss.distances(nothing, of_region) for of_region in targets.style])
        of_style = np.asarray(targets.shares) @ of_regions
        return (
            dict(zip(content_layers, of_content, strict=True)),
            dict(zip(style_layers, of_style.tolist(), strict=True)),
        )


def _whole_content(target: Tensor, protected: list[Tensor], rows: int) -> Tensor:
    """What ``objective.content_distance`` takes as whole, of a photo's activations, so many rows at a time.

    Of the rest it lies between what the rest has and, by its area, its part of the whole photo's: a plain wall behind a
    face has little to lose of its own, and would be held where it is painted if the face is not protected; a face has
    more than its area, and the rest would be let go for it (docs/decisions.md).
    """
    found = []
    for top in range(0, target.shape[1], rows):
        part, *of_part = (one[:, top : top + rows] for one in (target, *protected))
        found.append(objective.content_sums(tf.zeros_like(part), part, *of_part))
    whole = tf.add_n(found) / tf.cast(tf.size(target, tf.int64), tf.float32)
    if not protected:
        return whole
    by_area = tf.reduce_sum(whole) * tf.reduce_mean(1.0 - protected[0])
    return tf.stack([BY_AREA * by_area + (1.0 - BY_AREA) * whole[0], whole[1]])


def any_size(shape: Sequence[int]) -> tf.TensorSpec:
    """float32 ``[..., 1, H, W, 3]`` with H and W left open, ``[n, N]`` with N; scalars and vectors stay as they are."""
    match tuple(shape):
        case [*before, _, _, 3]:
            return tf.TensorSpec([*before, None, None, 3])
        case [count, _]:
            return tf.TensorSpec([count, None])
        case fixed:
            return tf.TensorSpec(fixed)


def _counted(region: Image | None, protected: Image | None) -> tuple[Image | None, float]:
    """Where a style's statistics are taken, and how much of its loss is left: of what is protected less, as it has less
    of the style than the whole is to have, and the rest would make up for that.

    A mean over less of a picture pulls harder at each of its pixels. With that part of the loss the style pulls at the
    rest as it does where nothing is protected.
    """
    if protected is None:
        return region, 1.0
    whole = np.ones_like(protected) if region is None else region
    counted = whole * (1.0 - PROTECTED_SHARE * protected)
    sums = [np.square(mask).sum(dtype=np.float64) for mask in (counted, whole)]
    return counted, float(sums[0] / sums[1])


def require_size(image: Any, what: str, layers: Sequence[str]) -> None:
    """Refuse an image ``[H, W, 3]`` of which pooling would leave nothing at the deepest layer, in a sentence."""
    height, width = image.shape[0], image.shape[1]
    needed = smallest_side(layers)
    if min(height, width) < needed:
        raise ImageError(
            f"{what} is {width}×{height} pixels at the size it would run at, too small for the layers chosen.",
            f"Its short side needs at least {needed} pixels: use a larger image_size or style_size, a picture that is"
            " less narrow, or shallower layers.",
        )
