"""Every configuration key, once, with its default and meaning.

An experiment's file starts from ``get_config()`` and states only what differs. Durations come as
two keys with a suffix, ``*_epochs`` and ``*_steps``: set one; ``_steps`` wins if both are set.
``None`` means "not set".
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """All keys with their defaults."""
    config = ConfigDict()
    config.name = "base"  # the run directory's default is runs/<name>
    config.task = "classification"  # what is trained how; see jaxbio/training/experiment.py
    config.seed = 0  # initial weights, data order, augmentation, dropout and noise

    config.model = model = ConfigDict()
    model.name = "resnet18"  # a name of jaxbio.list_models()
    model.front_end = "svp"  # svp (V1 and V2), vone (V1) or none
    model.activation = "relu"  # of the body: relu, gelu
    model.num_classes = 0  # 0: as many as the data has
    model.dtype = "float32"  # compute in float32 or bfloat16; parameters are float32 always
    model.remat = False  # recompute activations in the backward pass: less memory, more time
    model.last_relu = True  # ResNets: ReLU after the very last addition (torchvision has it)
    model.v2_weights = ""  # .pth with AlexNet's second convolution; "": a seeded stand-in
    # Fields of jaxbio.models.front_end.V1; None keeps the default of the chosen front-end.
    model.v1 = v1 = ConfigDict()
    v1.simple_channels = placeholder(int)
    v1.complex_channels = placeholder(int)
    v1.out_channels = placeholder(int)  # of the trainable 1x1 bottleneck
    v1.param_mode = placeholder(str)  # neuronal or uniform sampling of the Gabor parameters
    v1.seed = placeholder(int)  # of the Gabor parameters and their colour channels
    v1.sf_corr = placeholder(float)  # correlation of receptive-field size and frequency
    v1.sf_min = placeholder(float)  # cycles per degree
    v1.sf_max = placeholder(float)  # cycles per degree
    v1.visual_degrees = placeholder(float)  # field of view; default image_size / 28
    v1.kernel_size = placeholder(int)  # pixels
    v1.stride = placeholder(int)  # pixels
    v1.k_exc = placeholder(float)  # gain
    v1.same_color = placeholder(bool)  # both quadratures of a complex cell read one colour
    v1.noise_mode = placeholder(str)  # none, neuronal or gaussian
    v1.noise_scale = placeholder(float)
    v1.noise_level = placeholder(float)
    v1.noise_at_eval = placeholder(bool)
    v1.fixed_noise_seed = placeholder(int)  # one noise sample for every call

    config.data = data = ConfigDict()
    data.source = "digits"  # digits, mnist, folder or tfds:<name>
    data.data_dir = placeholder(str)  # default: the environment variable JAXBIO_DATA_DIR
    data.image_size = 32  # pixels
    data.resize_size = 0  # evaluation: shorter side before the centre crop; 0: image_size * 8/7
    data.augmentation = "none"  # none, crop_flip or shift
    data.crop_scale = (0.08, 1.0)  # crop_flip: area of the random crop, a share of the image
    data.flip = True  # crop_flip: mirror every second image
    data.max_shift = 0.1  # shift: largest translation, a share of the image size
    data.max_zoom = 0.1  # shift: largest enlargement or reduction
    # Image corruptions as augmentation: names with commas, benchmark, validation, all; "": none.
    data.corruption_augmentation = ""
    data.corruption_severities = "1,2,3"  # of them
    data.corruption_share = 0.5  # of the images of a batch
    data.mean = (0.5, 0.5, 0.5)  # per colour channel, of images in [0, 1]
    data.std = (0.5, 0.5, 0.5)
    data.max_bad_files = 0  # undecodable files to skip before stopping
    data.cache = "auto"  # tfds: keep encoded images in memory; auto: if there is no faster way
    data.num_threads = 0  # 0: as many as cores
    data.prefetch = 2  # batches

    config.train = train = ConfigDict()
    train.batch_size = 256  # over all devices
    train.total_epochs = placeholder(float)
    train.total_steps = placeholder(int)
    train.accumulate = 1  # micro-batches per optimiser step
    train.label_smoothing = 0.0
    train.ema_decay = 0.0  # of the averaged parameters that evaluation then uses; 0: off

    config.optimizer = optimizer = ConfigDict()
    optimizer.name = "sgd"  # sgd (momentum, L2 decay in the gradient) or adamw (decoupled decay)
    optimizer.learning_rate = 0.1
    optimizer.momentum = 0.9
    optimizer.nesterov = False
    optimizer.b1 = 0.9
    optimizer.b2 = 0.999
    optimizer.eps = 1e-8
    optimizer.weight_decay = 1e-4
    optimizer.decay = "all"  # all parameters, or kernels (arrays of two and more dimensions)
    optimizer.clip_norm = 0.0  # global gradient norm; 0: off

    config.schedule = schedule = ConfigDict()
    schedule.name = "step"  # constant, step, cosine or plateau
    schedule.warmup_epochs = 0.0  # linear, from warmup_from * learning_rate
    schedule.warmup_steps = placeholder(int)
    schedule.warmup_from = 0.0  # a share of the learning rate
    schedule.factor = 0.1  # step, plateau: multiplier of each drop
    schedule.drop_every_epochs = 20.0  # step
    schedule.drop_every_steps = placeholder(int)
    schedule.final = 0.0  # cosine: a share of the learning rate
    schedule.patience_epochs = 19.0  # plateau: time without improvement before a drop
    schedule.patience_steps = placeholder(int)
    schedule.threshold = 0.01  # plateau: smallest relative improvement of the loss that counts

    config.eval = evaluation = ConfigDict()
    evaluation.batch_size = 256  # over all devices
    evaluation.every_epochs = 1.0  # during training
    evaluation.every_steps = placeholder(int)
    evaluation.corrupt = "before_resize"  # or after_resize (data smaller than 32 px)

    config.checkpoint = checkpoint = ConfigDict()
    checkpoint.every_epochs = 1.0
    checkpoint.every_steps = placeholder(int)
    checkpoint.every_minutes = 120.0  # whatever the steps; 0: off
    checkpoint.keep_last = 2
    checkpoint.keep_best = 1  # by test top-1

    config.log = log = ConfigDict()
    log.every_steps = 20
    log.tensorboard = True

    config.mesh = mesh = ConfigDict()
    mesh.data = -1  # devices that split the batch; -1: all that fsdp leaves
    mesh.fsdp = 1  # devices that also split the parameters
    return config
