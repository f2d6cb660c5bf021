"""The board in a real browser: what people see and do."""

import csv
import io
import json
import re
import shutil
import time

import numpy as np
import pytest
from scipy.stats import spearmanr

from jaxbio.board.index import Index
from jaxbio.board.site import export_site
from tests.board.conftest import SOON, serving, visit
from tests.board.runs import (
    PNG,
    robustness,
    training,
    write_evaluation,
    write_lines,
    write_run,
)

pytestmark = pytest.mark.slow


def names(page):
    return page.locator("#runs tbody tr:not(.group) a").all_inner_texts()


def open_table(page, address):
    visit(page, address)
    page.wait_for_selector("#runs tbody tr")


def test_the_table_sorts_filters_groups_and_folds(page, address):
    open_table(page, address)
    assert len(names(page)) == 12
    page.click("#runs th button:text-is('score')")
    page.click("#runs th button:has-text('score')")  # the largest first
    assert set(names(page)[:2]) == {"fast", "slow"}
    assert page.get_attribute("#runs th:has-text('score')", "aria-sort") == "descending"
    search = page.locator("input[type=search]")
    search.fill("finished seed=1")
    assert names(page) == ["sweep/seed=1"]
    search.fill("score>0.86 SWEEP")
    assert sorted(names(page)) == ["sweep/seed=1", "sweep/seed=2"]
    search.fill("")
    assert page.locator("td.differs:text-is('0.2')").count() == 1  # a learning rate
    page.check("text=fold seeds")
    row = page.locator("tr:has-text('sweep/seed=0')").or_(page.locator("tr:has-text('and 3 more')"))
    assert "0.870 ± 0.020" in row.first.inner_text()
    page.select_option("select[aria-label='group by']", "task")
    heads = page.locator("#runs tr.group").all_inner_texts()
    assert [head.strip() for head in heads] == [
        "task: -", "task: classification", "task: rdm", "task: stdp",
    ]  # fmt: skip


def test_states_and_damage_are_told_in_words(page, address):
    open_table(page, address)
    for name, state in (("live", "running"), ("stopped", "stopped"), ("broken", "damaged")):
        row = page.locator("#runs tr", has=page.locator(f"a:text-is('{name}')"))
        assert row.locator(".state").inner_text() == state
    assert "config.json" in page.locator("tr.damaged .bad").inner_text()
    page.click("a:text-is('broken')")
    page.wait_for_selector("text=DAMAGED")


def test_the_keyboard_does_everything(page, address):
    open_table(page, address)
    page.keyboard.press("/")
    page.keyboard.type("sweep")
    assert len(names(page)) == 3
    page.locator("#runs tbody a").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:text-is('sweep/seed=1')")
    chart = page.locator("figure:has-text('loss') svg").first
    chart.focus()
    page.keyboard.press("ArrowRight")
    tip = page.locator("figure:has(figcaption:has-text('loss')) .tip")
    first = tip.inner_text()
    assert re.match(r"step \d+ — train: ", first)
    page.keyboard.press("ArrowRight")
    assert tip.inner_text() != first
    page.keyboard.press("+")
    labels = page.locator("figure:has(figcaption:has-text('loss')) svg text").all_text_contents()
    assert "100" not in labels


def test_runs_are_laid_over_each_other_and_seeds_become_bands(page, address):
    open_table(page, address)
    for seed in range(3):
        page.check(f"input[aria-label='choose sweep/seed={seed}']")
    page.check("input[aria-label='choose fast']")
    page.click("text=Open 4 chosen")
    legend = page.locator("figure:has(figcaption:has-text('loss')) .legend button")
    legend.first.wait_for()
    assert legend.count() == 8  # train and test of each
    page.check("text=seeds as mean and band")
    legend.locator("text=(3 seeds)").first.wait_for()
    assert legend.count() == 4
    chart = page.locator("figure:has(figcaption:has-text('loss')) svg").first
    chart.hover()
    page.wait_for_selector(".tip:has-text('(')")  # the band in words
    table = page.locator("table", has=page.locator("th:text-is('key')")).inner_text()
    assert "optimizer.learning_rate" in table
    legend.first.click()
    assert legend.first.get_attribute("aria-pressed") == "false"


