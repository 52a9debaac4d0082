"""Kind 3: a signal ends a run after its step, saved, with one true sentence and its status."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eqco.artifacts.checkpoint import read
from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.engine.launchers import by_slurm, torchrun_command
from eqco.engine.run import run
from eqco.recipe import Recipe
from eqco.runtime import signals
from eqco.runtime.signals import Stopped, catching, deferred
from tests.faults.damage import RECIPE, machine_in, run_in, sweep_in
from tests.processes import start, wait_until

LONG = replace(RECIPE, epochs=3000)  # minutes
SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}
EACH = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


def order_in(folder: Path, recipe: Recipe = LONG) -> Run:
    """A run of minutes that saves only when it is asked to stop."""
    return run_in(folder, recipe, checkpoint_seconds=3600.0)


@pytest.fixture(autouse=True)
def usual_signals() -> Iterator[None]:
    """This process takes signals as one of a terminal does, wherever the tests were started."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    listen()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, present in before.items():
        signal.signal(number, present)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of the recipe's run."""
    folder = tmp_path_factory.mktemp("whole")
    record = run(RECIPE, 0, machine_in(folder), folder / "r")
    assert record
    return record


def listen() -> None:
    """Take signals as from a terminal; a shell starts jobs in the background deaf to Ctrl-C."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def listening(*words: object) -> subprocess.Popen[str]:
    """Start this Python as a terminal does."""
    return start(*words, start_new_session=True, preexec_fn=listen)


def stop_in_training(child: subprocess.Popen[str], number: int) -> str:
    """Send a signal once the log says that training began; returns what it printed then."""
    printed: list[str] = []
    for line in child.stdout or ():
        printed.append(line)
        if line.startswith("training from"):
            break
    else:
        pytest.fail(f"it ended: {printed}")
    time.sleep(0.5)
    child.send_signal(number)
    return child.communicate(timeout=120)[0]


def test_a_run_of_a_job_file_is_saved_and_its_command_continues_it(tmp_path: Path) -> None:
    order = order_in(tmp_path / "a folder; it's quoted")
    child = listening("-m", "eqco", "run", order.write_job())
    output = stop_in_training(child, signal.SIGINT)
    assert child.returncode == 130
    sentence = output.strip().splitlines()[-1]
    step = read(order.checkpoint)["step"]
    assert sentence.startswith(f"stopped by SIGINT: {order.run_id} is saved at step ")
    assert f"step {step} of 30000 of training; continue with: " in sentence
    assert "Traceback" not in output
    command = shlex.split(sentence.partition("continue with: ")[2])
    assert Run.read_job(Path(command[-1])) == order.absolute()


def test_torchrun_stops_all_processes_at_one_step(tmp_path: Path) -> None:
    order = order_in(tmp_path)
    child = listening(*torchrun_command(order.write_job(), 2)[1:])
    output = stop_in_training(child, signal.SIGTERM)
    step = read(order.checkpoint)["step"]
    assert f"is saved at step {step} of 30000 of training" in output
    assert output.count("stopped by") == 1


def test_the_tables_end_with_a_command_that_can_be_pasted(tmp_path: Path) -> None:
    words = [
        "reproductions", "--scale=smoke", "-k", "table1 and k16", "--threads=1",
        f"--records={tmp_path / 'records'}", f"--checkpoints={tmp_path / 'checkpoints'}",
        "-p", "tests.programs.train_long", "-p", "no:cacheprovider",
    ]  # fmt: skip
    child = listening("-m", "pytest", *words)
    path = tmp_path / "checkpoints"
    wait_until(lambda: list(path.glob("*.holder")))
    time.sleep(1.0)
    child.send_signal(signal.SIGTERM)
    output = child.communicate(timeout=120)[0]
    assert child.returncode == 143
    (line,) = [line for line in output.splitlines() if "stopped by SIGTERM" in line]
    command = line.strip("! ").partition("continue with: ")[2]
    assert shlex.split(command) == ["pytest", *words]
    saved = "is saved at step" in line
    assert saved == bool(list(path.glob("*-s0.pt")))


@pytest.mark.parametrize("nested", [False, True])
def test_a_signal_that_other_code_tells_as_its_own_error_is_told_as_the_signal(
    nested: bool,
) -> None:
    def start_of_an_extension() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except Stopped as stop:
            raise ImportError("initialization failed") from stop

    with pytest.raises(Stopped) as caught, catching():  # noqa: PT012
        if nested:
            with catching():
                start_of_an_extension()
        start_of_an_extension()
    assert caught.value.status == 143


def test_an_error_of_its_own_stays_itself_after_a_signal() -> None:
    with pytest.raises(OSError, match="disk is full"), catching():  # noqa: PT012
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except Stopped:
            raise OSError("disk is full") from None


def test_a_sweep_passes_a_signal_on_and_waits_for_its_workers(tmp_path: Path) -> None:
    words = sweep_in(tmp_path, "--at-once", "2")
    child = listening("-m", "tests.programs.train_long", *words)
    wait_until(lambda: len(list(tmp_path.glob("checkpoints/*.holder"))) == 2)
    child.send_signal(signal.SIGTERM)
    output = child.communicate(timeout=120)[0]
    assert child.returncode == 143, output
    last = output.strip().splitlines()[-1]
    assert last.startswith("stopped by SIGTERM: ")
    assert shlex.split(last.partition("continue with: ")[2])[:4] == [
        "python", "-m", "reproductions", "sweep",
    ]  # fmt: skip
    assert output.count("stopped by") == 3, output
    assert not list(tmp_path.glob("checkpoints/*.holder"))


def loads_torch(process: int) -> bool:
    """Whether a process imports torch, or has done so."""
    try:
        return "libtorch_cpu" in Path(f"/proc/{process}/maps").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads what a process loads")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
@pytest.mark.parametrize("program", ["pytest", "reproductions", "figures", "benchmark", "workers"])
def test_a_signal_while_a_program_starts_is_one_sentence(
    program: str, number: signal.Signals, tmp_path: Path
) -> None:
    sweep = ["reproductions", *sweep_in(tmp_path, "--at-once", "2")]
    words = {
        "pytest": ["pytest", "reproductions", "--scale=smoke", f"--records={tmp_path}"],
        "figures": ["figures.law", "--out", tmp_path],
        "benchmark": ["benchmark.gpu", "--out", tmp_path],
    }.get(program, sweep)
    child = listening("-m", *words)
    wait_until(lambda: loads_torch(child.pid))
    if program == "workers":
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
        wait_until(lambda: any(map(loads_torch, map(int, children.read_text().split()))))
    os.killpg(child.pid, number)  # as a terminal does
    output = child.communicate(timeout=120)[0]
    assert child.returncode == SIGNALS[number], output
    assert "Traceback" not in output
    last = output.strip().splitlines()[-1]
    ending = "; continue with: " if program == "workers" else ": nothing had started"
    assert f"stopped by {number.name}" in last
    assert ending in last


def test_a_preempted_job_of_submitit_saves_and_resumes(tmp_path: Path) -> None:
    """submitit's signal for preemption; a process of this machine stands in for the cluster."""
    pytest.importorskip("submitit")
    order = run_in(tmp_path, replace(RECIPE, epochs=40), checkpoint_seconds=0.1)
    job = by_slurm(order, 1, tmp_path / "logs", cluster="local", timeout_min=5)
    wait_until(order.checkpoint.exists)
    (task,) = subprocess.run(
        ["pgrep", "-f", f"submitit.core._submit {tmp_path}"], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(task), signal.SIGUSR2)
    assert job.result() == order.run_id
    record = order.record()
    assert record.resumed == 1
    logs = "".join(each.read_text() for each in (tmp_path / "logs").glob("*_log.*"))
    assert "stopped by SIGTERM: " in logs
    assert "is saved at step" in logs


