"""DNRT on the other networks that it is shown on, by NETWORK-DATA; all with one recipe.

Digits, offline: python train.py --config=configs/dnrt_networks.py:mobilenet_v2-digits
CIFAR-100: python train.py --config=configs/dnrt_networks.py:cait_xxs24-cifar100
A baseline of a network: --config.model.activation=gelu --config.arr.coefficient=0
"""

from jaxbio.configs import dnrt

# Network: its variants for images of 32 and of 224 pixels.
NETWORKS = {
    "deit_tiny": ("deit_tiny_patch4_32", "deit_tiny_patch16_224"),
    "cait_xxs24": ("cait_xxs24_patch4_32", "cait_xxs24_patch16_224"),
    "pvt_tiny": ("pvt_tiny_patch1_32", "pvt_tiny_patch4_224"),
    "tnt_s": ("tnt_s_patch4_32", "tnt_s_patch16_224"),
    "mobilenet_v2": ("mobilenet_v2_32", "mobilenet_v2"),
    "shufflenet_v2": ("shufflenet_v2_x1_0_32", "shufflenet_v2_x1_0"),
}


def get_config(variant: str = "deit_tiny-digits"):
    """A network of NETWORKS and one of configs/datasets.py's variants."""
    network, _, data = variant.partition("-")
    if network not in NETWORKS:
        raise ValueError(
            f"unknown network '{network}' of dnrt_networks: use {', '.join(NETWORKS)}, then "
            "-DATA, such as deit_tiny-cifar10"
        )
    data = data or "digits"
    transformer = "patch" in NETWORKS[network][0]
    make = dnrt.vit_config if transformer else dnrt.resnet_config
    config = make(f"dnrt_networks_{network}", data, "raa")
    config.model.name = NETWORKS[network][config.data.image_size > 32]
    config.arr.coefficient = dnrt.ARR_COEFFICIENTS[data]
    return config
