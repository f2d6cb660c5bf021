"""Run directories as they are on a disk, written by hand: quick, and of every kind."""

import json
import math
import os
import time

from jaxbio.data import open_source
from jaxbio.tasks.config import new_config, restored_config


def write_run(path, task="classification", *, results=None, seed=0, resolved=None, **changes):
    """A run's ``config.json``, and ``results.json`` if there are results."""
    path.mkdir(parents=True, exist_ok=True)
    config = new_config(task)
    with config.unlocked():
        config.name, config.seed, config.data.source = "tiny", seed, "digits"
        if task != "stdp":
            config.train.total_steps = 100
        for key, value in changes.items():
            section, _, name = key.rpartition("__")
            (config[section] if section else config)[name] = value
    data = {"name": "digits", "num_classes": 10, "num_train": 1433, "num_eval": 364}
    resolved = {"data": data, "steps": 100, **(resolved or {})}
    text = json.dumps({"config": config.to_dict(), "resolved": resolved})
    (path / "config.json").write_text(text)
    if results is not None:
        (path / "results.json").write_text(json.dumps(results))
    return path


def write_lines(path, *lines):
    with (path / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def training(steps, start=0.0):
    """Lines of training and tests."""
    for step in range(1, steps + 1):
        loss = 2.0 * math.exp(-step / 30) + start
        numbers = {"loss": loss, "top1": 1 - loss / 3, "images_per_s": 100.0}
        yield {"step": step, "split": "train", **numbers}
        if step % 20 == 0:
            yield {"step": step, "split": "test", "loss": loss + 0.1, "top1": 0.9 - loss / 3}


def write_evaluation(path, stem, content):
    (path / "evaluation").mkdir(exist_ok=True)
    (path / "evaluation" / f"{stem}.json").write_text(json.dumps(content))


DATA = {"name": "digits", "num_classes": 10}


def write_answers(path, wrong=None, fingerprint=None):
    """``predictions.csv`` and ``accuracy.json`` of a run, as ``evaluate`` writes them.

    ``wrong`` gives the answers that are not the class; by default three 3s are taken for 8s.
    """
    config = restored_config(json.loads((path / "config.json").read_text()))
    source = open_source(config.data)
    names, labels = source.class_names, source.eval.labels.tolist()
    threes = [number for number, label in enumerate(labels) if label == 3]
    wrong = dict.fromkeys(threes[:3], 8) if wrong is None else wrong
    lines = ["picture,class,answer,probability,correct"]
    for number, label in enumerate(labels):
        said = wrong.get(number, label)
        sure = 0.5 + number / 10000
        picture = source.eval.example_name(number)
        lines.append(f"{picture},{names[label]},{names[said]},{sure},{said == label:d}")
    data = {**source.describe(), **({"fingerprint": fingerprint} if fingerprint else {})}
    classes = [{"class": name, "count": 1, "top1": 1.0, "mostly": None} for name in names]
    numbers = {"step": 100, "top1": 0.85, "count": len(labels)}
    measured = {**numbers, "data": data, "classes": classes}
    write_evaluation(path, "accuracy", measured)
    (path / "evaluation" / "predictions.csv").write_text("\n".join(lines) + "\n")
    return path


def robustness(level):
    cells = {
        f"{kind}/{severity}": {"top1": level - 0.02 * severity, "count": 364}
        for kind in ("contrast", "fog")
        for severity in range(1, 6)
    }
    clean = {"top1": level, "count": 364}
    return {"step": 100, "data": DATA, "clean": clean, "cells": cells, "scores": {}}


def attacks(level):
    cells = {
        "0.00392157": {"accuracy": level, "interval": [level - 0.05, level + 0.05]},
        "0.0156863": {"accuracy": level / 2, "interval": [level / 2 - 0.05, level / 2 + 0.05]},
    }
    return {
        "step": 100,
        "data": DATA,
        "clean": {"accuracy": 0.9, "interval": [0.86, 0.93]},
        "accuracy_under_attack": {"linf": cells},
        "warnings": ["one step does better than many: gradients may be masked"],
    }


def similarity(level):
    scores = [
        {"measure": measure, "bin": "", "layer": layer, "step": None, "score": level + gain,
         "low": level + gain - 0.05, "high": level + gain + 0.05, "ceiled": None}
        for measure in ("rsa", "pls")
        for gain, layer in enumerate((("v1"), ("layer4")))
        for gain in (0.1 * gain,)
    ]  # fmt: skip
    return {
        "step": 100,
        "synthetic": True,
        "ceilings": [
            {"measure": "rsa", "bin": "", "low": 0.5, "high": 0.6, "what": "subjects"},
            {"measure": "pls", "bin": "", "low": None, "high": None, "what": None},
        ],
        "scores": scores,
    }


def physiology():
    one = {"raw": 0.6, "error": 0.03, "ceiling": 0.9, "score": 0.667, "p": 0.01, "undefined": 0}
    blank = {"study": "s", "recorded": 9, "undefined": 1, "median": 1.0, "score": None}
    return {
        "step": 100,
        "layer": "v1",
        "times": [{"time": "", "properties": {"bandwidth": {**blank, "score": one}, "x": blank}}],
    }


def behaviour():
    answers = ["cat", "dog", "na"]
    return {
        "step": 100,
        "experiment": "sketch",
        "images": 100,
        "accuracy": 0.6,
        "human_accuracy": 0.8,
        "error_consistency": 0.2,
        "human_error_consistency": 0.37,
        "intervals": {"error_consistency": (0.05, 0.35)},
        "conditions": {
            "0": {
                "accuracy": 0.6,
                "error_consistency": 0.2,
                "intervals": {"error_consistency": (0.05, 0.35)},
            }
        },
        "confusion": {"answers": answers, "shares": [[0.5, 0.25], [0.25, 0.5], [0.25, 0.25]]},
    }


def spiking_results(population=False):
    confusion = [[3, 1, 0], [0, 2, 2]]
    one = {"accuracy": 0.625, "error": 0.1, "count": 8, "confusion": confusion}
    results = {"step": 100, "accuracy": 0.625, "error": 0.1, "readouts": {"patch_voting": one}}
    if population:
        members = [
            {"seed": seed, "filters": f, "theta_plus": t,
             "readouts": {"patch_voting": {"accuracy": 0.5 + f / 100 - t, "error": 0.1}}}
            for f in (4, 9, 16) for t in (0.01, 0.05, 0.1) for seed in (0, 1)
        ]  # fmt: skip
        results["readouts"] = {"patch_voting": {"accuracy": 0.6, "error": 0.1}}
        results["population"] = members
    return results


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360f8cfc0f01f0005000100ff5b0c1b0000000049454e44ae426082"
)


