"""The audit of a training set: copies in it, consent of its speakers, leaked evaluation material.

manifest   what the set says about itself       listen   what is heard in one file, in a worker
plan       settings, log, work on all cores     copies   equal and nearly equal recordings
judge      issues with their level              report   text, JSON, CSV and a page
"""
