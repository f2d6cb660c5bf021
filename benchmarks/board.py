"""The board over many runs: time to the first paint, and of a refresh, in a real browser.

python benchmarks/board.py                      # 500 runs, 10^6 metric lines
python benchmarks/board.py --runs=20 --lines=10000

The runs are made up, in a temporary folder. A refresh is timed from a call of what the page's timer
calls to the row that shows a metric line that has come. Needs Playwright and
Chromium (apt install chromium).
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from jaxbio.tasks.config import new_config

_LINE = (
    '{{"step": {0}, "split": "train", "grad_norm": 0.47, "learning_rate": 0.01, "loss": {1:.6f}, '
    '"top1": 0.25, "top5": 0.5, "images_per_s": 100.0}}\n'
)

# The frame after the first row has come is on the screen when the next task begins.
_WHEN_PAINTED = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("#runs tbody tr")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.painted = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--lines", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_runs(Path(folder), options.runs, options.lines // options.runs)
        command = [sys.executable, "-m", "jaxbio", "board", folder, "--port=0", "--no_browser"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as board:
            address = board.stdout.readline().split(" at ")[1].split()[0]
            try:
                measure(address, Path(folder))
            finally:
                board.terminate()


def make_runs(folder: Path, runs: int, lines: int) -> None:
    """Runs of a sweep with three keys and five seeds, half of them finished."""
    config = new_config("classification").to_dict()
    text = "".join(_LINE.format(step, 2.0 / step) for step in range(1, lines + 1))
    for number in range(runs):
        path = folder / "sweep" / f"run_{number:04}"
        path.mkdir(parents=True)
        config["seed"] = number % 5
        config["optimizer"]["learning_rate"] = 0.01 * (1 + number // 5 % 10)
        config["train"]["batch_size"] = 32 * (1 + number // 50)
        resolved = {"data": {"name": "made up", "num_classes": 10}, "steps": lines}
        (path / "config.json").write_text(json.dumps({"config": config, "resolved": resolved}))
        (path / "metrics.jsonl").write_text(text)
        if number % 2:
            results = {"step": lines, "top1": 0.5 + number / 2000, "count": 1000}
            (path / "results.json").write_text(json.dumps(results))


def measure(address: str, folder: Path) -> None:
    """Prints the times."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.add_init_script(_WHEN_PAINTED)
        began = time.perf_counter()
        page.goto(address, wait_until="commit")
        page.wait_for_function("() => window.painted")
        painted = page.evaluate("() => window.painted")
        print(f"first paint of the table: {painted / 1000:.2f} s after navigation")
        (answer,) = page.evaluate(
            "() => performance.getEntriesByType('resource').filter(one => one.name.endsWith("
            "'api/table')).map(one => [one.startTime, one.responseEnd]).slice(0, 1)"
        )
        asked, answered = (milliseconds / 1000 for milliseconds in answer)
        print(f"of it: page and scripts {asked:.2f} s, table answered at {answered:.2f} s")
        page.wait_for_function(
            "() => !document.body.textContent.includes('reading metrics')", timeout=120_000
        )
        print(f"all metrics read: {time.perf_counter() - began:.1f} s")
        times = []
        for step in range(10_001, 10_006):
            with (folder / "sweep" / "run_0000" / "metrics.jsonl").open("a") as file:
                file.write(_LINE.format(step, 0.001))
            # `refresh` is what the page's timer calls; it ends when the rows are there.
            times.append(
                page.evaluate(
                    "async () => { const began = performance.now(); await refresh();"
                    " return performance.now() - began }"
                )
            )
            assert str(step) in page.inner_text("#runs tbody tr:first-child")
        middle = sorted(times)[len(times) // 2]
        print(f"refresh, server and page: {middle / 1000:.2f} s (median of {len(times)})")
        browser.close()


if __name__ == "__main__":
    main()
