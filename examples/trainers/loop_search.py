"""A training loop of one's own, in PyTorch, on scikit-learn's digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn

from asha_core import ASHA, Float, tune

SPACE = {"lr": Float(1e-3, 1.0, log=True), "momentum": Float(0.0, 0.99)}

IMAGES, LABELS = load_digits(return_X_y=True)
X, Y = torch.tensor(IMAGES / 16, dtype=torch.float32), torch.tensor(LABELS)
TRAIN, VALID = torch.randperm(len(X), generator=torch.Generator().manual_seed(0)).split([1437, 360])


def train(trial):
    lr, momentum = trial.config["lr"], trial.config["momentum"]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    if kept := trial.resume_from():
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
    for epoch in trial.units():
        order = TRAIN[torch.randperm(len(TRAIN), generator=torch.Generator().manual_seed(epoch))]
        for rows in order.split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), Y[rows]).backward()
            optimizer.step()
        accuracy = (model(X[VALID]).argmax(1) == Y[VALID]).float().mean().item()
        trial.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
        trial.report(accuracy)


if __name__ == "__main__":
    result = tune(train, ASHA(SPACE, max_resource=9, max_trials=9), results_dir="results/loop")
    print(result.best_value, result.best_configuration)
