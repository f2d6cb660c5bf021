"""Similarity of representations: models against brains, or against each other."""

from jaxbio.similarity.banded_ridge import BandedRidge, banded_ridge, banded_ridge_predict
from jaxbio.similarity.behaviour import (
    Trials,
    discriminability,
    error_consistency,
    human_confusions,
    i2n,
    i2n_consistency,
    model_confusions,
)
from jaxbio.similarity.ceilings import (
    Consistency,
    NoiseCeiling,
    ceiled,
    internal_consistency,
    mean_rdm_ceiling,
    rsa_noise_ceiling,
    spearman_brown,
)
from jaxbio.similarity.cka import cka, cka_from_gram
from jaxbio.similarity.compare import COMPARATORS, compare, rdm_scores
from jaxbio.similarity.covariance import noise_covariance, noise_precision, residuals
from jaxbio.similarity.crossval import Splits, stratified_splits
from jaxbio.similarity.gram import gram
from jaxbio.similarity.inference import (
    GENERALISATIONS,
    Fold,
    Inference,
    evaluate_bootstrap,
    evaluate_crossvalidated,
    evaluate_fixed,
    make_folds,
)
from jaxbio.similarity.loss import object_means, rdm_loss
from jaxbio.similarity.noise import CADIEU_IT, NeuralNoise, match_noise
from jaxbio.similarity.predictivity import (
    BRAIN_SCORE_ALPHAS,
    REGRESSIONS,
    Predictivity,
    RankWarning,
    predictivity,
    predictivity_from_gram,
)
from jaxbio.similarity.products import Products, products
from jaxbio.similarity.rdm import (
    RDM_METHODS,
    crossnobis,
    crossvalidated_poisson,
    rdm,
    square,
    upper,
)
from jaxbio.similarity.readout import Readout, fit_readout
from jaxbio.similarity.responses import drop_nan
from jaxbio.similarity.ridge import RIDGE_ALPHAS
from jaxbio.similarity.sit import SIT, sit
from jaxbio.similarity.svm import SELECTIONS, SVM_CS, SVMScore, svm_accuracy, svm_fit, svm_score

__all__ = [
    "BRAIN_SCORE_ALPHAS",
    "CADIEU_IT",
    "COMPARATORS",
    "GENERALISATIONS",
    "RDM_METHODS",
    "REGRESSIONS",
    "RIDGE_ALPHAS",
    "SELECTIONS",
    "SIT",
    "SVM_CS",
    "BandedRidge",
    "Consistency",
    "Fold",
    "Inference",
    "NeuralNoise",
    "NoiseCeiling",
    "Predictivity",
    "Products",
    "RankWarning",
    "Readout",
    "SVMScore",
    "Splits",
    "Trials",
    "banded_ridge",
    "banded_ridge_predict",
    "ceiled",
    "cka",
    "cka_from_gram",
    "compare",
    "crossnobis",
    "crossvalidated_poisson",
    "discriminability",
    "drop_nan",
    "error_consistency",
    "evaluate_bootstrap",
    "evaluate_crossvalidated",
    "evaluate_fixed",
    "fit_readout",
    "gram",
    "human_confusions",
    "i2n",
    "i2n_consistency",
    "internal_consistency",
    "make_folds",
    "match_noise",
    "mean_rdm_ceiling",
    "model_confusions",
    "noise_covariance",
    "noise_precision",
    "object_means",
    "predictivity",
    "predictivity_from_gram",
    "products",
    "rdm",
    "rdm_loss",
    "rdm_scores",
    "residuals",
    "rsa_noise_ceiling",
    "sit",
    "spearman_brown",
    "square",
    "stratified_splits",
    "svm_accuracy",
    "svm_fit",
    "svm_score",
    "upper",
]
