"""A case: one audit of a folder of recordings, from the inventory to the sealed report.

    inventory -> examine (all cores) -> custody log -> judge -> audit.json, audit.csv, report.html

Examining measures and never judges; its results are appended to the custody log as they come, and
everything else follows from the log.
"""
