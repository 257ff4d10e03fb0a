"""A plain PyTorch training loop, called for a few random configurations.

What a warm start adds is between the markers. `--without` runs the same search without it.
"""

import argparse
import math
import random

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

# warm start: begin
from warmstart import Float, ModelProblem, SearchSpace, refine

SPACE = SearchSpace(
    {
        "lr": Float(1e-4, 3.0, log=True),
        "momentum": Float(0.0, 0.99),
        "label_smoothing": Float(0.0, 0.3),
    }
)
# warm start: end


def digits():
    images, labels = load_digits(return_X_y=True)
    images, labels = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    train, valid = order[:1400], order[1400:]
    return TensorDataset(images[train], labels[train]), TensorDataset(images[valid], labels[valid])


def draw(generator):
    return {
        "lr": math.exp(generator.uniform(math.log(1e-4), math.log(3.0))),
        "momentum": generator.uniform(0.0, 0.99),
        "label_smoothing": generator.uniform(0.0, 0.3),
    }


def make_optimizer(model, config):
    return torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=config["momentum"])


def loss_of(outputs, targets, config):
    return nn.functional.cross_entropy(outputs, targets, label_smoothing=config["label_smoothing"])


def train(config, epochs, variation, settings):
    torch.manual_seed(0)
    train_set, valid_set = digits()
    loader = DataLoader(train_set, batch_size=64, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    # warm start: begin
    if variation is not None:
        problem = ModelProblem(SPACE, model=model, optimizer=make_optimizer, data=loader, loss=loss_of)
        config = dict(refine(variation, problem, config, **settings).configuration)
    # warm start: end
    optimizer = make_optimizer(model, config)
    for _ in range(epochs):
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = loss_of(model(images), labels, config)
            loss.backward()
            optimizer.step()
            total += loss.item()
    with torch.no_grad():
        images, labels = valid_set.tensors
        accuracy = (model(images).argmax(dim=1) == labels).float().mean().item()
    return {"config": config, "loss": total, "accuracy": accuracy}


def main(variation="ohgw-trust", trials=4, epochs=5, **settings):
    generator = random.Random(0)
    results = []
    for _ in range(trials):
        proposed = draw(generator)
        results.append({"proposed": proposed, **train(proposed, epochs, variation, settings)})
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--without", action="store_true", help="train the configurations as they are drawn")
    torch.set_num_threads(1)  # the network is too small for more
    results = main(None if parser.parse_args().without else "ohgw-trust")
    for result in results:
        before, after = result["proposed"]["lr"], result["config"]["lr"]
        print(f"lr {before:.4g} -> {after:.4g}: accuracy {result['accuracy']:.3f}")
    best = max(results, key=lambda result: result["accuracy"])
    print(f"best: {best['accuracy']:.3f} with {best['config']}")
