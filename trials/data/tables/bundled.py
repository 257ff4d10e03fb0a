"""Data sets that come with scikit-learn: no file, no download, no pandas.

Sources: breast-cancer: Street, Wolberg and Mangasarian 1993 (UCI, Wisconsin diagnostic); wine: Forina 1991
(UCI); digits: Alpaydin and Kaynak 1998 (UCI); diabetes: Efron, Hastie, Johnstone and Tibshirani 2004, "Least
angle regression", its only regression.
"""

from __future__ import annotations

import numpy as np

from trials.data.tables.table import Table

LOADERS = {
    "breast-cancer": "load_breast_cancer",
    "wine": "load_wine",
    "digits": "load_digits",
    "diabetes": "load_diabetes",
}


def read(name: str) -> Table:
    """One of ``LOADERS``; its target is called ``target``."""
    from sklearn import datasets

    scaled = {"scaled": False} if name == "diabetes" else {}  # sklearn's own scaling has seen all the rows
    found = getattr(datasets, LOADERS[name])(**scaled)
    features = np.asarray(found.data, dtype=np.float64)
    columns = {str(column): features[:, at] for at, column in enumerate(found.feature_names)}
    names = getattr(found, "target_names", None)
    target = np.asarray(found.target)
    if names is None:
        return Table(name, {**columns, "target": target.astype(np.float64)}, "target")
    classes = np.array([str(each) for each in names], dtype=object)[target]
    return Table(name, {**columns, "target": classes}, "target", frozenset({"target"}))
