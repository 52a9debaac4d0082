"""The command `eqco`: help without torch, defaults, examples, nearest names, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eqco.__main__ import main
from eqco.cli import parser, train

COMMANDS = parser()[1]
ROOT = Path(__file__).resolve().parents[2]
WRONG = {
    "command": (["trian"], "unknown command 'trian': did you mean train"),
    "option": (["train", "--epocs", "3"], "unknown option '--epocs': did you mean --epochs"),
    "option of the top": (["--versoin"], "unknown option '--versoin': did you mean --version"),
    "no command": ([], "the following arguments are required: command"),
    "number": (["train", "--data", "x", "--epochs", "0"], "--epochs: must be a whole number"),
    "folder": (["train", "--data", "/nowhere"], "--data /nowhere does not exist"),
    "device": (["train", "--data", "glyphs", "--device", "cdua"], "unknown device 'cdua'"),
    "list": (["ls", "/nowhere"], "folder /nowhere does not exist: records are written by"),
    "record": (["show", "/nowhere.json"], "record /nowhere.json cannot be opened: No such file"),
}  # fmt: skip


def status_of(words: list[str]) -> object:
    """Exit status of the command."""
    try:
        return main(words)
    except SystemExit as error:
        return error.code


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_with_its_default_and_every_command_an_example(name: str) -> None:
    command = COMMANDS[name]
    assert f"example:\n  eqco {name} " in command.format_help()
    for action in command._actions:
        assert action.help, action.dest
        text = command._get_formatter()._expand_help(action)
        switch = action.nargs == 0
        if action.option_strings and not switch and action.default is not None:
            assert "default" in text, action.dest


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_sentence_and_status_2(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, sentence = WRONG[case]
    assert status_of(words) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert (out, err.count("\n"), err[:7]) == ("", 1, "error: ")
    assert "delete" not in err


def test_help_needs_no_torch_and_under_a_second(environment: dict[str, str]) -> None:
    """Processor time, which other processes of the machine do not lengthen."""
    program = (
        "import sys, time\nfrom eqco.__main__ import main\ntry:\n    main(['--help'])\n"
        "except SystemExit:\n    print(time.process_time(), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds, loaded = done.stdout.splitlines()[-1].split()
    assert loaded == "False"
    assert float(seconds) < 1
    assert "exit status:" in done.stdout


def test_ctrl_c_has_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "run", stopped)
    places = ["--records", str(tmp_path), "--checkpoints", str(tmp_path)]
    assert main(["train", "--data", "glyphs", *places]) == 130
    assert "continue with: eqco train --data glyphs" in capsys.readouterr().err
