"""From options, or from a script, to a running search."""

from asha_core.own_packages import claim

claim("trials", "warmstart")
