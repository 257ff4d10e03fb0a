"""An estimator of scikit-learn's that learns in passes: ``partial_fit``."""

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.utils import shuffle

IMAGES, LABELS = load_digits(return_X_y=True)
X, X_VALID, Y, Y_VALID = train_test_split(IMAGES / 16, LABELS, test_size=360, random_state=0)


def train(alpha=1e-4, eta0=0.01, passes=9):
    estimator = SGDClassifier("log_loss", alpha=alpha, eta0=eta0, learning_rate="constant", random_state=0)
    for number in range(1, passes + 1):
        estimator.partial_fit(*shuffle(X, Y, random_state=number), classes=range(10))
        print(estimator.score(X_VALID, Y_VALID))


if __name__ == "__main__":
    train()
