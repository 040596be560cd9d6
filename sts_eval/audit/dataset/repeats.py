"""Issues about recordings that were there before: duplicates, split leaks, the evaluation set."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Final

from sts_eval.audit.case.records import Level
from sts_eval.audit.dataset.copies import Copy, Track, find_copies, groups
from sts_eval.audit.dataset.issues import Issue, count
from sts_eval.audit.dataset.listen import Heard, load_print
from sts_eval.audit.dataset.plan import Dataset

LEAST_WORDS: Final = 4


def copy_issues(data: Dataset) -> list[Issue]:
    """Recordings that are one, within the set and with the evaluation set."""
    tracks = _tracks(data, data.recordings, "recording")
    within, of_known = find_copies(tracks, _tracks(data, data.prints, "print"))
    entries = {entry.id: entry for entry in data.inventory}
    issues = []
    for members, copies in groups(within):
        splits = sorted({data.manifest.about(entries[each]).split for each in members} - {""})
        names = ", ".join(entries[each].shown for each in members[:6])
        names += f" and {len(members) - 6} more" if len(members) > 6 else ""
        reasons = tuple(
            _copy_words(c, entries[c.one].shown, entries[c.other].shown) for c in copies
        )
        kind, said = "duplicate", f"one recording {len(members)} times: {names}"
        if len(splits) > 1:
            kind, said = "split leak", f"one recording in {' and '.join(splits)}: {names}"
        issues.append(Issue(kind, Level.FINDING, said, tuple(members), "", reasons))
    by_track: dict[str, list[Copy]] = defaultdict(list)
    for copy in of_known:
        by_track[copy.one].append(copy)
    for key, copies in by_track.items():
        shown = entries[key].shown
        known = [data.evaluation[copy.other].shown for copy in copies]
        reasons = tuple(
            _copy_words(copy, shown, name) for copy, name in zip(copies, known, strict=True)
        )
        said = f"{shown}: a recording of the evaluation set, {known[0]}"
        issues.append(Issue("evaluation recording", Level.FINDING, said, (key,), "", reasons))
    bad = [key for key, heard in data.prints.items() if heard.status != "examined"]
    if bad:
        reasons = tuple(f"{data.evaluation[k].shown}: {data.prints[k].reason}" for k in bad[:50])
        said = f"{count(bad, 'recording')} of the evaluation set could not be read"
        issues.append(Issue("not compared", Level.INCONCLUSIVE, said, reasons=reasons))
    return issues


def _tracks(data: Dataset, heard: dict[str, Heard], kind: str) -> list[Track]:
    return [
        Track(key, each.sha256_bytes, each.sha256_pcm, load_print(data.work, kind, key))
        for key, each in sorted(heard.items())
        if each.status == "examined"
    ]


def _copy_words(copy: Copy, one: str, other: str) -> str:
    if copy.how != "matching landmarks":
        return f"{one} and {other}: {copy.how}"
    return f"{one} and {other}: {copy.share:.0%} of the landmarks agree over {copy.seconds:.1f} s"


def text_issues(data: Dataset) -> list[Issue]:
    """Sentences of the evaluation set."""
    known: dict[str, str] = {}
    for item in data.evaluation.values():
        known.setdefault(_plain(item.text), item.shown)
    by_text: dict[str, list[str]] = defaultdict(list)
    for entry in data.inventory:
        text = _plain(data.manifest.about(entry).text)
        if entry.kind == "file" and len(text.split()) >= LEAST_WORDS and text in known:
            by_text[text].append(entry.id)
    return [
        Issue(
            "evaluation text",
            Level.FINDING,
            f"{count(keys, 'recording')} with a sentence of the evaluation set "
            f"({known[text]}): {text[:80]}",
            tuple(keys),
        )
        for text, keys in by_text.items()
    ]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.casefold().replace("\u2019", "'")))