def test_zooming_shows_more_points(page, tmp_path):
    run = write_run(tmp_path / "runs" / "long")
    write_lines(run, *training(9000))
    with serving(run.parent) as (address, _):
        visit(page, f"{address}#run?run=long")
        chart = page.locator("figure:has(figcaption:text('loss')) > svg")
        chart.wait_for()
        box = chart.bounding_box()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 90)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.52 * box["width"], box["y"] + 90, steps=3)
        with page.expect_response(lambda reply: "from=" in reply.url and "from=0" not in reply.url):
            page.mouse.up()
        page.wait_for_timeout(200)
        tip = page.locator("figure:has(figcaption:text('loss')) .tip")
        steps = set()
        for share in np.linspace(0.3, 0.7, 12):
            page.mouse.move(box["x"] + share * box["width"], box["y"] + 90)
            steps.add(int(tip.inner_text().split()[1]))
        gaps = np.diff(sorted(steps))
        assert np.any(gaps % (9000 // 1500) != 0)  # steps that the whole curve does not have
        assert max(steps) - min(steps) < 400
        chart.dblclick()
        assert "8000" in chart.text_content()


def test_everything_of_a_run_is_on_its_page(page, address):
    visit(page, f"{address}#run?run=sweep/seed%3D0")
    page.wait_for_selector("#scorecard")
    heads = page.locator("h2").all_inner_texts()
    for part in ("Robustness", "Attacks", "Similarity", "Physiology", "Behaviour", "Configuration"):
        assert part in heads
    assert "SYNTHETIC" in page.locator("#scorecard").inner_text()
    behaviour = page.locator("section:has(h2:text-is('Behaviour'))").inner_text()
    assert "0.200 (0.050 to 0.350)" in behaviour
    assert "intervals" not in behaviour.split("in brackets")[0]  # no column of that name
    assert "masked" in page.locator(".warning").inner_text()
    assert page.locator(".heat td").count() >= 12
    picture = page.locator("img[alt='report/curves.png']")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('img').naturalWidth > 0")
    visit(page, f"{address}#run?run=fast")
    page.wait_for_selector("code:has-text('--mode=attacks')")  # what would fill a blank


def see_the_wrong_pictures(page):
    """Opens a cell of the matrix, by keyboard."""
    cell = page.locator(".heat button[aria-label='3 taken for 8: 3']")
    cell.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#wrong h3:has-text('3 taken for 8: 3')")
    pictures = page.locator("#wrong img")
    assert pictures.count() == 3
    page.wait_for_function(
        "() => [...document.querySelectorAll('#wrong img')].every((i) => i.naturalWidth === 8)"
    )


def test_a_cell_of_the_confusion_matrix_opens_its_pictures(page, address):
    visit(page, f"{address}#run?run=sweep/seed%3D0")
    see_the_wrong_pictures(page)
    page.click(".pairs button")
    page.wait_for_selector("#wrong figcaption:has-text('p = 0.5')")
    visit(page, f"{address}#run?run=fast")  # was not evaluated: says how
    page.wait_for_selector("section:has(h2:text-is('Confusion')) code:has-text('jaxbio evaluate')")


def test_what_trains_is_followed_live(page, address, folder):
    open_table(page, address)
    row = page.locator("#runs tr", has=page.locator("a:text-is('live')"))
    assert "40 of 100" in row.inner_text()
    write_lines(folder / "live", *list(training(60))[-20:])
    page.wait_for_selector("text=60 of 100")
    write_run(folder / "new one")
    page.wait_for_selector("a:text-is('new one')")
    page.click("a:text-is('live')")
    page.wait_for_selector("text=step 60 of 100, 15360 of 25600 images, 100.0 images/s, ETA")
    results = {"step": 100, "top1": 0.5, "count": 10}
    write_lines(folder / "live", *list(training(80))[-20:])
    page.wait_for_selector("text=step 80 of 100")
    (folder / "live" / "results.json").write_text(json.dumps(results))
    page.wait_for_selector("text=finished, step 100 of 100")


def test_names_and_values_are_text(page, folder):
    name = "<img src=x onerror=alert(1)>"
    run = write_run(folder / name, data__source="<script>alert(2)</script>")
    write_lines(run, {"step": 1, "split": "train", "<b>loss": 1.0})
    with serving(folder) as (address, _):
        open_table(page, address)
        page.click(f"text={name}")
        page.wait_for_selector("figcaption:has-text('<b>loss')")


def test_the_leaderboard_and_its_exports(page, folder):
    levels = {"a": 0.6, "b": 0.7, "c": 0.75, "d": 0.9, "e": 0.93}
    robust = [0.5, 0.45, 0.6, 0.7, 0.65]
    for (name, level), other in zip(levels.items(), robust, strict=True):
        results = {"step": 9, "top1": level, "count": 364}
        run = write_run(folder / "more" / name, results=results, optimizer__learning_rate=level)
        write_evaluation(run, "robustness", robustness(other))
    with serving(folder) as (address, _):
        visit(page, f"{address}#leaderboard")
        page.wait_for_selector("#leaderboard")
        page.fill("input[type=search]", "more")
        text = page.inner_text("#correlation")
        expected = spearmanr(list(levels.values()), robust).statistic
        assert f"ρ = {expected:.3f}" in text
        low, high = map(float, re.search(r"interval (-?\d\.\d+) to (-?\d\.\d+)", text).groups())
        assert -1 <= low < expected < high <= 1
        page.fill("input[type=search]", "")
        assert "0.870 ± 0.020 (3)" in page.inner_text("#leaderboard")
        with page.expect_download() as got:
            page.click("button:text-is('CSV')")
        rows = list(csv.DictReader(io.StringIO(got.value.path().read_text())))
        best = next(row for row in rows if row["run"] == "more/e")
        assert float(best["accuracy, digits"]) == 0.93
        assert best["accuracy, digits limits"] == "95 % interval"
        folded = next(row for row in rows if row["accuracy, digits seeds"] == "3")
        assert folded["accuracy, digits limits"] == "mean ± SD"
        assert folded["rsa, synthetic recordings"] == "SYNTHETIC"
        with page.expect_download() as got:
            page.click("button:text-is('TEX')")
        tex = got.value.path().read_text()
        assert tex.startswith(r"\begin{tabular}")
        assert "\\textsuperscript{synthetic}" in tex
        assert len({line.count(" & ") for line in tex.splitlines() if line.endswith("\\\\")}) == 1
        with page.expect_download() as got:
            page.locator("button:text-is('SVG')").last.click()
        assert got.value.path().read_text().startswith("<svg")


def test_statistics_are_those_of_scipy(page, address):
    open_table(page, address)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (2, 40)).tolist()  # many ties
    found = page.evaluate("([x, y]) => spearman(x, y)", [x, y])
    assert found == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)
    low, high = page.evaluate("([x, y]) => spearmanInterval(x, y)", [x, y])
    draws = rng.integers(0, 40, (2000, 40))
    values = [spearmanr(np.take(x, d), np.take(y, d)).statistic for d in draws]
    assert [low, high] == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=0.04)


