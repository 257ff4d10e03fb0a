"""Hyperband-BO, or BOHB: synchronous Hyperband whose configurations a model proposes.

Which configurations go on, and in which brackets, is ``sync-hyperband``'s; where they come from is the
searcher ``tpe``'s (``searchers/model_based.py``), unless another one is given.

It is the synchronous Hyperband because the paper's is: its brackets are those of Li et al. 2018, a rung waits
for all of its trials, and workers that would be idle begin the next bracket (section 4.3; HpBandSter's
``Master`` does so). ``--scheduler hyperband --searcher tpe`` is the asynchronous one.

Source: Falkner, Klein and Hutter 2018, "BOHB", arXiv:1807.01774.

How peers differ. HpBandSter's densities are statsmodels' kernel estimates, with 15% of the results called
good; Optuna's, which are used here, have their own bandwidths, and 10%. Ray Tune's ``HyperBandForBOHB`` asks
HpBandSter's model; Optuna's ``HyperbandPruner`` with ``TPESampler`` has one model for each bracket.
"""

from __future__ import annotations

from asha_core.schedulers.sync_hyperband import SynchronousHyperband


class BOHB(SynchronousHyperband):
    """Hyperband-BO; see the module for the rule and ``Scheduler`` for the arguments."""

    name = "bohb"
    usual_searcher = "tpe"
