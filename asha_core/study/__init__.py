"""Studies: many paired searches, each a process of its own, from one YAML file."""

from asha_core.own_packages import NAMES, claim

claim(*NAMES)
