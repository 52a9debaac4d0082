"""`eqco export`: a backbone for other people's code."""

from __future__ import annotations

import argparse

from eqco.artifacts.export import export
from eqco.cli.options import print_json


def main(options: argparse.Namespace) -> None:
    """Write the backbone and say what was written."""
    done = export(options.checkpoint, options.to, options.out)
    if options.json:
        print_json({**vars(done), "path": str(done.path), "loading": done.loading})
    else:
        print(done)
