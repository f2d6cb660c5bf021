"""What people see: in the dark, on paper, without colours or a mouse, of what is not there."""

import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tests.board.conftest import serving, visit
from tests.board.runs import similarity, training, write_evaluation, write_lines, write_run

pytestmark = pytest.mark.slow
_CHART = "figure:has(figcaption:has-text('{}'))"


def open_run(page, address, *names):
    visit(page, f"{address}#run?" + "&".join(f"run={name.replace('=', '%3D')}" for name in names))


def contrast(one, other):
    """Of two colours as browsers compute them (WCAG 2)."""

    def light(colour):
        numbers = [float(n) for n in re.findall(r"[\d.]+", colour.replace("srgb", ""))[:3]]
        numbers = numbers if colour.startswith("color(") else [n / 255 for n in numbers]
        line = [n / 12.92 if n <= 0.04045 else ((n + 0.055) / 1.055) ** 2.4 for n in numbers]
        return 0.2126 * line[0] + 0.7152 * line[1] + 0.0722 * line[2]

    high, low = sorted([light(one), light(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_of_maps_are_legible_and_small_ones_are_near_the_page(page, address, scheme):
    page.emulate_media(color_scheme=scheme)
    visit(page, address)
    shares = [n / 40 for n in range(41)]
    colours = page.evaluate(
        """values => {
          document.body.append(heatMap("map", ["row"], values, [values], { shares: [values] }));
          return [...document.querySelectorAll(".heat td")].map((cell) => {
            const { color, backgroundColor } = getComputedStyle(cell);
            return [color, backgroundColor];
          });
        }""",
        shares,
    )
    assert min(contrast(text, cell) for text, cell in colours) > 3.7
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    away = [contrast(cell, paper) for _, cell in colours]
    assert away == sorted(away)
    assert away[0] < 1.2
    assert away[-1] > 8


def test_lines_differ_in_more_than_colour(page, tmp_path):
    names = [f"run{number}" for number in range(9)]
    for name in names:
        write_lines(write_run(tmp_path / "runs" / name), *training(40))
    with serving(tmp_path / "runs") as (address, _):
        open_run(page, address, *names)
        samples = page.locator(_CHART.format("loss")).locator(".legend button svg")
        samples.first.wait_for()
        lines = samples.evaluate_all(
            """all => all.map(({ children: [line, shape] }) => [
              line.getAttribute("stroke"), line.getAttribute("stroke-dasharray"),
              shape.getAttribute("d")])"""
        )
    assert len(set(map(tuple, lines))) == 18  # training and test of each
    assert len({shape for _, _, shape in lines[:5]}) == 5


def test_bands_have_the_colours_of_their_runs(page, address):
    open_run(page, address, "fast", "sweep/seed=0", "sweep/seed=1")
    colours = "all => all.map((one) => one.getAttribute('fill'))"
    marks = page.locator("svg.mark path")
    marks.first.wait_for()
    assert len(set(marks.evaluate_all(colours))) == 3
    page.check("text=seeds as mean and band")
    fast, *seeds = marks.evaluate_all(colours)
    legend = page.locator(_CHART.format("loss")).locator(".legend button")
    line = legend.filter(has_text="(2 seeds)").first.locator("line")
    assert {line.get_attribute("stroke")} == set(seeds) != {fast}


def test_steps_are_whole_and_chance_is_drawn(page, tmp_path):
    write_lines(write_run(tmp_path / "runs" / "short"), *list(training(20))[-1:])
    with serving(tmp_path / "runs") as (address, _):
        open_run(page, address, "short")
        chart = page.locator(_CHART.format("top1"))
        texts = chart.locator("svg text").all_text_contents()
        steps = texts[: texts.index("step")]
        assert "20" in steps
        assert not [text for text in steps if re.fullmatch(r"(19|20|21)\.\d+", text)]
        assert chart.locator("line.chance").count() == 1
        assert "chance 0.100" in chart.inner_text()


def test_a_map_over_time_has_steps_intervals_and_the_ceiling(page, tmp_path):
    found = similarity(0.06)
    found["scores"] = [
        {**row, "step": step, "score": 0.06}
        for row in found["scores"] if row["measure"] == "rsa" for step in (0, 1)
    ]  # fmt: skip
    write_evaluation(write_run(tmp_path / "runs" / "a"), "similarity_x", found)
    with serving(tmp_path / "runs") as (address, _):
        open_run(page, address, "a")
        table = page.locator("section:has(h2:text-is('Similarity')) table")
        assert table.locator("thead th").all_inner_texts() == ["layer", "step 0", "step 1"]
        assert table.locator("td").first.inner_text().split() == ["0.060", "[0.010,", "0.110]"]
        section = page.locator("section:has(h2:text-is('Similarity'))").inner_text()
        assert "ceiling 0.500 to 0.600" in section
        # A tenth of the ceiling is no dark cell, though no other is higher.
        assert table.locator("td.deep").count() == 0


def saved(page, button):
    with page.expect_download() as got:
        button.click()
    return got.value.path().read_text(encoding="utf-8")


def test_drawings_that_are_saved_look_as_on_the_page(page, address, tmp_path):
    open_run(page, address, "fast", "slow")
    chart = page.locator(_CHART.format("loss"))
    text = saved(page, chart.locator("button:text-is('SVG')"))
    root = ElementTree.fromstring(text)
    words = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"loss", "step", "fast train", "slow test"} <= set(words)
    (tmp_path / "a.svg").write_text(text, encoding="utf-8")
    page.goto((tmp_path / "a.svg").as_uri())
    fill = "getComputedStyle(document.querySelector('path.axis')).fill"
    assert page.evaluate(fill) == "none"
    open_run(page, address, "sweep/seed=0")
    root = ElementTree.fromstring(
        saved(page, page.locator(_CHART.format("macaque")).locator("button"))
    )
    assert any("95 %" in (one.text or "") for one in root.iter())


def test_on_paper_the_leaderboard_has_all_columns_and_is_light(page, address):
    page.emulate_media(color_scheme="dark")
    visit(page, f"{address}#leaderboard")
    page.wait_for_selector("#correlation")
    document = page.pdf(prefer_css_page_size=True)
    assert document.startswith(b"%PDF-")
    sizes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", document)
    assert sizes
    assert all(float(width) > float(height) for width, height in sizes)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 1000, "height": 700})
    right = """() => Math.max(...[...document.querySelectorAll("#leaderboard th")].map((cell) =>
      cell.getBoundingClientRect().right))"""
    assert page.evaluate(right) <= 1000
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    open_run(page, address, "sweep/seed=0")
    assert page.locator(".heat button:has-text('3')").first.is_visible()  # a count, not a control
    assert page.locator(".legend button").first.is_visible()


