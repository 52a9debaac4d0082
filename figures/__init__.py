"""Figures of what the records say; the same bytes whatever the user's settings are."""

from eqco.runtime.plotting import load_matplotlib

matplotlib = load_matplotlib()
matplotlib.rcdefaults()  # not the user's matplotlibrc
matplotlib.use("Agg")