def signal_self(number: int, at: int) -> Any:
    """A progress function that sends this process a signal at a step."""

    def progress(stage: str, step: int, steps: int, loss: float) -> None:
        if step == at and stage == "training":
            os.kill(os.getpid(), number)

    return progress


@EACH
def test_a_stopped_run_resumes_to_the_record_of_an_undisturbed_one(
    number: signal.Signals, undisturbed: Record, tmp_path: Path
) -> None:
    place = Machine(threads=1, checkpoints=tmp_path / "c", checkpoint_seconds=3600.0)
    with pytest.raises(Stopped) as stopped:
        run(RECIPE, 0, place, tmp_path / "r", signal_self(number, 7))
    assert stopped.value.status == SIGNALS[number]
    assert stopped.value.kept == f"{RECIPE.run_id(0)} is saved at step 8 of 20 of training"
    resumed = run(RECIPE, 0, place, tmp_path / "r")
    assert resumed
    assert (resumed.metrics, resumed.curve) == (undisturbed.metrics, undisturbed.curve)


def test_a_signal_before_any_checkpoint_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eqco.engine import run as runs

    def open_images(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr(runs, "open_images", open_images)
    with pytest.raises(Stopped, match="has no checkpoint yet and starts over"):
        run(RECIPE, 0, machine_in(tmp_path), tmp_path / "r")


def test_a_record_that_is_being_written_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Record.write

    def slowly(record: Record, folder: Path) -> Path:
        os.kill(os.getpid(), signal.SIGHUP)
        return write(record, folder)

    monkeypatch.setattr(Record, "write", slowly)
    with pytest.raises(Stopped, match="is done and has its record"):
        run(RECIPE, 0, machine_in(tmp_path), tmp_path / "r")
    assert Record.find(tmp_path / "r", RECIPE, 0) is not None


def test_a_repeated_signal_waits_too_and_a_second_ctrl_c_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached = []
    with pytest.raises(Stopped, match="15"), catching(), deferred():  # noqa: PT012
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        reached.append(True)
    assert reached
    monkeypatch.setattr(signals, "IMPATIENT", -1.0)
    with pytest.raises(Stopped), catching(), deferred():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("it waited")


def test_signals_that_are_ignored_or_handled_by_others_are_left_alone() -> None:
    own: list[int] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    other = signal.signal(signal.SIGTERM, lambda number, _: own.append(number))
    try:
        with catching():
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
        assert own == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGTERM, other)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.long
@EACH
def test_signals_at_random_moments_lose_nothing(number: signal.Signals, tmp_path: Path) -> None:
    order = order_in(tmp_path, replace(RECIPE, epochs=200))
    whole = run(order.recipe, 0, machine_in(tmp_path / "whole"), tmp_path / "whole")
    path, reached = order.write_job(), 0
    for tried in range(33):
        child = listening("-m", "eqco", "run", path)
        time.sleep(2 + tried % 7)
        child.send_signal(number)
        output = child.communicate(timeout=120)[0]
        assert child.returncode in (0, SIGNALS[number], -number), output
        saved = order.checkpoint
        step = read(saved)["step"] if saved.exists() else 0
        assert step >= reached
        reached = step
    done = run(order.recipe, 0, order.machine, order.folder)
    assert (done.metrics, done.curve) == (whole.metrics, whole.curve)
