import matplotlib
from matplotlib.figure import Figure

from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.figures import save_figures


def test_another_format_stands_beside_the_png(tmp_path):
    run = RunDirectory(tmp_path)
    (plain,) = save_figures(run, {"plain": Figure(figsize=(1, 1))})
    with matplotlib.rc_context({"savefig.format": "pdf"}):
        (png,) = save_figures(run, {"both": Figure(figsize=(1, 1))}, "evaluation")
    assert plain == tmp_path / "report" / "plain.png"
    assert plain.read_bytes()[1:4] == b"PNG"
    assert not plain.with_suffix(".pdf").exists()
    assert png.read_bytes()[1:4] == b"PNG"
    assert png.with_suffix(".pdf").read_bytes()[:4] == b"%PDF"
