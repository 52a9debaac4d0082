"""The committed data of figures is that of the committed records; without records there is none."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from figures.__main__ import FIGURES
from figures.style import OUT


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_drawn_is_what_the_records_say(name: str) -> None:
    fresh = import_module(f"figures.{name}").compute().reset_index(drop=True)
    path = OUT / f"{name}.csv"
    assert path.exists() == (not fresh.empty), f"run python -m figures.{name} and commit"
    if fresh.empty:
        return
    kept = pd.read_csv(path)
    assert list(fresh.columns) == list(kept.columns)
    assert len(fresh) == len(kept), f"run python -m figures.{name} and commit"
    for column in kept.select_dtypes("number"):
        np.testing.assert_allclose(
            fresh[column].astype(float), kept[column].astype(float), rtol=1e-4, err_msg=column
        )
