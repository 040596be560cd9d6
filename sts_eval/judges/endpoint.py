"""An OpenAI-compatible transcription endpoint as a judge: `POST {url}/audio/transcriptions`.

    asr: endpoint:url=http://127.0.0.1:8000/v1,model=whisper-1

Each segment goes as a 24 kHz WAV file in a multipart form, with `response_format=verbose_json` and
word times asked for; an endpoint that gives only `text` is fine. The key is read from the
environment variable that `key_env` names and is written nowhere. Only the standard library is used.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from sts_eval.judges.base import JudgeError, Transcript
from sts_eval.judges.segmented import spread, transcribe_segments
from sts_eval.judges.vad import SileroJudge
from sts_eval.record import Word
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

MAX_ANSWER_BYTES: Final = 1 << 20


class EndpointJudge:
    """url: up to and including the version; by default a server on this machine. language: ""
    leaves it to the model."""

    name = "endpoint"

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000/v1",
        model: str = "whisper-1",
        key_env: str = "OPENAI_API_KEY",
        language: str = "en",
        timeout_s: float = 60.0,
    ) -> None:
        if not str(url).startswith(("http://", "https://")):
            raise JudgeError(f"endpoint: url {url!r} is not an http(s) address")
        self.url, self.model = str(url).rstrip("/"), str(model)
        self.key_env, self.language, self.timeout_s = str(key_env), str(language), float(timeout_s)
        self._vad = SileroJudge()
        where = hashlib.sha256(f"{self.url}|{self.language}".encode()).hexdigest()[:8]
        self.version = f"1-{self.model}-{where}-{self._vad.version}"

    def transcribe(self, audio: Samples) -> Transcript:
        """float32 [S] at 24 kHz -> the words that are spoken on it. Raises JudgeError."""
        return transcribe_segments(
            audio, self._vad, self._recognise, judge=self.name, version=self.version
        )

    def _recognise(self, part: Samples, at_s: float) -> list[Word]:
        try:
            with urllib.request.urlopen(self._request(part), timeout=self.timeout_s) as response:
                answer = json.loads(response.read(MAX_ANSWER_BYTES))
            return words_of(answer, at_s, part.size / SAMPLE_RATE_HZ)
        except urllib.error.HTTPError as error:
            reason = error.read(300).decode("utf-8", "replace").strip()
            raise JudgeError(f"endpoint: HTTP {error.code} {reason}") from error
        except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
            raise JudgeError(f"endpoint: {type(error).__name__}: {error}") from error

    def _request(self, part: Samples) -> urllib.request.Request:
        fields = {
            "model": self.model,
            "response_format": "verbose_json",
            "timestamp_granularities[]": "word",
            "temperature": "0",
            **({"language": self.language} if self.language else {}),
        }
        body, kind = _multipart(fields, _wav(part))
        headers = {"Content-Type": kind, "Accept": "application/json"}
        if key := os.environ.get(self.key_env):
            headers["Authorization"] = f"Bearer {key}"
        return urllib.request.Request(f"{self.url}/audio/transcriptions", body, headers)


def words_of(answer: Any, at_s: float, seconds: float) -> list[Word]:
    """Words of a JSON answer. Raises ValueError where it is no transcription."""
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        raise ValueError(f"not a transcription: {str(answer)[:80]}")
    timed = answer.get("words")
    if not isinstance(timed, list) or not timed:
        return spread(answer["text"], at_s, at_s + seconds)
    words = []
    for word in timed:
        start, end = (min(max(0.0, float(word[key])), seconds) for key in ("start", "end"))
        times = {"start_s": round(at_s + start, 3), "end_s": round(at_s + max(start, end), 3)}
        words.append(Word(text=str(word["word"]).strip(), **times))
    return words


def _wav(part: Samples) -> bytes:
    import soundfile

    file = io.BytesIO()
    pcm = np.clip(part, -1.0, 1.0)
    soundfile.write(file, pcm, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _multipart(fields: Mapping[str, str], wav: bytes) -> tuple[bytes, str]:
    """A multipart/form-data body (RFC 7578) and its content type."""
    boundary = hashlib.sha256(wav).hexdigest()
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = 'Content-Disposition: form-data; name="file"; filename="speech.wav"'
    parts.append(f"--{boundary}\r\n{head}\r\nContent-Type: audio/wav\r\n\r\n".encode())
    parts += [wav, f"\r\n--{boundary}--\r\n".encode()]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"