def test_points_of_two_measures_have_names_and_few_have_no_interval(page, address):
    visit(page, f"{address}#leaderboard")
    page.wait_for_selector("#correlation")
    picture = page.locator("svg[role=group]")
    assert picture.locator("circle").count() >= 2  # measures that models share are chosen first
    assert "fast" in picture.locator("text").all_text_contents()
    assert "interval" not in page.inner_text("#correlation").replace("too few for an interval", "")


def test_a_digit_is_drawn_by_keyboard(page, folder):
    with serving(folder, ["lc_snn"]) as (address, actions):
        visit(page, f"{address}#token={actions.token}")
        page.wait_for_selector("#runs tbody tr")
        open_run(page, address, "spiking")
        digit = page.locator("#digit")
        digit.focus()
        drawn = "canvas => canvas.toDataURL()"
        empty = digit.evaluate(drawn)
        for _ in range(3):
            page.keyboard.press("Shift+ArrowUp")
        assert digit.evaluate(drawn) == empty
        assert page.locator(".spot").is_visible()
        page.keyboard.press("ArrowDown")
        assert digit.evaluate(drawn) != empty
        page.click("button:text-is('Clear')")
        assert digit.evaluate(drawn) == empty
        # It is asked for no measure that it would refuse.
        assert page.locator("select[aria-label=measure] option").all_inner_texts() == ["accuracy"]


