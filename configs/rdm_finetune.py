"""RDM-loss fine-tuning: a network learns the representational geometry of recordings.

Synthetic, offline: python train.py --config=configs/rdm_finetune.py
Cadieu 2014: python train.py --config=configs/rdm_finetune.py:cadieu --config.rdm.neural=DIR_OR_ZIP
Kriegeskorte 2008, human IT: python train.py --config=configs/rdm_finetune.py:kriegeskorte
  --config.rdm.neural=kriegeskorte2008_92.npz
CIFAR-10 or SVHN as a trained network sees them, which needs no recordings:
  python train.py --config=configs/rdm_finetune.py:cifar10 --config.rdm.teacher=runs/NAME
Trained student: --config.rdm.student=runs/NAME; a network as teacher: --config.rdm.teacher=runs/X
One student against every teacher: --config.teachers=all

The published protocol (Singh et al., "neural-finetuning") is the cadieu variant: SqueezeNet-1.0
pretrained on ImageNet, Adam at 1e-6, 1,000 steps of 196 images. The others start from random or
small networks, which need larger steps.
"""

from jaxbio.configs import base

VARIANTS = ("synthetic", "cadieu", "kriegeskorte", "cifar10", "svhn")


def get_config(variant: str = "synthetic"):
    """One of ``VARIANTS``."""
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant '{variant}': use {', '.join(VARIANTS)}")
    config = base.get_config("rdm")
    config.name = f"rdm_finetune_{variant}"
    config.model.name = "squeezenet1_1"
    config.model.front_end = "none"
    config.optimizer.name = "adamw"
    config.optimizer.weight_decay = 0.0  # AdamW without decay is Adam
    config.schedule.name = "constant"
    config.data.image_size = 64
    if variant == "synthetic":
        config.optimizer.learning_rate = 3e-4
        config.train.total_steps = 200
        config.eval.every_steps = 100
    elif variant == "cadieu":
        config.rdm.region = "IT"
        config.rdm.flip = True
        config.model.name = "squeezenet1_0"
        config.data.image_size = 224
        config.data.mean = (0.485, 0.456, 0.406)
        config.data.std = (0.229, 0.224, 0.225)
        config.optimizer.learning_rate = 1e-6
        config.train.total_steps = 1000
        config.eval.every_steps = 250
    elif variant in ("cifar10", "svhn"):
        config.rdm.neural = variant
        config.rdm.images_per_object = 20
        config.data.image_size = 32
        config.optimizer.learning_rate = 3e-4
        config.train.total_steps = 200
        config.eval.every_steps = 100
    else:
        config.rdm.region = "human_it"
        config.rdm.images_per_object = 1
        config.rdm.held_out = 0.25
        config.optimizer.learning_rate = 3e-4
        config.train.total_steps = 100
        config.eval.every_steps = 25
    config.checkpoint.every_steps = config.eval.every_steps
    return config
