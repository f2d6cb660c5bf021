"""The picture sheet and its command."""

import numpy as np
import pytest
from PIL import Image

from jaxbio.commands.main import main
from jaxbio.corruptions.sheet import picture_sheet


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def test_one_severity_fills_a_grid_and_several_make_rows(image):
    figure = picture_sheet(image, ("contrast", "brightness"), (2,))
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["clean", "contrast", "brightness"]
    figure = picture_sheet(image, ("contrast", "brightness"), (2, 3))
    assert [axis.get_title() for axis in figure.axes][:3] == [
        "contrast",
        "severity 2",
        "severity 3",
    ]
    assert len(figure.axes) == 6
    with pytest.raises(ValueError, match="give at least one"):
        picture_sheet(image, (), (1,))


def test_command_writes_a_sheet(image, tmp_path, capsys):
    source, sheet = tmp_path / "a.png", tmp_path / "sheet.png"
    Image.fromarray(image).save(source)
    arguments = [str(source), f"--output={sheet}", "--corruptions=contrast", "--severity=2"]
    assert main(["corruptions", *arguments]) == 0
    with Image.open(sheet) as written:
        assert min(written.size) > 100
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "sheet.png"]
    assert "1 corruptions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png", "--output=b.png"], "none.png"),
        (["text.png", "--output=b.png"], "text.png cannot be read"),
        (["small.png", "--output=b.png"], "at least 32x32"),
        (["a.png", "--output=nowhere/b.png"], "--output=nowhere/b.png"),
        (["a.png", "--output=b.png", "--severities=9"], "--severities=9: use 1 to 5"),
        (["a.png", "--output=b.png", "--severities=x"], "--severities=x"),
        (["a.png", "--output=b.png", "--corruptions=rain"], "--corruptions=rain: use benchmark"),
    ],
)
def test_command_reports_bad_input_in_one_line(
    arguments, message, image, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(image).save("a.png")
    Image.fromarray(image[:20]).save("small.png")
    (tmp_path / "text.png").write_text("no picture")
    assert main(["corruptions", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "b.png").exists()
