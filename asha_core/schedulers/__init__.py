"""Successive-halving schedulers, one algorithm a file, behind one ask/tell contract."""
