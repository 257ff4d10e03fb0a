"""Reports: pages, tables, figures and words, from runs and from comparisons."""
