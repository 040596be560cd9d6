"""sts-eval: measure speech-to-speech systems, gate their releases and show the evidence.

The one path through the code (each arrow is one module):

    suite.yaml -> Scenario -> (clock drives Session) -> Trace -> Observation -> Estimate -> Verdict
               -> run.json -> report.html

A Trace is the only truth: scoring never talks to a target.
"""

__version__ = "0.1.0"
