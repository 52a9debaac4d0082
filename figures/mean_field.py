"""From which K on EqCo is flat, predicted from an encoder, and what accuracy says."""

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from reproductions.evidence import gaps_to_full, table_runs

GAPS = {"measured": "measured", "coarse": "CV² / 2K", "sharp": "leading order"}


def compute() -> pd.DataFrame:
    """Loss gaps of the encoders, each with the accuracy gap of EqCo at the same K and scale."""
    found = pd.read_csv(style.OUT / "diagnoses.csv")
    runs = {scale: table_runs(1, scale) for scale in found["scale"].unique()}
    gaps = [gaps_to_full(r[r["loss"] == "eqco"]).assign(scale=scale) for scale, r in runs.items()]
    return found.merge(pd.concat(gaps), on=["scale", "k"], how="left")


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
    at = (right, frame.dropna(), "leading order", "points", "scale")
    style.lines(*at, legend=False)
    style.dots(*at, half="half", style="K", markers=True, legend=True)
    style.log_axis(right, (0.05, 0.1, 0.2, 0.5), "accuracy at full K − at K, points")
    right.set_xlabel("predicted loss gap (leading order), nats")
    style.level(left, 0.05, "0.05 nats")
    style.level(right, 1.0, "1 point")
    return figure


if __name__ == "__main__":
    style.build(compute, draw)
