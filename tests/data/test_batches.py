import itertools

import numpy as np
import pytest

from jaxbio.data import DataError, eval_batches, steps_per_epoch, train_batches

AUGMENTATIONS = ["none", "crop_flip", "shift"]


def take(batches, number):
    return list(itertools.islice(batches, number))


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def joined(parts):
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_training_batches_have_the_promised_form(opened):
    source, settings = opened
    batch = next(train_batches(source, settings(), global_batch_size=6, seed=0))
    assert set(batch) == {"image", "label", "index"}
    assert batch["image"].shape == (6, 16, 16, 3)
    assert batch["image"].dtype == np.uint8
    for name in ("label", "index"):
        assert batch[name].shape == (6,)
        assert batch[name].dtype == np.int32
    np.testing.assert_array_equal(batch["label"], source.train.labels[batch["index"]])


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_resuming_changes_nothing(opened, augmentation):
    source, settings = opened
    cfg = settings(augmentation=augmentation)
    per_epoch = steps_per_epoch(source, 7)
    whole = take(train_batches(source, cfg, global_batch_size=7, seed=3), per_epoch + 3)
    for start in (1, per_epoch - 1, per_epoch + 1):
        rest = train_batches(
            source, cfg, global_batch_size=7, seed=3, start_step=start, num_steps=2
        )
        rest = list(rest)
        assert len(rest) == 2
        for batch, expected in zip(rest, whole[start:], strict=False):
            assert_same(batch, expected)


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_processes_share_one_batch(opened, augmentation):
    source, settings = opened
    cfg = settings(augmentation=augmentation)
    common = {"global_batch_size": 12, "seed": 1, "start_step": 1, "num_steps": 2}
    alone = list(train_batches(source, cfg, **common))
    parts = [
        list(train_batches(source, cfg, **common, process_index=i, process_count=3))
        for i in range(3)
    ]
    for step, expected in enumerate(alone):
        assert_same(joined([part[step] for part in parts]), expected)


def test_threads_change_nothing(opened):
    source, settings = opened
    runs = [
        take(
            train_batches(
                source,
                settings(augmentation="crop_flip", num_threads=threads, prefetch=prefetch),
                global_batch_size=8,
                seed=0,
            ),
            4,
        )
        for threads, prefetch in ((1, 1), (5, 3))
    ]
    for other in runs[1:]:
        for batch, expected in zip(other, runs[0], strict=True):
            assert_same(batch, expected)


def test_an_epoch_visits_every_example_at_most_once(opened):
    source, settings = opened
    size = 7
    per_epoch = steps_per_epoch(source, size)
    assert per_epoch == source.num_train // size
    batches = take(train_batches(source, settings(), global_batch_size=size, seed=0), 2 * per_epoch)
    epochs = [joined(batches[:per_epoch])["index"], joined(batches[per_epoch:])["index"]]
    for index in epochs:
        assert len(index) == len(set(index.tolist())) == size * per_epoch
        assert index.min() >= 0
        assert index.max() < source.num_train
    assert not np.array_equal(*epochs)


def test_a_divisor_visits_every_example(opened):
    source, settings = opened
    size = 8 if source.name == "folder" else 1433
    batches = take(
        train_batches(source, settings(), global_batch_size=size, seed=2), source.num_train // size
    )
    np.testing.assert_array_equal(np.sort(joined(batches)["index"]), np.arange(source.num_train))


def test_seeds_give_other_orders(opened):
    source, settings = opened
    first, second = (
        next(train_batches(source, settings(), global_batch_size=12, seed=seed)) for seed in (0, 1)
    )
    assert not np.array_equal(first["index"], second["index"])


