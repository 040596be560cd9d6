"""Moonshine: the same tokens as the wheel's own graph, words, times, and no loops."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sts_core.asr.moonshine import BOS, EOS, ModelFileError, MoonshineModel, without_loop
from sts_eval.audio import resample
from sts_eval.judges import load_asr
from sts_eval.judges.moonshine import align, load_model, segments
from sts_eval.judges.text import normalise
from sts_eval.stimuli import Stimuli
from sts_eval.trace import silence

Place = Callable[..., tuple[np.ndarray, tuple[float, float]]]


def wheel_tokens(hidden: np.ndarray, steps: int) -> list[int]:
    """Greedy decoding with the wheel's decoder graph, run by onnxruntime."""
    import onnxruntime

    folder = Path(find_spec("moonshine_cpp").submodule_search_locations[0]) / "models" / "base-en"
    graph = onnxruntime.InferenceSession(str(folder / "decoder_model_merged.ort"))
    names = [i.name for i in graph.get_inputs() if i.name.startswith("past")]
    outputs = [o.name.replace("present", "past_key_values") for o in graph.get_outputs()[1:]]
    past = {name: np.zeros((1, 8, 0, 52), np.float32) for name in names}
    tokens = [BOS]
    for step in range(steps):
        feed = {"input_ids": np.array([tokens[-1:]]), "encoder_hidden_states": hidden[None]}
        logits, *present = graph.run(None, feed | past | {"use_cache_branch": np.array([step > 0])})
        for name, value in zip(outputs, present, strict=True):
            if step == 0 or "decoder" in name:
                past[name] = value
        tokens.append(int(logits[0, -1].argmax()))
        if tokens[-1] == EOS:
            break
    return tokens[1:]


def test_tokens_equal_those_of_the_wheels_graph(stimuli: Stimuli) -> None:
    model = load_model()
    clip = stimuli.get("am_puck-arithmetic-000").audio()
    hidden = model.encode(resample(clip, 24_000, 16_000))
    tokens = model.decode(hidden, 20).tokens
    assert tokens[-1] == EOS
    assert tokens == wheel_tokens(hidden, 20)


def test_steps_of_several_tokens_equal_single_steps(stimuli: Stimuli) -> None:
    model = load_model()
    hidden = model.encode(resample(stimuli.get("af_nova-fact-040").audio(), 24_000, 16_000))
    tokens = [BOS, *model.decode(hidden, 6).tokens]
    state = model.start(hidden)
    one = [model.step([token], state) for token in tokens]
    logits, attention = model.step(tokens, model.start(hidden))
    assert logits == pytest.approx(one[-1][0], abs=1e-3)
    assert attention == pytest.approx(np.concatenate([a for _, a in one]), abs=1e-4)


def test_words_lie_in_order_inside_the_speech(place: Place) -> None:
    track, (begin, end) = place("af_nova-fact-040")
    heard = load_asr("moonshine").transcribe(track)
    assert normalise(heard.text) == normalise("If it is not day, what is it?")
    starts = [word.start_s for word in heard.words]
    assert starts == sorted(starts)
    assert starts[0] == pytest.approx(begin, abs=0.03)
    assert heard.words[-1].end_s == pytest.approx(end, abs=0.05)
    assert all(word.start_s <= word.end_s for word in heard.words)
    comma = heard.words[4]
    assert comma.text == "day,"
    assert comma.end_s < heard.words[5].start_s + 1e-9


def test_second_utterance_begins_where_it_was_laid(stimuli: Stimuli) -> None:
    one, two = (stimuli.get(f"{voice}-arithmetic-000").speech() for voice in ("bf_lily", "am_puck"))
    track = np.concatenate([silence(12_000), one, silence(7_200), two, silence(12_000)])
    heard = load_asr("moonshine").transcribe(track)
    onset = (12_000 + len(one) + 7_200) / 24_000
    take = next(word for word in heard.words if word.text == "Take")
    assert take.start_s == pytest.approx(onset, abs=0.03)


def test_silence_and_noise_have_no_words() -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal(96_000).astype(np.float32)
    judge = load_asr("moonshine")
    assert judge.transcribe(noise).text == ""
    assert judge.transcribe(silence(48_000)).words == ()
    assert judge.transcribe(silence(0)).words == ()


def test_loops_are_cut_and_other_ends_are_kept() -> None:
    assert without_loop([5, 1, 2, 1, 2, 1, 2, 1, 2]) == 3
    assert without_loop([7, 7, 7, 7, 7]) == 1
    assert without_loop([1, 2, 1, 2, 1, 2]) == 6
    assert without_loop([]) == 0


def test_alignment_follows_a_diagonal() -> None:
    attention = np.zeros((3, 8, 8, 9), np.float32)
    for token in range(3):
        attention[token, :, :, 3 * token : 3 * token + 3] = 1 / 3
    assert align(attention).tolist() == [0, 3, 6]
    assert align(attention[:, :, :, :1]).tolist() == [0, 0, 0]


def test_segments_join_near_speech_and_cut_long_speech() -> None:
    assert segments([(0, 2), (2.5, 4), (6, 7)]) == [(0, 4), (6, 7)]
    assert segments([(0, 15), (15.5, 30)]) == [(0, 15), (15.5, 30)]
    assert segments([(0.0, 50.0)]) == pytest.approx(
        np.array([(0, 50 / 3), (50 / 3, 100 / 3), (100 / 3, 50)])
    )
    assert segments([]) == []


def test_missing_model_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=tmp_path.name):
        MoonshineModel(tmp_path)
