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
    # Of the body: relu, gelu; raa (starts as GELU) or raa2 (as ReLU) with a learned shift, either
    # also with _simple or _elementwise. See jaxbio/models/activations.py.
    model.activation = "relu"
    model.num_classes = 0  # 0: as many as the data has
    model.dtype = "float32"  # compute in float32 or bfloat16; parameters are float32 always
    model.remat = False  # recompute activations in the backward pass: less memory, more time
    model.drop_path = 0.0  # ViTs: stochastic depth of the last block, rising from 0 in the first
    model.times = placeholder(int)  # steps of CORnet-R, RT (5), passes of each area of S (2, 4, 2)
    model.readout = placeholder(str)  # CORnets: last, or all (logits of every step, too)
    model.last_relu = True  # ResNets: ReLU after the very last addition (torchvision has it)
    model.v2_weights = ""  # .pth with AlexNet's second convolution; "": a seeded stand-in
    # Fields of jaxbio.models.spiking_cnn.SpikingCNN; None keeps their defaults.
    model.spiking = spiking = ConfigDict()
    spiking.body = placeholder(str)  # small, or any feed-forward network
    spiking.steps = placeholder(int)  # time steps of a presentation
    spiking.tau = placeholder(float)  # time constant of the neurons, steps
    spiking.surrogate = placeholder(str)  # fast_sigmoid, arctan or straight_through
    spiking.slope = placeholder(float)  # of the surrogate
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
    data.rand_augment = 0  # RandAugment: operations per image; 0: off
    data.rand_magnitude = 9.0  # their mean strength, 0..10
    data.rand_magnitude_std = 0.5
    data.random_erasing = 0.0  # probability of noise in a rectangle
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
    schedule.name = "step"  # constant, step, cosine, plateau or timm_cosine (drops after warm-up)
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

    # Aggregated response regularisation: draws responses of a class to their running mean.
    config.arr = arr = ConfigDict()
    arr.coefficient = 0.0  # weight in the loss; 0: off
    arr.endpoints = "default"  # names with commas; default: the output of every block
    arr.momentum = 0.1  # weight of a new response in its class mean
    arr.start = 0  # visits of a class, beyond the first, up to which a response replaces the mean
    arr.interval = 1  # visits of a class between updates of its mean

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

    config.teachers = ""  # task rdm: one run per teacher, names with commas, or all; "": one run
    config.rdm = rdm = ConfigDict()  # task "rdm": learning from neural data, docs/similarity.md
    rdm.neural = "synthetic"  # file or folder of recordings (docs/neural.md), or the stand-in
    rdm.region = placeholder(str)  # of the recordings: IT, V4, human_it, ...
    rdm.stimuli = placeholder(str)  # where the images are, if not beside the recordings
    rdm.teacher = ""  # target: "" the recordings, a run directory, or random:<model>
    rdm.teachers_dir = "runs"  # where --config.teachers=all looks for runs and converted weights
    rdm.student = ""  # run directory or converted weights to start from; "": random weights
    rdm.layer = "penultimate"  # of the student and of teachers: the endpoint whose RDM counts
    rdm.images_per_object = 4  # in a batch, of every object; batch_size follows from it
    rdm.held_out = 0.2  # share of each object's images (single images: of each category's)
    rdm.split_seed = 0  # of the choice of held-out images; also of the synthetic recordings
    rdm.flip = False  # mirror training images at random, once and for all
    rdm.class_weight = 0.0  # of a classification loss on the categories
    rdm.sit_splits = 100  # random draws of the similarity score

    config.spiking = spiking = ConfigDict()  # task "stdp", docs/spiking.md
    spiking.kind = "lc"  # lc (locally connected), c (convolutional) or fc (fully connected)
    spiking.filters = 25  # channels: neurons per position
    spiking.kernel = 12  # side of a window, pixels; fc: as crop
    spiking.stride = 4  # pixels
    spiking.crop = 20  # side of the input, pixels
    spiking.steps = 250  # of a presentation
    spiking.dt = 1.0  # ms
    spiking.refractory = 2  # steps without input after a spike; published 5 for c and fc
    spiking.trained_competition = False  # lateral weights that learn
    spiking.two_step = False  # trained competition: first half X to Y alone, second half Y to Y
    spiking.learn_xy = True  # False: weights from X to Y are frozen
    spiking.learn_yy = True  # False: trained competition is frozen (fixed competition never learns)
    spiking.mean_weight = 0.46  # of a window after normalisation
    spiking.c_w = -100.0  # fixed competition, or the scale of trained competition at first, mV
    spiking.intensity = 127.5  # rate of a white pixel, Hz
    spiking.encoder = "renewal"  # as published; or bernoulli, poisson, latency
    spiking.tau_pos = 20.0  # of Y's presynaptic trace, ms
    spiking.tau_neg = 20.0  # of Y's postsynaptic trace, ms
    spiking.a_pos = -0.05  # trained competition: mV per presynaptic spike
    spiking.a_neg = -1.6  # trained competition: mV per postsynaptic spike
    spiking.weight_decay = 0.0  # trained competition: subtracted per step, mV
    spiking.c_w_min = float("-inf")  # trained competition: lower clamp, mV
    spiking.c_w_max = 0.0  # trained competition: upper clamp, mV
    spiking.depression = 1e-4  # X to Y, per presynaptic spike
    spiking.potentiation = 1e-2  # X to Y, per postsynaptic spike
    spiking.tau_x = 20.0  # of X's trace, ms
    spiking.tau_v = 20.0  # of the membrane, ms
    spiking.rest = -65.0  # and reset, mV
    spiking.threshold = -52.0  # mV
    spiking.theta_plus = 0.05  # rise of the threshold per spike, mV
    spiking.tau_theta = 1e6  # of the threshold's adaptive part, ms
    spiking.train_images = 5000  # presentations, drawn with replacement; with start_from: in all
    # Run directory, or name in runs/, of a saved network to go on with in this (new) run: weights
    # and thresholds of its newest checkpoint. "": random weights.
    spiking.start_from = ""
    spiking.start_member = placeholder(int)  # of a population; not set: each from its own
    spiking.images_per_update = 1  # more: an approximation, changes of several images are added up
    spiking.calibration_share = 1 / 6  # of the training set, from its end
    spiking.calibration_images = 10_000  # presentations that votes are counted from
    spiking.test_images = 10_000  # presentations
    # Of the test set; or validation: of the second half of the calibration images, to choose by.
    spiking.test_on = "test"
    spiking.readout = "patch_voting"  # decides the best checkpoint; all are measured
    spiking.top_n = 1  # of the readout top_n

    config.population = population = ConfigDict()  # task "stdp": networks that learn side by side
    population.seeds = 1  # networks with seed, seed + 1, ...
    population.grid = ""  # "mean_weight=0.4,0.46;c_w=-80,-100": every point with every seed

    config.mesh = mesh = ConfigDict()
    mesh.data = -1  # devices that split the batch; -1: all that fsdp leaves
    mesh.fsdp = 1  # devices that also split the parameters
    return config