def test_a_grid_is_a_surface_that_turns(page, address):
    visit(page, f"{address}#run?run=grid")
    canvas = page.locator("canvas.surface")
    canvas.scroll_into_view_if_needed()
    before = canvas.screenshot()
    canvas.focus()
    page.keyboard.press("ArrowRight")
    assert canvas.screenshot() != before
    canvas.hover()
    tip = page.locator("canvas.surface + .tip").inner_text()
    assert re.fullmatch(r"filters \d+, theta_plus 0\.\d+: patch_voting 0\.\d{3}", tip)


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_screens_scroll_tables_not_the_page(page, address, width):
    page.set_viewport_size({"width": width, "height": 700})
    for where in ("#runs", "#run?run=sweep/seed%3D0", "#leaderboard", "#run?run=grid"):
        visit(page, f"{address}{where}")
        page.wait_for_selector("table")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where


def test_a_board_that_has_ended_is_said(browser, folder):
    with serving(folder) as (address, _):
        page = browser.new_page()
        open_table(page, address)
    page.wait_for_selector("#note:has-text('no answer')", timeout=SOON)
    assert len(names(page)) == 12
    page.close()


def test_an_export_opens_from_a_disk(page, folder, tmp_path):
    export_site(Index(folder), tmp_path / "site")
    shutil.rmtree(folder)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "site" / "index.html").as_uri())
    page.wait_for_selector("#runs tbody tr")
    assert len(names(page)) == 12
    page.click("a:text-is('sweep/seed=0')")
    page.wait_for_selector("#scorecard")
    page.wait_for_selector("figure:has(figcaption:has-text('loss')) path")
    picture = page.locator("img[alt='report/curves.png']")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('img').naturalWidth > 0")
    see_the_wrong_pictures(page)
    page.click("nav a:text-is('Leaderboard')")
    page.wait_for_selector("#correlation")
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)


