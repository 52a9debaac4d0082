"""The notebook in examples/: its code runs, it shows what it says, and no output is committed."""

from __future__ import annotations

import json
import re

from tests.processes import ROOT, python

SHOWN = """
print(losses.to_json())
print(accuracy.to_json())
print(json.dumps([len(compared), len(figure.axes)]))
"""


def test_the_notebook_runs_in_one_process_and_shows_what_it_says() -> None:
    notebook = json.loads((ROOT / "examples" / "eqco.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    program = "\n\n".join(["import json", *("".join(cell["source"]) for cell in code), SHOWN])
    done = python("-c", program, folder=ROOT / "examples", MPLBACKEND="agg")
    losses, accuracy, (rows, axes) = map(json.loads, done.stdout.splitlines())
    infonce, eqco = losses["InfoNCE"], losses["EqCo"]
    assert infonce["255"] - infonce["4"] > 1
    assert abs(eqco["255"] - infonce["255"]) < 0.01
    assert abs(eqco["255"] - eqco["16"]) < (infonce["255"] - infonce["16"]) / 3
    assert len(accuracy) == 7
    assert min(accuracy, key=accuracy.get) == "untrained"
    assert rows >= 3
    assert axes >= 1


def test_the_notebook_links_to_pages_that_are_there() -> None:
    text = (ROOT / "examples" / "eqco.ipynb").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((\.\./[^)]+)\)", text):
        assert (ROOT / "examples" / target).exists(), target
