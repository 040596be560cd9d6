"""Judges behind other recognisers: real loading code, on tiny random weights and a local server."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import ClassVar

import pytest

from sts_core import torchaudio_guard
from sts_eval.judges import JudgeError, load_asr
from sts_eval.judges.endpoint import words_of
from sts_eval.judges.segmented import spread
from sts_eval.stimuli import Stimuli
from sts_eval.trace import silence

torchaudio_guard.prepare()  # before transformers is imported anywhere here
LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"etaoinshrdlu"]


@pytest.fixture(scope="module")
def speech():
    return Stimuli.load().items[0].audio()


@pytest.fixture(scope="module")
def ctc_folder(tmp_path_factory):
    """A CTC recogniser with random weights, as it lies on a disk."""
    pytest.importorskip("transformers", reason="the hf extra is not installed")
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder = tmp_path_factory.mktemp("ctc")
    vocabulary = folder / "letters.json"
    vocabulary.write_text(json.dumps({letter: k for k, letter in enumerate(LETTERS)}))
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(LETTERS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    tokenizer = Wav2Vec2CTCTokenizer(str(vocabulary), pad_token="<pad>")
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def test_a_local_transformers_model_gives_words_inside_the_speech(ctc_folder, speech):
    judge = load_asr(f"transformers:model={ctc_folder}")
    heard = judge.transcribe(speech)
    assert heard.judge == "transformers"
    assert heard.words
    assert all(0 <= word.start_s <= word.end_s <= speech.size / 24_000 for word in heard.words)
    assert heard == judge.transcribe(speech)
    assert judge.transcribe(silence(24_000)).words == ()
    assert judge.transcribe(silence(0)).text == ""


def test_the_version_follows_the_files_of_the_model(ctc_folder):
    from sts_eval.judges.hf import TransformersJudge

    before = TransformersJudge(str(ctc_folder)).version
    (ctc_folder / "more.txt").write_text("x")
    assert TransformersJudge(str(ctc_folder)).version != before


def test_a_folder_without_a_model_says_so(tmp_path, speech):
    with pytest.raises(JudgeError, match="transformers cannot load"):
        load_asr(f"transformers:model={tmp_path}").transcribe(speech)


@pytest.fixture(scope="module")
def whisper_folder(tmp_path_factory):
    """A Whisper with random weights, converted for faster-whisper."""
    pytest.importorskip("faster_whisper", reason="the faster-whisper extra is not installed")
    pytest.importorskip("transformers", reason="the hf extra is not installed")
    import ctranslate2
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.decoders import ByteLevel
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    folder = tmp_path_factory.mktemp("whisper")
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>"]
    special += ["<|translate|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    special += ["<|notimestamps|>", *(f"<|{k * 0.02:.2f}|>" for k in range(1501))]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: k for k, token in enumerate([*letters, *special])}
    tokenizer = Tokenizer(models.BPE({k: v for k, v in vocabulary.items() if k in letters}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    tokenizer.add_special_tokens(special)
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(vocabulary),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        decoder_start_token_id=vocabulary["<|startoftranscript|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=vocabulary["<|endoftext|>"],
        bos_token_id=vocabulary["<|endoftext|>"],
        # CTranslate2 writes to whatever it is to suppress: the defaults lie beyond this vocabulary
        begin_suppress_tokens=[vocabulary["<|endoftext|>"]],
        suppress_tokens=[vocabulary["<|startoflm|>"]],
    )
    source = folder / "source"
    WhisperForConditionalGeneration(config).save_pretrained(source)
    tokenizer.save(str(source / "tokenizer.json"))
    plain = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (source / "tokenizer_config.json").write_text(json.dumps(plain))
    target = folder / "converted"
    converter = ctranslate2.converters.TransformersConverter(
        str(source), copy_files=["tokenizer.json"]
    )
    converter.convert(str(target))
    (target / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80}))
    return target


def test_a_local_whisper_through_faster_whisper(whisper_folder, speech):
    judge = load_asr(f"faster_whisper:model={whisper_folder},compute_type=float32")
    heard = judge.transcribe(speech)
    assert heard.judge == "faster_whisper"
    assert heard == judge.transcribe(speech)
    assert all(0 <= w.start_s <= w.end_s <= speech.size / 24_000 + 30 for w in heard.words)
    assert judge.transcribe(silence(24_000)).words == ()


@pytest.mark.parametrize(
    ("module", "name", "line"),
    [
        ("transformers", "transformers:model=x", r"pip install 'sts-eval\[hf\]'"),
        ("faster-whisper", "faster_whisper", r"pip install 'sts-eval\[faster-whisper\]'"),
        ("pocketsphinx", "pocketsphinx_numbers", r"pip install 'sts-eval\[pocketsphinx\]'"),
    ],
)
def test_a_missing_package_names_its_install_line(module, name, line, monkeypatch):
    from importlib import metadata

    from sts_eval.judges import _load

    real = metadata.version

    def version(package):
        if package == module:
            raise metadata.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(metadata, "version", version)
    _load.cache_clear()
    with pytest.raises(JudgeError, match=line):
        load_asr(name)
    _load.cache_clear()


class _Handler(BaseHTTPRequestHandler):
    answers: ClassVar[list] = []
    asked: ClassVar[list] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, dict(self.headers), body))
        status, answer = self.answers.pop(0)
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    _Handler.answers, _Handler.asked = [], []
    http = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield http.server_address[1]
    http.shutdown()
    thread.join()
    http.server_close()


def test_an_endpoint_with_and_without_word_times(server, speech, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-key")
    words = [{"word": "two", "start": 0.1, "end": 0.3}, {"word": "plus", "start": 0.3, "end": 99}]
    _Handler.answers = [(200, {"text": "two plus", "words": words}), (200, {"text": "seven"})]
    judge = load_asr(f"endpoint:url=http://127.0.0.1:{server}/v1,model=tiny,key_env=MY_KEY")
    heard = judge.transcribe(speech)
    assert [word.text for word in heard.words] == ["two", "plus"]
    assert heard.words[1].end_s <= speech.size / 24_000
    path, headers, body = _Handler.asked[0]
    assert path == "/v1/audio/transcriptions"
    assert headers["Authorization"] == "Bearer secret-key"
    assert b'name="model"\r\n\r\ntiny' in body
    assert b"RIFF" in body
    assert b"WAVE" in body
    assert "secret-key" not in judge.version
    assert judge.transcribe(speech).text == "seven"


@pytest.mark.parametrize(
    ("status", "answer", "match"),
    [
        (500, b"broken", "HTTP 500 broken"),
        (200, b"not json", "endpoint"),
        (200, {"error": "no"}, "not a transcription"),
        (200, [1], "not a transcription"),
        (200, {"text": "x", "words": [{"word": "x"}]}, "endpoint: KeyError"),
    ],
)
def test_a_broken_endpoint_is_a_judge_error(server, speech, status, answer, match):
    _Handler.answers = [(status, answer)]
    judge = load_asr(f"endpoint:url=http://127.0.0.1:{server}/v1,timeout_s=5,model={status}")
    with pytest.raises(JudgeError, match=match):
        judge.transcribe(speech)


def test_settings_are_checked():
    with pytest.raises(JudgeError, match="not an http"):
        load_asr("endpoint:url=ftp://127.0.0.1/v1")
    with pytest.raises(JudgeError, match="unexpected keyword"):
        load_asr("endpoint:url=http://127.0.0.1:1/v1,modle=x")
    with pytest.raises(JudgeError, match="did you mean 'transformers'"):
        load_asr("transformer:model=x")


def test_words_without_times_are_spread_by_their_letters():
    placed = spread("one three", 1.0, 9.0)
    assert [(word.start_s, word.end_s) for word in placed] == [(1.0, 4.0), (4.0, 9.0)]
    assert spread("", 0.0, 1.0) == []
    assert words_of({"text": ""}, 0.0, 1.0) == []
