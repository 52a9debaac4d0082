"""Registry of probes, which measure a frozen backbone."""

from __future__ import annotations

from eqco.probes.crops import CropProbe
from eqco.probes.features import FeatureProbe

# Each takes (backbone, images, recipe, seed, machine), says whether it needs images
# `from_files`, is trained if it is `eqco.work.Work`, and then gives `metrics()`:
# accuracies in percent.
PROBES: dict[str, type[FeatureProbe] | type[CropProbe]] = {
    "features": FeatureProbe,
    "crops": CropProbe,
}
