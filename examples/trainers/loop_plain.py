"""A training loop of one's own, in PyTorch, on scikit-learn's digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn

IMAGES, LABELS = load_digits(return_X_y=True)
X, Y = torch.tensor(IMAGES / 16, dtype=torch.float32), torch.tensor(LABELS)
TRAIN, VALID = torch.randperm(len(X), generator=torch.Generator().manual_seed(0)).split([1437, 360])


def train(lr=0.1, momentum=0.9, epochs=9):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    for epoch in range(1, epochs + 1):
        order = TRAIN[torch.randperm(len(TRAIN), generator=torch.Generator().manual_seed(epoch))]
        for rows in order.split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), Y[rows]).backward()
            optimizer.step()
        accuracy = (model(X[VALID]).argmax(1) == Y[VALID]).float().mean().item()
        print(accuracy)


if __name__ == "__main__":
    train()
