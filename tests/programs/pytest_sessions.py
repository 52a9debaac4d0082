"""Several pytest sessions in one process: importing torch for each takes longer than all of them.

Reads a JSON list of argument lists from standard input; writes a JSON list of exit statuses and
outputs to standard output.
"""

import contextlib
import io
import json
import os
import sys

import pytest

answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # output of subprocesses of the sessions must not get into the answer
outcomes = []
for words in json.load(sys.stdin):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        status = pytest.main(words)
    outcomes.append([int(status), text.getvalue()])
json.dump(outcomes, answer)
answer.close()