def test_a_network_is_trained_from_the_page_and_reads_a_drawn_digit(page, tmp_path):
    folder = tmp_path / "runs"
    write_run(folder / "other")
    with serving(folder, ["lc_snn"]) as (address, actions):
        open_table(page, address)
        assert page.locator("#actions_link").is_hidden()  # without the token
        visit(page, f"{address}#token={actions.token}")
        page.reload()  # the token is kept, and out of the address
        assert "token" not in page.url
        page.click("#actions_link")
        page.fill("input[aria-label='name of the run']", "tiny")
        settings = {
            "filters": 4, "steps": 40, "train_images": 200, "calibration_images": 40,
            "test_images": 40,
        }  # fmt: skip
        page.fill("textarea", "\n".join(f"spiking.{k}={v}" for k, v in settings.items()))
        page.click("button:text-is('Start')")
        page.wait_for_selector("text=started: jaxbio train lc_snn")
        end = time.monotonic() + 150
        while not (folder / "tiny" / "results.json").exists():
            said = page.inner_text("#view")
            assert "ended with code 2" not in said
            assert time.monotonic() < end, said
            page.wait_for_timeout(500)
        visit(page, f"{address}#run?run=tiny")
        weights = page.locator("img[alt='weights from X to Y']")
        weights.scroll_into_view_if_needed()
        page.wait_for_function("() => document.querySelector('img').naturalWidth > 0")
        digit = page.locator("#digit")
        digit.scroll_into_view_if_needed()
        page.click("button:text-is('Show it to the network')")
        page.wait_for_selector("text=nothing is drawn yet")
        box = digit.bounding_box()
        page.mouse.move(box["x"] + 112, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + 112, box["y"] + 190, steps=8)
        page.mouse.up()
        drawn = digit.evaluate("canvas => canvas.toDataURL()")
        with page.expect_response(lambda reply: "api/run" in reply.url and reply.status == 200):
            (folder / "tiny" / "report" / "weights.png").write_bytes(PNG)
        page.wait_for_timeout(200)
        assert (
            digit.evaluate("canvas => canvas.toDataURL()") == drawn
        )  # what is drawn stays while the network changes
        page.click("button:text-is('Show it to the network')")
        page.wait_for_selector("#answer strong", timeout=60_000)
        assert page.inner_text("#answer strong") in [*"0123456789", "nothing"]
        assert int(re.search(r"(\d+) spikes", page.inner_text("#answer")).group(1)) > 0
        page.click("button:has-text('Stop')")
        page.wait_for_selector("text=is not training")
