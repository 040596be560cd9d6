"""Moonshine base-en from the files of the moonshine-cpp wheel: tokens and cross-attention.

What: audio at 16 kHz -> encoder (onnxruntime) -> greedy decoder (numpy) -> tokens, each with its
cross-attention over the encoder's frames (41.7 per second), from which word times are read.

Why the decoder is not run by onnxruntime or by the wheel's C library: the wheel's decoder graph
stores 8-bit weights and expands all of them to float32 again for every token (95 ms a token on one
core), and its cross-attention is not an output. The same weights expanded once need about 15 ms a
token. A test compares the tokens of both.

Architecture: Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice
Commands" (2024), section 3: pre-norm transformer decoder, 8 layers of width 416 and 8 heads,
interleaved rotary positions on the first 32 of 52 head dimensions, SwiGLU, tied embedding.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_core.wheels import wheel_folder

Array = NDArray[np.float32]

MODEL_RATE_HZ: Final = 16_000
FRAME_S: Final = 384 / MODEL_RATE_HZ
"""Hop of the encoder: strides 64 x 3 x 2 samples."""

BOS: Final = 1
EOS: Final = 2
_LAYERS: Final = 8
_HEADS: Final = 8
_ROPE_THETA: Final = 10_000.0
_ROPE_DIMS: Final = 32
_NORM_EPSILON: Final = 1e-5
_MIN_SAMPLES: Final = 1_600
TOKENS_PER_S: Final = 6.5
"""More than this is no speech: on noise a recogniser of this kind may repeat itself for ever."""
MIN_REPEATS: Final = 4
MAX_SEGMENT_S: Final = 20.0
INSTALL: Final = "pip install 'moonshine-cpp==0.1.4'"


class ModelFileError(ValueError):
    """The wheel's model files are missing or not what this module was written for."""


@dataclass(frozen=True)
class Layer:
    """Weights of one decoder layer, [in, out] each."""

    norm_self: Array  # [D]
    self_qkv: Array  # [D, 3D]
    self_out: Array  # [D, D]
    norm_cross: Array  # [D]
    cross_q: Array  # [D, D]
    cross_kv: Array  # [D, 2D]
    cross_out: Array  # [D, D]
    norm_mlp: Array  # [D]
    up: Array  # [D, 2M]
    up_bias: Array  # [2M]
    down: Array  # [M, D]
    down_bias: Array  # [D]


@dataclass
class DecoderState:
    """What one decoding remembers: keys and values per layer, [H, T, D/H] each."""

    cross: list[tuple[Array, Array]]
    own: list[tuple[Array, Array] | None] = field(default_factory=lambda: [None] * _LAYERS)
    length: int = 0


@dataclass(frozen=True)
class Decoded:
    """Tokens after BOS (EOS, if reached, included) and their cross-attention [N, L, H, T]."""

    tokens: list[int]
    attention: Array
    finished: bool


