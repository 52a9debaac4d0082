"""From which K on EqCo is flat, predicted from an encoder, and what accuracy says."""

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from reproductions.results.evidence import committed, gaps_to_full, shown_scales
from reproductions.scales import SCALES

NEEDED = "run table 1 and keep its checkpoints: `python -m figures.measure.diagnoses CHECKPOINTS`"
GAPS = {"measured": "measured", "coarse": "CV² / 2K", "sharp": "leading order"}


def compute() -> pd.DataFrame:
    """Loss gaps of encoders of today's rows, each with the accuracy gap of EqCo at the same K."""
    gaps = pd.read_csv(style.OUT / "diagnoses.csv", dtype={"digest": str})
    runs = {scale: committed(scale).table_runs(1) for scale in shown_scales()}
    gaps = gaps[gaps["digest"].isin(pd.concat(runs.values())["digest"])]
    accuracy_gaps = []
    for scale, table in runs.items():
        full = SCALES[scale].base.num_negatives
        eqco = table[table["loss"] == "eqco"]
        accuracy_gaps.append(gaps_to_full(eqco, full).assign(scale=scale))
    return gaps.merge(pd.concat(accuracy_gaps), on=["scale", "k"], how="left")


def draw(frame: pd.DataFrame) -> Figure:
    """The loss gap against K, and the accuracy gap against the predicted loss gap."""
    count = style.seeds_in(frame["n"].dropna())
    names = ["loss gap (vertical: K = CV²)", f"accuracy gap of EqCo ({count})"]
    figure, (left, right) = style.panels(names)
    frame = frame[frame["encoder"] == "simo-infonce-k255"].rename(columns={"k": "K", **GAPS})
    loss = frame.melt(["scale", "K", "error"], list(GAPS.values()), "gap", "nats").query("nats > 0")
    loss["series"] = loss["scale"] + ", " + loss["gap"]
    measured = loss["gap"] == "measured"
    style.lines(left, loss[~measured], "K", "nats", "series")
    style.dots(left, loss[measured], "K", "nats", "series", half="error", legend=True)
    style.marks(left, frame, "cv2", "scale")
    left.set(xscale="log", yscale="log", ylim=(3e-4, 5), ylabel="loss below its limit, nats")
    left.legend()
    points = (right, frame.dropna(), "leading order", "points", "scale")
    style.lines(*points, legend=False)
    style.dots(*points, half="half", style="K", markers=True, legend=True)
    style.log_axis(right, (0.05, 0.1, 0.2, 0.5), "accuracy at full K − at K, points")
    right.set_xlabel("predicted loss gap (leading order), nats")
    style.level(left, 0.05, "0.05 nats")
    style.level(right, 1.0, "1 point")
    return figure


if __name__ == "__main__":
    style.build(compute, draw, lambda: NEEDED)
