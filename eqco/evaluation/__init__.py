"""Registry of probes, which measure a frozen backbone."""

from __future__ import annotations

from eqco.evaluation.features import FeatureProbe
from eqco.evaluation.linear_on_crops import CropProbe

# Each takes (backbone, images, recipe, seed, machine), says whether it needs images
# `from_files`, is trained if it is a `ResumableTask` of `eqco.runtime.resumable`, and then gives
# `metrics()`: accuracies in percent.
PROBES: dict[str, type[FeatureProbe] | type[CropProbe]] = {
    "features": FeatureProbe,
    "crops": CropProbe,
}
