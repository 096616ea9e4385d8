"""What `auto` weights come to, so that one `strength` serves any painting.

Each layer's loss is divided by what it is for a picture without any features: content by the photo's ``mean(F_c²)``,
style by the painting's own ``|μ|² + tr Σ`` (or ``mean(G²)``). A painting of twice the contrast then has no larger style
loss than another.

That alone leaves the content distance of calm and of loud paintings 5 : 1 apart. So beyond a limit, the part of the
photo's features that may be lost, the content loss grows steeply (``objective.content_distance``), and the limit grows
with the strength.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.manifest.parameters import (
    CONTENT_LAYERS,
    CONTENT_SHARES,
    LEAST_LIMIT,
    STYLE_LAYER_WEIGHTS,
    STYLE_SHARES,
    Parameters,
)

CONTENT_SCALE = 250.0  # of a layer's whole content, at which the usual content and total variation weights go together
STYLE_TO_CONTENT = 0.5  # of a featureless picture's losses, at strength 1
LIMIT = 0.5  # at strength 1
CONTENT_WEIGHT = 1e4  # what is reckoned with where there is none
DIGITS = 4  # of a value that is chosen: enough to tell no difference, few enough to read


def is_auto(parameters: Parameters) -> bool:
    """Whether anything is left to choose."""
    layers = (parameters.content_layers, parameters.style_layers)
    return "auto" in (parameters.style_weight, parameters.content_limit, *layers)


def layers(parameters: Parameters) -> tuple[list[str], list[str]]:
    """The content and the style layers that the objective will have."""
    content, style = (
        (CONTENT_SHARES, STYLE_SHARES) if parameters.style_weight == "auto" else (CONTENT_LAYERS, STYLE_LAYER_WEIGHTS)
    )
    return (
        list(content if parameters.content_layers == "auto" else parameters.content_layers),
        list(style if parameters.style_layers == "auto" else parameters.style_layers),
    )


def fixed(parameters: Parameters) -> dict[str, Any]:
    """Values in place of every `auto` beside a number for ``style_weight``, which is on the tutorial's scale."""
    found = {"content_limit": "off", "content_layers": CONTENT_LAYERS, "style_layers": STYLE_LAYER_WEIGHTS}
    return {field: value for field, value in found.items() if getattr(parameters, field) == "auto"}


def chosen(parameters: Parameters, content: Mapping[str, float], style: Mapping[str, float]) -> dict[str, Any]:
    """Values in place of every `auto`, ``style_weight`` among them.

    Args:
        parameters: those asked for.
        content: by layer, the content loss of a picture without features.
        style: likewise the style loss.
    """
    found: dict[str, Any] = {}
    content_layers, style_layers = parameters.content_layers, parameters.style_layers
    if content_layers == "auto":
        content_layers = found["content_layers"] = _over(content, CONTENT_SHARES, CONTENT_SCALE)
    if style_layers == "auto":
        mean_share = sum(STYLE_SHARES.values()) / len(STYLE_SHARES)
        style_layers = found["style_layers"] = _over(style, STYLE_SHARES, 1.0 / mean_share)
    if parameters.content_limit == "auto":
        found["content_limit"] = max(LIMIT * parameters.strength, LEAST_LIMIT) if parameters.strength else "off"
    mean_content = CONTENT_SCALE * sum(CONTENT_SHARES.values()) / len(CONTENT_SHARES)  # as `auto` layers have it
    whole_content = (_mean(content_layers, content) or mean_content) * (parameters.content_weight or CONTENT_WEIGHT)
    whole_style = _mean(style_layers, style) or 1.0
    found["style_weight"] = _round(parameters.strength * STYLE_TO_CONTENT * whole_content / whole_style)
    return found


def _over(scales: Mapping[str, float], shares: Mapping[str, float], factor: float) -> dict[str, float]:
    """``factor · share / scale``; a layer that a picture leaves silent has no scale."""
    return {layer: min(_round(factor * share / (scales[layer] or 1.0)), 1e6) for layer, share in shares.items()}


def _mean(weights: Mapping[str, float], of_layer: Mapping[str, float]) -> float:
    return sum(weight * of_layer[layer] for layer, weight in weights.items()) / len(weights)


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
