"""An Optuna study with Optuna's successive-halving pruner, and a warm start in its objective.

What a warm start adds is between the markers. `--without` runs the same study without it.
"""

import argparse

import optuna
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

# warm start: begin
from warmstart import ModelProblem
from warmstart.integrations.optuna import warm_start

# warm start: end


def digits():
    images, labels = load_digits(return_X_y=True)
    images, labels = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    train, valid = order[:1400], order[1400:]
    return TensorDataset(images[train], labels[train]), TensorDataset(images[valid], labels[valid])


def make_optimizer(model, config):
    return torch.optim.SGD(
        model.parameters(), lr=config["lr"], momentum=config["momentum"], weight_decay=config["weight_decay"]
    )


def loss_of(outputs, targets, config):
    return nn.functional.cross_entropy(outputs, targets)


def objective(trial, epochs, variation, settings):
    config = {
        "lr": trial.suggest_float("lr", 1e-4, 3.0, log=True),
        "momentum": trial.suggest_float("momentum", 0.0, 0.99),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        "width": trial.suggest_categorical("width", [32, 64]),
    }
    torch.manual_seed(0)
    train_set, valid_set = digits()
    loader = DataLoader(train_set, batch_size=64, shuffle=True)
    model = nn.Sequential(nn.Linear(64, config["width"]), nn.ReLU(), nn.Linear(config["width"], 10))
    # warm start: begin
    if variation is not None:

        def problem(space):
            return ModelProblem(space, model=model, optimizer=make_optimizer, data=loader, loss=loss_of)

        config = warm_start(trial, problem, variation, **settings)
    # warm start: end
    optimizer = make_optimizer(model, config)
    for epoch in range(1, epochs + 1):
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
        trial.set_user_attr("loss", total)
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


def main(variation="ohgw-trust", trials=8, epochs=6, **settings):
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=2),
    )
    study.optimize(lambda trial: objective(trial, epochs, variation, settings), n_trials=trials)
    return study


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--without", action="store_true", help="train the parameters as Optuna suggests them")
    torch.set_num_threads(1)  # the network is too small for more
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = main(None if parser.parse_args().without else "ohgw-trust")
    for trial in study.trials:
        trained = trial.user_attrs.get("warm_start", trial.params)
        last = trial.intermediate_values[trial.last_step]
        print(
            f"lr {trial.params['lr']:.4g} -> {trained['lr']:.4g}: {trial.state.name.lower()} "
            f"after {trial.last_step} epochs, accuracy {last:.3f}"
        )
    best = study.best_trial
    print(f"best: {best.value:.3f} with {best.user_attrs.get('warm_start', best.params)}")
