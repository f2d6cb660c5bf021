"""What a spiking network is described by: the keys that decide its shape, and its numbers."""

from dataclasses import dataclass

from jaxbio.options import option

KINDS = ("lc", "c", "fc")
VOTING = ("patch_voting", "all_voting", "spikes_first", "top_n")
READOUTS = (*VOTING, "linear")
MAX_SEEDS = 10_000  # of a population


@dataclass(frozen=True)
class Shape:
    """Sizes and times; :class:`jaxbio.spiking.network.Network` is made of them."""

    kind: str = option(
        "lc", "lc: locally connected; c: convolutional; fc: fully connected", choices=KINDS
    )
    filters: int = option(25, "channels: neurons per position", "[1, 16384]")
    kernel: int = option(12, "side of a window, pixels; fc: as crop", "[1, 1024]")
    stride: int = option(4, "distance of neighbouring windows, pixels", "[1, 1024]")
    crop: int = option(20, "side of the input, pixels", "[1, 1024]")
    steps: int = option(250, "of a presentation", "[1, 100000]")
    dt: float = option(1.0, "length of a step, ms", "(0, 1000]")
    refractory: int = option(
        2, "steps without input after a spike; published 5 for c and fc", "[0, 100000]"
    )
    trained_competition: bool = option(False, "lateral weights are a matrix that learns")


@dataclass(frozen=True)
class Numbers:
    """Defaults and ranges of :class:`jaxbio.spiking.network.Parameters`."""

    mean_weight: float = option(0.46, "of a window after normalisation", "(0, inf)")
    c_w: float = option(
        -100.0,
        "fixed competition, or the scale of trained competition at first, mV; it inhibits",
        "(-inf, 0]",
    )
    intensity: float = option(127.5, "rate of a white pixel, Hz", "[0, 1000000]")
    tau_pos: float = option(20.0, "of Y's presynaptic trace, ms", "(0, inf)")
    tau_neg: float = option(20.0, "of Y's postsynaptic trace, ms", "(0, inf)")
    a_pos: float = option(-0.05, "trained competition: mV per presynaptic spike")
    a_neg: float = option(-1.6, "trained competition: mV per postsynaptic spike")
    weight_decay: float = option(0.0, "trained competition: subtracted per step, mV", "[0, inf)")
    c_w_min: float = option(float("-inf"), "trained competition: lower clamp, mV", "[-inf, inf)")
    c_w_max: float = option(0.0, "trained competition: upper clamp, mV", "(-inf, inf]")
    depression: float = option(1e-4, "X to Y, per presynaptic spike", "[0, inf)")
    potentiation: float = option(1e-2, "X to Y, per postsynaptic spike", "[0, inf)")
    tau_x: float = option(20.0, "of X's trace, ms", "(0, inf)")
    tau_v: float = option(20.0, "of the membrane, ms", "(0, inf)")
    rest: float = option(-65.0, "and reset, mV")
    threshold: float = option(-52.0, "without its adaptive part, mV")
    theta_plus: float = option(0.05, "rise of the threshold per spike, mV", "[0, inf)")
    tau_theta: float = option(1e6, "of the threshold's adaptive part, ms", "(0, inf)")
