"""Statistics: estimates with intervals, tests of bounds, paired differences, Holm's correction.

`summary` ties the methods together; `proportions`, `quantiles`, `bootstrap`, `paired` and
`unpaired` each hold one method with its equations and sources.
"""

from sts_eval.stats.paired import (
    Difference,
    Pairing,
    difference,
    holm,
    pair,
    pair_observations,
    scenario_means,
)
from sts_eval.stats.sample import Sample, cluster_label, in_slice, sample_of, slices_by, tidy
from sts_eval.stats.summary import estimate, estimate_all, estimate_sample, p_of_bound, quantity
from sts_eval.stats.unpaired import difference_of_estimates, unpaired_difference

__all__ = [
    "Difference",
    "Pairing",
    "Sample",
    "cluster_label",
    "difference",
    "difference_of_estimates",
    "estimate",
    "estimate_all",
    "estimate_sample",
    "holm",
    "in_slice",
    "p_of_bound",
    "pair",
    "pair_observations",
    "quantity",
    "sample_of",
    "scenario_means",
    "slices_by",
    "tidy",
    "unpaired_difference",
]
