"""An estimator of scikit-learn's that learns in passes: ``partial_fit``."""

import pickle

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.utils import shuffle

from asha_core import ASHA, Float, tune

SPACE = {"alpha": Float(1e-6, 1e-1, log=True), "eta0": Float(1e-4, 1.0, log=True)}

IMAGES, LABELS = load_digits(return_X_y=True)
X, X_VALID, Y, Y_VALID = train_test_split(IMAGES / 16, LABELS, test_size=360, random_state=0)


def train(trial):
    alpha, eta0 = trial.config["alpha"], trial.config["eta0"]
    estimator = SGDClassifier("log_loss", alpha=alpha, eta0=eta0, learning_rate="constant", random_state=0)
    if kept := trial.resume_from():
        estimator = pickle.loads(kept)
    for number in trial.units():
        estimator.partial_fit(*shuffle(X, Y, random_state=number), classes=range(10))
        trial.save(pickle.dumps(estimator))
        trial.report(estimator.score(X_VALID, Y_VALID))


if __name__ == "__main__":
    result = tune(train, ASHA(SPACE, max_resource=9, max_trials=9), results_dir="results/scikit-learn")
    print(result.best_value, result.best_configuration)
