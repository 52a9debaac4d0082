"""The length of dL/dq against K, and its noise."""

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.measure.encoders import bound, measure, random_embeddings

TEMPERATURE = 0.2
LABELS = {"norm": "mean length of dL/dq", "noise": "distance from all keys' gradient"}
PANELS = [f"{loss}: {quantity}" for quantity in LABELS for loss in ("EqCo", "InfoNCE")]


def compute() -> pd.DataFrame:
    """Random unit embeddings of 128 dimensions, and an encoder at four points of training."""
    sphere = measure(*random_embeddings(), TEMPERATURE).assign(where="random unit vectors")
    trained = pd.read_csv(style.OUT / "encoders.csv")
    stages = (100 * trained["step"] / trained["step"].max()).map("encoder, {:.0f} % trained".format)
    frame = pd.concat([sphere, trained.assign(where=stages)]).query("value > 1e-9")
    frame["panel"] = frame["loss"] + ": " + frame["quantity"]
    frame = frame[frame["panel"].isin(PANELS)].query("loss == 'InfoNCE' or alpha == 256")
    frame["bound"] = [bound(line, TEMPERATURE) for _, line in frame.iterrows()]
    return frame.drop(columns=["images", "step"])


def draw(frame: pd.DataFrame) -> Figure:
    """With EqCo the mean length is steady in K; the noise of the gradient is not."""
    frame = frame.rename(columns={"k": "K"})
    last = frame[frame["where"] == "encoder, 100 % trained"]
    noise = last[last["panel"] == "EqCo: noise"]
    slope = noise.assign(where="slope of 1/√K", value=noise["value"].iloc[0] * noise["K"] ** -0.5)
    bounds = last.assign(where="bound on 100 % trained", value=last["bound"])
    references = pd.concat([bounds, slope])
    figure, axes = style.panels(PANELS)
    for i, (axis, panel) in enumerate(zip(axes, PANELS, strict=True)):
        axis.sharey(axes[i - i % 2])
        style.curves(axis, frame[frame["panel"] == panel], "K", "value", "where")
        style.lines(axis, references[references["panel"] == panel], "K", "value", "where")
        axis.set(xscale="log", yscale="log", ylabel=LABELS[panel.split(": ")[1]])
    style.legend_below(figure, "EqCo at alpha 256")
    return figure


if __name__ == "__main__":
    style.build(compute, draw)
