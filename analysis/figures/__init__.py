"""The study's figures: each is drawn on an Axes of the caller's, from arrays, and knows of no journals."""

from __future__ import annotations

from analysis.figures.bands import plot_best_bands
from analysis.figures.confusion import plot_confusion
from analysis.figures.costs import plot_overheads, plot_time_split
from analysis.figures.importance import plot_importance
from analysis.figures.layout import tall
from analysis.figures.panels import draw_panels
from analysis.figures.saving import make_figure, save_figure
from analysis.figures.scores import Effect, plot_effects, plot_final_scores
from analysis.figures.settings import plot_parallel_coordinates, plot_sweep
from analysis.figures.shifts import plot_before_after, plot_gradient_benefit
from analysis.figures.slices import plot_slice
from analysis.figures.style import COLUMN, PALETTE, SIZE, Style, styles
from analysis.figures.survival import plot_kaplan_meier, plot_survival_by_rung

__all__ = [
    "COLUMN",
    "PALETTE",
    "SIZE",
    "Effect",
    "Style",
    "draw_panels",
    "make_figure",
    "plot_before_after",
    "plot_best_bands",
    "plot_confusion",
    "plot_effects",
    "plot_final_scores",
    "plot_gradient_benefit",
    "plot_importance",
    "plot_kaplan_meier",
    "plot_overheads",
    "plot_parallel_coordinates",
    "plot_slice",
    "plot_survival_by_rung",
    "plot_sweep",
    "plot_time_split",
    "save_figure",
    "styles",
    "tall",
]