@pytest.mark.parametrize("augmentation", ["crop_flip", "shift"])
def test_augmentation_is_keyed_by_step_and_place(opened, augmentation):
    source, settings = opened
    cfg = settings(augmentation=augmentation)
    size = source.num_train if source.name == "folder" else 1433
    first, second = take(train_batches(source, cfg, global_batch_size=size, seed=0), 2)
    plain = next(train_batches(source, settings(), global_batch_size=size, seed=0))
    np.testing.assert_array_equal(first["index"], plain["index"])
    in_order = [batch["image"][np.argsort(batch["index"])] for batch in (plain, first, second)]
    for one, other in itertools.combinations(in_order, 2):
        changed = (one != other).any(axis=(1, 2, 3))
        assert changed.mean() > 0.95  # every example anew, every epoch


def test_flip_can_be_off(opened):
    source, settings = opened
    keys = {"augmentation": "crop_flip", "crop_scale": (1.0, 1.0)}
    runs = [
        next(train_batches(source, settings(flip=flip, **keys), global_batch_size=20, seed=0))
        for flip in (False, True)
    ]
    unflipped, flipped = (batch["image"] for batch in runs)
    mirrored = (flipped == unflipped[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (flipped == unflipped).all(axis=(1, 2, 3))
    assert (mirrored | same).all()
    assert 2 <= (mirrored & ~same).sum() <= 18


@pytest.mark.parametrize("process_count", [1, 2])
@pytest.mark.parametrize("split", ["eval", "train"])
def test_evaluation_counts_every_example_once(opened, split, process_count):
    source, settings = opened
    part = source.eval if split == "eval" else source.train
    size = 4 if source.name == "folder" else 100
    runs = [
        list(
            eval_batches(
                source,
                settings(),
                global_batch_size=size,
                process_index=i,
                process_count=process_count,
                split=split,
            )
        )
        for i in range(process_count)
    ]
    assert {len(run) for run in runs} == {-(-len(part) // size)}
    everything = joined([joined([run[step] for run in runs]) for step in range(len(runs[0]))])
    assert everything["image"].shape[1:] == (16, 16, 3)
    mask, index = everything["mask"], everything["index"]
    assert (everything["image"].dtype, mask.dtype, index.dtype) == (np.uint8, bool, np.int32)
    np.testing.assert_array_equal(index[mask], np.arange(len(part)))
    np.testing.assert_array_equal(everything["label"][mask], part.labels)
    assert (index[~mask] == -1).all()
    assert not everything["image"][~mask].any()
    assert not everything["label"][~mask].any()


def test_a_batch_larger_than_the_split(opened):
    source, settings = opened
    (batch,) = eval_batches(source, settings(), global_batch_size=400)
    assert batch["mask"].sum() == source.num_eval


def test_training_without_augmentation_is_evaluation(opened):
    source, settings = opened
    train = next(train_batches(source, settings(), global_batch_size=10, seed=0))
    evaluated = joined(list(eval_batches(source, settings(), global_batch_size=50, split="train")))
    np.testing.assert_array_equal(train["image"], evaluated["image"][train["index"]])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"global_batch_size": 10, "process_count": 3}, "batch of 10 .* 3 processes"),
        ({"global_batch_size": 0}, "batch of 0"),
        ({"global_batch_size": 10, "process_index": 1}, "process_index=1"),
        ({"global_batch_size": 5000}, "5000 is larger"),
        ({"global_batch_size": 10, "start_step": -1}, "start_step=-1"),
        ({"global_batch_size": 10, "seed": 2**63}, "seed="),
    ],
)
def test_training_errors_come_at_once(opened, keys, words):
    source, settings = opened
    with pytest.raises(DataError, match=words):
        train_batches(source, settings(), **{"seed": 0, **keys})


def test_evaluation_errors_come_at_once(opened):
    source, settings = opened
    with pytest.raises(DataError, match="split='test'"):
        eval_batches(source, settings(), global_batch_size=4, split="test")
    with pytest.raises(DataError, match="3 processes"):
        eval_batches(source, settings(), global_batch_size=4, process_count=3)
    with pytest.raises(DataError, match="image_size"):
        eval_batches(source, settings(image_size=0), global_batch_size=4)
