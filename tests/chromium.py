"""A page in headless Chromium, by its DevTools protocol over a pipe; nothing else is needed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 120.0  # seconds for one answer, on a busy machine


def browser() -> str | None:
    """Path of a Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """A page that is open in a browser.

    Attributes:
        events: what the browser reported of it, such as requests and console messages.
    """

    def __init__(self, write: int, read: int) -> None:
        self.write, self.read, self.rest, self.number = write, read, b"", 0
        self.events: list[dict[str, Any]] = []
        self.session = ""
        (target, *_) = self.call("Target.getTargets")["targetInfos"]
        found = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = found["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def message(self) -> dict[str, Any]:
        """The next message of the browser; they end with a zero byte."""
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            assert time.monotonic() < end, "the browser does not answer"
            chunk = os.read(self.read, 1 << 16)
            assert chunk, "the browser ended"
            self.rest += chunk
        text, _, self.rest = self.rest.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method and wait for its result; events on the way are kept."""
        self.number += 1
        order = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            order["sessionId"] = self.session
        os.write(self.write, json.dumps(order).encode() + b"\0")
        while (found := self.message()).get("id") != self.number:
            self.events.append(found)
        assert "error" not in found, found["error"]
        result: dict[str, Any] = found["result"]
        return result

    def of(self, *methods: str) -> list[dict[str, Any]]:
        """Parameters of the events of these methods so far."""
        return [e["params"] for e in self.events if e.get("method") in methods]

    def open(self, path: Path) -> None:
        """Open a file and wait until it is loaded."""
        before = len(self.of("Page.loadEventFired"))
        self.call("Page.navigate", url=path.as_uri())
        while len(self.of("Page.loadEventFired")) == before:
            self.events.append(self.message())

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def look(self, width: int, height: int = 900, scheme: str = "light", media: str = "") -> None:
        """Set the width of the window in pixels, the colour scheme and the medium."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more
            )

    def screenshot(self, path: Path, height: int | None = None) -> None:
        """A PNG of the window, or of the first `height` pixels of the page."""
        size = self.run("({width: innerWidth, height: document.documentElement.scrollHeight})")
        clip = {"x": 0, "y": 0, "scale": 1, **size, **({"height": height} if height else {})}
        found = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def chromium(program: str, profile: Path) -> Iterator[Page]:
    """A browser with an empty page.

    Args:
        program: path of a Chromium.
        profile: an empty folder for its profile.
    """
    to_read, write = os.pipe()
    read, to_write = os.pipe()
    command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    # The browser reads its orders from file 3 and writes its answers to file 4.
    shell = ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", *command]
    process = subprocess.Popen(
        shell, pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(to_read)
    os.close(to_write)
    try:
        yield Page(write, read)
    finally:
        os.close(write)
        os.close(read)
        process.terminate()
        process.wait(30)