def write_everything(root):
    """A folder with runs of each task in each state: names are what they are."""
    for seed in range(3):
        level = 0.85 + 0.02 * seed
        results = {"step": 100, "top1": level, "loss": 0.3, "count": 364, "parameters": 1000}
        run = write_run(root / f"sweep/seed={seed}", results=results, seed=seed)
        write_lines(run, *training(100, 0.01 * seed))
        write_evaluation(run, "robustness", robustness(level - 0.1))
    run = root / "sweep/seed=0"
    write_answers(run)
    write_evaluation(run, "attacks_pgd", attacks(0.5))
    write_evaluation(run, "similarity_synthetic", similarity(0.2))
    write_evaluation(run, "physiology_v1", physiology())
    write_evaluation(run, "behaviour_sketch", behaviour())
    write_evaluation(run, "time", {"step": 100, "top1": [0.1, 0.5, 0.8], "count": 364})
    (run / "report").mkdir()
    (run / "report" / "curves.png").write_bytes(PNG)
    (run / "evaluation" / "similarity_synthetic.html").write_text("<h1>report</h1>")
    other = {"step": 100, "top1": 0.95, "loss": 0.2, "count": 364, "parameters": 2000}
    for name, rate in (("fast", 0.2), ("slow", 0.01)):
        run = write_run(root / name, results=other, optimizer__learning_rate=rate)
        write_lines(run, *training(100))
        write_evaluation(run, "robustness", robustness(0.95 - rate))
    write_lines(write_run(root / "live", optimizer__learning_rate=0.3), *training(40))
    (root / "live" / "lock").touch()
    stopped = write_run(root / "stopped")
    write_lines(stopped, *training(30))
    (stopped / "checkpoints" / "step_30").mkdir(parents=True)
    (stopped / "lock").touch()
    os.utime(stopped / "lock", (time.time() - 3600,) * 2)
    names = {"class_names": ["zero", "one"]}
    spiking = write_run(root / "spiking", "stdp", results=spiking_results(), resolved=names)
    write_lines(
        spiking,
        *({"step": s, "split": "train", "spikes": 90.0 - s, "theta": 0.1 * s} for s in range(1, 9)),
        {"step": 8, "split": "test", "accuracy": 0.6, "images": 80},
    )
    (spiking / "report").mkdir()
    (spiking / "report" / "weights.png").write_bytes(PNG)
    write_run(root / "grid", "stdp", results=spiking_results(population=True))
    scores = {"similarity": 0.3, "similarity_before": 0.2, "similarity_std": 0.01, "step": 100}
    write_run(root / "tuned", "rdm", results=scores)
    (root / "weights").mkdir()
    (root / "weights" / "config.json").write_text('{"model": {"name": "resnet50"}}')
    (root / "broken").mkdir()
    (root / "broken" / "config.json").write_text('{"config')
    return root
