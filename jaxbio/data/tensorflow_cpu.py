"""The one place that imports tensorflow: quiet, and kept off every accelerator.

Import this module only from modules or functions that run when a pipeline is built.
"""

import logging
import os

# JAX sets 1, which shows a traceback for every picture that does not decode; we name it ourselves.
if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# oneDNN speeds up convolutions, of which a pipeline has none, and announces itself on stderr.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf

for _kind in ("GPU", "TPU"):
    try:
        tf.config.set_visible_devices([], _kind)
    except RuntimeError:  # the program used tensorflow's devices before us
        logging.getLogger("jaxbio.data").warning(
            "tensorflow was in use before jaxbio.data: its hold on the %s stays", _kind
        )

# AutoGraph rewrites Python control flow, of which our graphs have none; trying to takes seconds.
plain_graph = tf.autograph.experimental.do_not_convert