class MoonshineModel:
    """Encoder session and decoder weights. Stateless: safe to share between sessions."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._encoder: Any = onnxruntime.InferenceSession(
                str(folder / "encoder_model.ort"), options, providers=["CPUExecutionProvider"]
            )
            self.pieces = read_tokenizer((folder / "tokenizer.bin").read_bytes())
            weights = read_decoder(folder / "decoder_model_merged.ort")
        except Exception as error:  # onnxruntime's errors have no base class of their own
            raise ModelFileError(f"moonshine model in {folder.name}: {error}") from error
        self._embedding, self._norm, self._layers = weights

    def encode(self, audio: Array) -> Array:
        """16 kHz float32 [S] -> hidden float32 [T, D], T about S / 384."""
        padded = np.pad(audio, (0, max(0, _MIN_SAMPLES - len(audio))))
        hidden: Array = self._encoder.run(None, {"input_values": padded[None].astype(np.float32)})[
            0
        ][0]
        return hidden

    def start(self, hidden: Array) -> DecoderState:
        """Decoder state for encoder output float32 [T, D]."""
        cross = []
        for layer in self._layers:
            keys, values = np.split(hidden @ layer.cross_kv, 2, axis=1)
            cross.append((_heads(keys), _heads(values)))
        return DecoderState(cross)

    def step(self, tokens: list[int], state: DecoderState) -> tuple[Array, Array]:
        """Next-token logits float32 [V] and cross-attention [N, L, H, T] for N more tokens."""
        x = self._embedding[tokens]  # [N, D]
        rotation = _rotation(state.length, len(tokens))
        attention = []
        for index, layer in enumerate(self._layers):
            q, k, v = (
                _heads(part)
                for part in np.split(_norm(x, layer.norm_self) @ layer.self_qkv, 3, axis=1)
            )
            q, k = _rotate(q, rotation), _rotate(k, rotation)
            past = state.own[index]
            if past is not None:
                k = np.concatenate([past[0], k], axis=1)
                v = np.concatenate([past[1], v], axis=1)
            state.own[index] = (k, v)
            mixed, _ = _attend(q, k, v, causal=True)
            x = x + mixed @ layer.self_out
            q = _heads(_norm(x, layer.norm_cross) @ layer.cross_q)
            mixed, weights = _attend(q, *state.cross[index], causal=False)
            attention.append(weights.transpose(1, 0, 2))  # [N, H, T]
            x = x + mixed @ layer.cross_out
            value, gate = np.split(_norm(x, layer.norm_mlp) @ layer.up + layer.up_bias, 2, axis=1)
            x = x + (gate / (1 + np.exp(-gate)) * value) @ layer.down + layer.down_bias
        state.length += len(tokens)
        logits: Array = self._embedding @ _norm(x[-1], self._norm)
        return logits, np.stack(attention, axis=1)

    def decode(self, hidden: Array, max_tokens: int) -> Decoded:
        """Greedy decoding of float32 [T, D], at most `max_tokens` tokens."""
        state = self.start(hidden)
        tokens, attention = [BOS], []
        for _ in range(max_tokens):
            logits, weights = self.step(tokens[-1:], state)
            tokens.append(int(np.argmax(logits)))
            attention.append(weights)
            if tokens[-1] == EOS:
                break
        stacked = np.concatenate(attention) if attention else np.zeros((0, 8, 8, len(hidden)), "f4")
        return Decoded(tokens[1:], stacked, tokens[-1] == EOS)


@lru_cache(maxsize=1)
def load_moonshine() -> MoonshineModel:
    """The model of the wheel, read once per process.

    Raises:
        ModelFileError: the wheel is not installed, or its files are not as expected.
    """
    wheel = wheel_folder("moonshine_cpp")
    if wheel is None:
        raise ModelFileError(f"Moonshine is not installed: {INSTALL}")
    return MoonshineModel(wheel / "models" / "base-en")


def decode_segment(model: MoonshineModel, audio: Array) -> tuple[list[int], Decoded]:
    """The tokens of one segment of speech, float32 [S] at 16 kHz, and all that was decoded.

    At most 6.5 tokens a second (Moonshine's own limit); a repetition that runs into it is cut.
    """
    from threadpoolctl import threadpool_limits

    limit = math.ceil(len(audio) / MODEL_RATE_HZ * TOKENS_PER_S) + 1
    # A second BLAS thread makes these small products slower, and much slower on a busy machine.
    with threadpool_limits(1, user_api="blas"):
        decoded = model.decode(model.encode(audio), limit)
    kept = len(decoded.tokens) - decoded.finished
    if not decoded.finished:
        kept = without_loop(decoded.tokens)
    return decoded.tokens[:kept], decoded


def transcribe(audio: Array, rate_hz: int) -> str:
    """The words of a stretch of speech, float32 [S]; one longer than 20 s is heard in equal parts.

    Raises:
        ModelFileError: as `load_moonshine`.
    """
    import soxr

    model = load_moonshine()
    sound = np.asarray(soxr.resample(audio, rate_hz, MODEL_RATE_HZ), np.float32)
    parts = max(1, math.ceil(len(sound) / MODEL_RATE_HZ / MAX_SEGMENT_S))
    heard = []
    for part in np.array_split(sound, parts):
        tokens, _ = decode_segment(model, part)
        text = b"".join(model.pieces[token] for token in tokens).decode("utf-8", "replace")
        heard += text.replace("\u2581", " ").split()
    return " ".join(heard)


def without_loop(tokens: Sequence[int]) -> int:
    """How many tokens to keep when the end is one unit of tokens said 4 times or more."""
    for unit in range(1, len(tokens) // MIN_REPEATS + 1):
        tail = list(tokens[-unit:])
        repeats = 1
        while list(tokens[-unit * (repeats + 1) : -unit * repeats]) == tail:
            repeats += 1
        if repeats >= MIN_REPEATS:
            return len(tokens) - unit * (repeats - 1)
    return len(tokens)


def _norm(x: Array, weight: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + np.float32(_NORM_EPSILON)) * weight


def _heads(x: Array) -> Array:
    """[N, D] -> [H, N, D/H]"""
    return x.reshape(len(x), _HEADS, -1).transpose(1, 0, 2)


def _attend(q: Array, k: Array, v: Array, *, causal: bool) -> tuple[Array, Array]:
    """Attention of q [H, N, d] over k, v [H, T, d] -> ([N, D], weights [H, N, T])."""
    scores = q @ k.transpose(0, 2, 1) * np.float32(q.shape[-1] ** -0.5)
    new, total = scores.shape[1:]
    if causal and new > 1:
        scores = scores + np.triu(np.full((new, total), -np.inf, np.float32), total - new + 1)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return (weights @ v).transpose(1, 0, 2).reshape(new, -1), weights


def _rotation(start: int, count: int) -> tuple[Array, Array]:
    """cos, sin of the rotary angles, float32 [count, 16] each."""
    inverse = _ROPE_THETA ** (-np.arange(0, _ROPE_DIMS, 2) / _ROPE_DIMS)
    angle = np.arange(start, start + count)[:, None] * inverse
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def _rotate(x: Array, rotation: tuple[Array, Array]) -> Array:
    """Rotate pairs (2i, 2i+1) of the first 32 dimensions of x [H, N, d]."""
    cos, sin = rotation
    even, odd = x[..., 0:_ROPE_DIMS:2], x[..., 1:_ROPE_DIMS:2]
    turned = x.copy()
    turned[..., 0:_ROPE_DIMS:2] = even * cos - odd * sin
    turned[..., 1:_ROPE_DIMS:2] = odd * cos + even * sin
    return turned


def read_tokenizer(data: bytes) -> list[bytes]:
    """tokenizer.bin: for each token a length (7 bits, or 7 + 8 bits) and its bytes."""
    pieces = []
    at = 0
    while at < len(data):
        size = data[at]
        at += 1
        if size >= 128:
            size += data[at] * 128 - 128
            at += 1
        pieces.append(data[at : at + size])
        at += size
    return pieces


def read_decoder(path: Path) -> tuple[Array, Array, list[Layer]]:
    """Embedding [V, D], final norm [D] and layers from an .ort file.

    The file is a flatbuffer. A weight is stored as 8-bit q, w = q * scale + offset (two scalars),
    and is found through the named graph node that uses it. Raises KeyError for another graph.
    """
    from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession import (
        InferenceSession,
    )

    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        graph = InferenceSession.GetRootAsInferenceSession(bytearray(data), 0).Model().Graph()
    tensors = {
        tensor.Name().decode(): tensor
        for tensor in map(graph.Initializers, range(graph.InitializersLength()))
    }
    nodes = {}
    for i in range(graph.NodesLength()):
        node = graph.Nodes(i)
        if node.OpType() == b"If":
            branch = next(
                a.G() for a in map(node.Attributes, range(node.AttributesLength())) if a.G()
            )
            for j in range(branch.NodesLength()):
                nodes[branch.Nodes(j).Name().decode()] = branch.Nodes(j)

    def weight(node: str, argument: int = 1) -> Array:
        name = nodes[f"/model/decoder/{node}"].Inputs(argument).decode()
        return _tensor(tensors, name.removesuffix("_add_tensor"))

    def layer(n: int) -> Layer:
        at = f"layers.{n}"
        return Layer(
            norm_self=weight(f"{at}/input_layernorm/Mul"),
            self_qkv=np.concatenate(
                [weight(f"{at}/self_attn/{p}_proj/MatMul") for p in "qkv"], axis=1
            ),
            self_out=weight(f"{at}/self_attn/dense/MatMul"),
            norm_cross=weight(f"{at}/post_attention_layernorm/Mul"),
            cross_q=weight(f"{at}/encoder_attn/q_proj/MatMul"),
            cross_kv=np.concatenate(
                [weight(f"{at}/encoder_attn/{p}_proj/MatMul") for p in "kv"], axis=1
            ),
            cross_out=weight(f"{at}/encoder_attn/dense/MatMul"),
            norm_mlp=weight(f"{at}/final_layernorm/Mul"),
            up=weight(f"{at}/mlp/up_proj/MatMul"),
            up_bias=weight(f"{at}/mlp/up_proj/Add", 0),
            down=weight(f"{at}/mlp/down_proj/MatMul"),
            down_bias=weight(f"{at}/mlp/down_proj/Add", 0),
        )

    return weight("embed_tokens/Gather", 0), weight("norm/Mul"), [layer(n) for n in range(_LAYERS)]


def _tensor(tensors: dict[str, Any], name: str) -> Array:
    if name in tensors:
        return _raw(tensors[name], np.float32)
    quantized = _raw(tensors[f"{name}_quantized"], np.uint8).astype(np.float32)
    scale = _raw(tensors[f"{name}_scale"], np.float32)
    offset = _raw(tensors[f"{name}_zero_point"], np.float32)
    return quantized * scale + offset


def _raw(tensor: Any, kind: Any) -> NDArray[Any]:
    """Values of a stored tensor; 8-bit ones are signed or unsigned as the file says."""
    shape = [tensor.Dims(i) for i in range(tensor.DimsLength())]
    stored = {1: np.float32, 2: np.uint8, 3: np.int8}.get(tensor.DataType())
    if stored is None or np.dtype(stored).itemsize != np.dtype(kind).itemsize:
        raise KeyError(f"tensor {tensor.Name().decode()!r} has type {tensor.DataType()}")
    return np.frombuffer(tensor.RawDataAsNumpy().tobytes(), stored).reshape(shape)
