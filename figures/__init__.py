"""Figures of what the records say; the same bytes whatever the user's settings are."""

from eqco.runtime.memory import end_without_memory
from eqco.runtime.plotting import load_matplotlib
from eqco.runtime.signals import stop_module_at_once

stop_module_at_once()
end_without_memory()
matplotlib = load_matplotlib()
matplotlib.rcdefaults()  # not the user's matplotlibrc
matplotlib.use("Agg")
