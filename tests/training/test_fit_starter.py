"""The head of the starter's pair, by scikit-learn's ridge regression as the oracle."""

from __future__ import annotations

import numpy as np
from scripts import fit_starter
from scripts.fit_starter import Linear
from sklearn.linear_model import Ridge
from torch import nn

from hilum.domain.findings import LabelSet
from hilum.model.backbones import Activation, Features
from hilum.model.classifier import Classifier


def films(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    means = rng.gamma(2.0, 1.0, (count, 6)).astype(np.float32)
    labels = means[:, :2] + rng.normal(0.0, 1.0, (count, 2)) > 2.5
    return means, labels


def test_the_head_is_a_ridge_regression_of_both_kinds_of_films() -> None:
    (real, y), (drawn, z) = films(80, 0), films(200, 1)
    found = fit_starter._fitted(real, y, 3.0 * drawn + 5.0, z)  # its own scale does not matter

    def standard(x: np.ndarray) -> np.ndarray:
        return (x - x.mean(axis=0)) / x.std(axis=0)

    share = fit_starter.DRAWN_SHARE
    x = np.concatenate([standard(real), standard(drawn)])
    labels = np.concatenate([standard(y * 1.0), standard(z * 1.0)])
    weight = np.concatenate([np.full(80, 1 / 80), np.full(200, share / 200)])
    oracle = Ridge(alpha=fit_starter.PENALTY, fit_intercept=False).fit(x, labels, weight)
    np.testing.assert_allclose(found(real), oracle.predict(standard(real)), atol=1e-4)


def test_both_logits_are_added_by_their_deviation() -> None:
    rng = np.random.default_rng(2)
    means = rng.normal(size=(50, fit_starter.NARROW + 6)).astype(np.float32)
    own = Linear(rng.normal(size=(2, fit_starter.NARROW)), rng.normal(size=2))
    lite = Linear(100.0 * rng.normal(size=(2, 6)), rng.normal(size=2))
    network = Classifier(Features(_Nothing(), means.shape[1], Activation.NONE), _LABELS)
    fit_starter._join(network, own, lite, means)
    weight = network.head.weight.detach().numpy()
    first = means[:, : fit_starter.NARROW] @ weight[:, : fit_starter.NARROW].T
    second = means[:, fit_starter.NARROW :] @ weight[:, fit_starter.NARROW :].T
    np.testing.assert_allclose(
        second.std(axis=0) / first.std(axis=0), fit_starter.LITE_SHARE, rtol=1e-4
    )


class _Nothing(nn.Module):
    """A backbone that is never called."""


_LABELS = LabelSet("two", ("Mass", "Edema"))
