"""A Ray Tune trainable under Ray's own ASHAScheduler, with a warm start when a trial begins.

What a warm start adds is between the markers. `--without` runs the same search without it.
"""

import argparse
import logging
import tempfile
from pathlib import Path

import ray
import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import BasicVariantGenerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

# warm start: begin
from warmstart import ModelProblem
from warmstart.integrations.ray import warm_start

# warm start: end

PARAM_SPACE = {
    "lr": tune.loguniform(1e-4, 3.0),
    "momentum": tune.uniform(0.0, 0.99),
    "width": tune.choice([32, 64]),
}


def digits():
    images, labels = load_digits(return_X_y=True)
    images, labels = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    train, valid = order[:1400], order[1400:]
    return TensorDataset(images[train], labels[train]), TensorDataset(images[valid], labels[valid])


def make_optimizer(model, config):
    return torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=config["momentum"])


def loss_of(outputs, targets, config):
    return nn.functional.cross_entropy(outputs, targets)


def trainable(config, epochs, variation, settings):
    torch.manual_seed(0)
    train_set, valid_set = digits()
    loader = DataLoader(train_set, batch_size=64, shuffle=True)
    model = nn.Sequential(nn.Linear(64, config["width"]), nn.ReLU(), nn.Linear(config["width"], 10))
    state = None
    if checkpoint := tune.get_checkpoint():
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder) / "state.pt", weights_only=True)
        # warm start: begin
        config = state["config"]
    elif variation is not None:

        def problem(space):
            return ModelProblem(space, model=model, optimizer=make_optimizer, data=loader, loss=loss_of)

        config = warm_start(config, PARAM_SPACE, problem, variation, **settings)
        # warm start: end
    optimizer = make_optimizer(model, config)
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    for epoch in range(1 if state is None else state["epoch"] + 1, epochs + 1):
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
        metrics = {
            "accuracy": accuracy,
            "loss": total,
            # warm start: begin
            "trained_lr": config["lr"],
            # warm start: end
        }
        with tempfile.TemporaryDirectory() as folder:
            state = {
                "epoch": epoch,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                # warm start: begin
                "config": config,
                # warm start: end
            }
            torch.save(state, Path(folder) / "state.pt")
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))


def main(folder, variation="ohgw-trust", trials=6, epochs=6, **settings):
    tuner = tune.Tuner(
        tune.with_parameters(trainable, epochs=epochs, variation=variation, settings=settings),
        param_space=PARAM_SPACE,
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            num_samples=trials,
            search_alg=BasicVariantGenerator(random_state=1),
            scheduler=ASHAScheduler(max_t=epochs, grace_period=2, reduction_factor=2),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    )
    return tuner.fit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--without", action="store_true", help="train the configurations as they are drawn")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        results = main(folder, None if parser.parse_args().without else "ohgw-trust")
    for result in results:
        before, after = result.config["lr"], result.metrics.get("trained_lr", result.config["lr"])
        print(
            f"lr {before:.4g} -> {after:.4g}: {result.metrics['training_iteration']} epochs, "
            f"accuracy {result.metrics['accuracy']:.3f}"
        )
    best = results.get_best_result()
    trained = best.metrics.get("trained_lr", best.config["lr"])
    print(f"best: {best.metrics['accuracy']:.3f} with lr {trained:.4g} and {best.config}")
