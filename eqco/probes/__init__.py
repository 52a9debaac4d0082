"""The probes by name: what is known of a backbone when it is frozen."""

from __future__ import annotations

from collections.abc import Callable

from eqco.probes.crops import CropProbe
from eqco.probes.features import FeatureProbe

# Each takes (backbone, images, recipe, seed, machine), is trained as `eqco.work.Work` if it has
# steps, and then gives `metrics()`: accuracies on the held-out part, percent, by name.
PROBES: dict[str, Callable[..., FeatureProbe | CropProbe]] = {
    "features": FeatureProbe,
    "crops": CropProbe,
}
