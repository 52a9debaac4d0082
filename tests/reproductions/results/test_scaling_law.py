"""The law: cells, the line of half of them, and the errors of the others."""

from __future__ import annotations

import pandas as pd
import pytest

from figures.law import between
from reproductions.results import scaling_law
from reproductions.tables import table
from reproductions.tables.claims import predicted_losses
from tests import synthetic
from tests.reproductions.conftest import Commit


def exact(slope: float, count: int = 6) -> pd.DataFrame:
    """Cells that lie on a line."""
    frame = pd.DataFrame({"k": range(1, count + 1)}).assign(scale="glyphs", temperature=0.2)
    frame["nats"] = 1 / frame["k"]
    return frame.assign(points=slope * frame["nats"], n=5, half=0.1)


def test_a_law_that_holds_is_found_with_no_error() -> None:
    fitted = scaling_law.fit(exact(3.0))
    assert list(fitted["fitted"]) == [True, False] * 3
    assert fitted[["error", "curve_error"]].abs().to_numpy().max() == pytest.approx(0.0, abs=1e-12)
    text = scaling_law.report(fitted)
    assert "3.00 points a nat, or 3.00 nats^1.00 points; fitted on 3 cells" in text
    assert "rank correlation 1.00; 3 others of glyphs lie from the line 0.00 points" in text


def test_a_curve_that_holds_is_found_where_the_line_misses() -> None:
    frame = exact(1.0)
    frame["points"] = 4.0 * frame["nats"] ** 0.5
    fitted = scaling_law.fit(frame)
    assert fitted["curve_error"].abs().max() == pytest.approx(0.0, abs=1e-9)
    assert fitted["error"].abs().max() > 0.3
    assert "or 4.00 nats^0.50 points" in scaling_law.report(fitted)


def test_cells_that_are_not_fitted_move_neither_the_line_nor_the_curve() -> None:
    frame = exact(3.0)
    frame.loc[1::2, "points"] += 1.0
    fitted = scaling_law.fit(frame)
    for errors in ("error", "curve_error"):
        assert list(fitted[errors].round(9)) == [0.0, 1.0] * 3
    text = scaling_law.report(fitted)
    assert "from the line 1.00 points in the mean, 1.00 at most" in text
    assert "from the curve 1.00 points in the mean, 1.00 at most" in text


@pytest.mark.parametrize("points_a_nat", [3.0, -3.0])
def test_the_lines_of_the_figure_pass_through_what_is_fitted(points_a_nat: float) -> None:
    drawn = between(scaling_law.fit(exact(points_a_nat)))
    expected = points_a_nat * drawn["nats"].to_numpy()
    assert drawn["height"].to_numpy() == pytest.approx(expected)
    assert set(drawn["fit"]) == {"proportional", "power law"}


def test_cells_of_another_data_set_are_predicted_and_not_fitted() -> None:
    photos = exact(1.0).assign(scale="photos")
    fitted = scaling_law.fit(pd.concat([photos, exact(3.0), exact(1.0).assign(scale="cifar10")]))
    by_scale = fitted.groupby("scale")
    assert dict(by_scale["fitted"].sum()) == {"cifar10": 0, "glyphs": 3, "photos": 0}
    assert fitted["line"].to_numpy() == pytest.approx(3.0 * fitted["nats"].to_numpy())
    text = scaling_law.report(fitted)
    assert "6 others of photos lie from the line 0.82 points in the mean, 2.00 at most" in text
    assert "3 others of glyphs lie from the line 0.00 points" in text


def test_the_rank_correlation_counts_every_cell() -> None:
    frame = exact(3.0)
    frame["points"] = list(reversed(frame["points"]))
    assert "rank correlation -1.00" in scaling_law.report(scaling_law.fit(frame))


def test_cells_are_of_the_encoder_with_all_negatives(commit: Commit) -> None:
    commit([])
    assert scaling_law.law().empty
    commit(synthetic.records_of([9], grid=False))
    law = scaling_law.law()
    assert len(law) == 9
    first = law.iloc[0]
    assert (first["temperature"], first["k"], first["n"]) == (0.1, 4, 4)
    assert first["nats"] == pytest.approx(10 / 8)  # rho2_cv2 is 10 there


def test_predictions_of_a_table_are_put_together_from_its_claims() -> None:
    predicted = predicted_losses(table(7, "glyphs").claims, table(7, "glyphs").rows[0])
    assert predicted["simo-eqco-k16"] == pytest.approx(0.5 + 0.1 + 0.5)
    assert predicted["simo-eqco-k4"] == pytest.approx(2.0 + 0.2 + 1.8)
    assert predicted["simo-eqco_jackknife-k16-draws15"] == pytest.approx(0.1)
    assert predicted.keys() == {row.name for row in table(7, "glyphs").rows}