def test_runs_that_are_not_there_are_said_and_the_others_shown(page, folder):
    with serving(folder) as (address, _):
        open_run(page, address, "fast", "sweep/seed=0", "none")
        page.wait_for_selector("#view .bad:has-text(\"no run 'none'\")")
        legend = page.locator(_CHART.format("loss")).locator(".legend button")
        legend.nth(3).wait_for()
        assert legend.count() == 4
        shutil.rmtree(folder / "fast")
        page.wait_for_selector("#view .bad:has-text(\"no run 'fast'\")")
        page.wait_for_function(
            "() => !/fast train/.test(document.querySelector('figure').textContent)"
        )
        assert legend.count() == 2
        visit(page, f"{address}#run?run=slow")
        page.wait_for_selector("#scorecard")
        shutil.rmtree(folder / "slow")
        page.wait_for_selector("#view .bad:has-text('any more')")
        assert page.locator("#scorecard").is_visible()  # the last that was seen of it
        visit(page, f"{address}#run?run=never")
        page.wait_for_selector("#view .bad:has-text(\"no run 'never'\")")
        assert page.locator("h2").first.is_hidden()
        visit(page, f"{address}#run")
        page.wait_for_selector("#runs tbody tr")


def test_points_without_neighbours_are_no_surface(page, address):
    visit(page, address)
    page.wait_for_selector("#runs tbody tr")
    made = """points => {
      const found = surfaceOf(["a", "b", "c"], points.map((at) => ({ at, value: 0.5 })), "score");
      const choices = found && [...found.querySelectorAll("select")];
      return choices && choices.map((one) => one.selectedOptions[0].text);
    }"""
    apart = [[1, 1, 1], [2, 2, 2]]
    assert page.evaluate(made, apart) is None
    square = [[0, b, c] for b in (1, 2) for c in (3, 4)]
    assert page.evaluate(made, [*square, [1, 5, 6]]) == ["b", "c"]  # the two that have one


def test_what_commands_say_is_followed_and_failures_are_marked(page, tmp_path, monkeypatch):
    write_run(tmp_path / "a")
    real = subprocess.Popen

    def start(command, **options):
        said = "import sys; print('\\n'.join(map(str, range(200)))); sys.exit(2)"
        return real([sys.executable, "-c", said], **options)

    with serving(tmp_path, ["lc_snn"]) as (address, actions):
        monkeypatch.setattr("subprocess.Popen", start)
        visit(page, f"{address}#token={actions.token}")
        page.click("#actions_link")
        page.fill("input[aria-label='name of the run']", "../x")
        page.click("button:text-is('Start')")
        page.wait_for_selector(".bad:has-text('../x')")
        page.fill("input[aria-label='name of the run']", "x")
        page.click("button:text-is('Start')")
        page.wait_for_selector(".faint:has-text('started')")
        page.wait_for_selector(".bad:text-is(' — ended with code 2')")
        said = page.locator("pre")
        place = "pre => pre.scrollHeight - pre.clientHeight - pre.scrollTop"
        assert said.evaluate(place) <= 1
        said.evaluate("pre => pre.scrollTop = 0")
        with page.expect_response(lambda reply: "jobs" in reply.url):
            pass
        page.wait_for_timeout(100)
        assert said.evaluate("pre => pre.scrollTop") == 0  # where one reads
        visit(page, f"{address}#run?run=a")
        page.click("button:text-is('Evaluate')")
        page.click("text=what it says")
        page.wait_for_selector("pre")
        for job in actions._jobs:
            job.process.wait()
            job.output.close()
