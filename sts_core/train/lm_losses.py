"""What the language model's training minimises.

The loss of a frame:

    L = w_text CE(own text) + w_user CE(user's words) + w_tone CE(user's tone) + depth
    depth = w_semantic CE(codebook 0) + w_pitch CE(codebook 1) + w_acoustic MSE(latent) + spread

Frames without a text token weigh `pad_weight`; all text weighs less in monologues, where it is
free, and more where somebody is overheard, for silence there is all there is to learn. The depth
transformer learns from a random subset of frames (`depth_share` of those in which the agent speaks,
a tenth of that of the silent ones: they are alike). Whoever weighs silence less learns to go on
speaking where it is in doubt, so frames less than FELL_SILENT_FRAMES after the agent's last sound
count as those in which it speaks, and weigh `fell_silent_weight` where no text is due. Of the codes
that the depth transformer sees, of this frame and of the last ones, `code_noise` are random, and in
`frame_noise` of the last frames all: with true ones alone it would go on with the recording it
remembers and not say the word it is given. What the ear says is blurred by Gaussian noise of
`ear_noise` (the ear's parts have about unit variance) and withheld in `ear_loss` of the frames, so
that no conversation sounds twice the same.

That a reply follows the tone of voice is said by its first word alone. So a head that is not kept
with the weights learns to tell the tone in every frame from the middle of a remark on.

A model that goes on learning forgets what new conversations seldom ask. With `keep_from` its text
is held to that of another model in all kinds of conversation but `new_kinds`: the divergence of
both is one more loss (after Li & Hoiem, "Learning without Forgetting", 2016).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sts_core.data.dialogue import NO_TONE
from sts_core.lm.depth import NAMED
from sts_core.lm.model import START_CODE, DuplexLM
from sts_core.lm.text import END_OF_PAD, PAD
from sts_core.train.lm_batches import Batch

if TYPE_CHECKING:
    from sts_core.train.lm import LMTraining

FELL_SILENT_FRAMES = 12  # about a second: stopping is decided and felt within it


def losses(
    model: DuplexLM,
    batch: Batch,
    config: LMTraining,
    generator: torch.Generator,
    *,
    teacher: DuplexLM | None = None,
    tone_out: nn.Linear | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch and its parts (see the module).

    Args:
        teacher: the model of `keep_from`.
        tone_out: the head that tells the user's tone.
    """
    frames = batch.frames
    ear = frames.ear.float()
    if model.training:
        ear = _blurred(ear, config, generator)
    heard = model(frames._replace(ear=ear))
    inside = batch.inside.float()
    fell_silent = _fell_silent(batch.speaking)
    pad_weight = torch.where(fell_silent, config.fell_silent_weight, config.pad_weight)
    text_weight = torch.where(frames.text > END_OF_PAD, 1.0, pad_weight) * inside
    text_weight = text_weight * batch.text_weight[:, None]
    text = _weighted(heard.text_logits, frames.text, text_weight)
    user_weight = torch.where(batch.words > PAD, 1.0, config.pad_weight) * inside
    user = _weighted(heard.user_logits, batch.words, user_weight)
    matters = batch.speaking | fell_silent
    chance = torch.where(matters, config.depth_share, config.depth_share / 10) * inside
    chosen = torch.rand(chance.shape, generator=generator) < chance.cpu()
    codes = batch.codes[chosen]  # [N, K]
    back, size = config.model.depth_context_frames, config.model.codebook_size
    padded = F.pad(batch.codes[:, :-1], (0, 0, back, 0), value=START_CODE)
    before = padded.unfold(1, back, 1).transpose(2, 3)  # [B, T, C, K]
    previous = _noisy(before[chosen], size, config.code_noise, config.frame_noise, generator)
    seen = model.depth.condition(heard.hidden[chosen], previous, model.code_tables)
    within = _noisy(codes[:, None], size, config.code_noise, 0.0, generator)[:, 0]
    told = model.depth(seen, frames.text[chosen], within, model.code_tables)
    named = codes[:, :NAMED]  # [N, 2]
    each = F.cross_entropy(told.logits.flatten(0, 1).float(), named.flatten(), reduction="none")
    semantic, pitch = each.view_as(named).mean(dim=0)
    error = F.mse_loss(told.latent.float(), model.code_tables.latent(codes))
    # The spread's own likelihood: it follows the error and does not weigh it.
    log_spread = model.depth.log_spread
    spread = log_spread + 0.5 * error.detach() * torch.exp(-2 * log_spread)
    depth = config.semantic_weight * semantic + config.pitch_weight * pitch
    depth = depth + config.acoustic_weight * error + spread
    total = config.text_weight * text + config.user_weight * user + depth
    parts = {"text": text, "user": user, "semantic": semantic, "pitch": pitch, "acoustic": error}
    if teacher is not None:
        known = torch.tensor([kind not in config.new_kinds for kind in batch.kinds])
        weight = text_weight * known.to(text_weight.device)[:, None]
        parts["kept"] = _divergence(teacher, batch, heard.text_logits, weight)
        total = total + config.keep_weight * parts["kept"]
    if tone_out is not None:
        parts["tone"] = _tone_loss(tone_out(heard.hidden), batch.tone)
        total = total + config.tone_weight * parts["tone"]
    return total, parts


def _tone_loss(logits: Tensor, tone: Tensor) -> Tensor:
    """Cross entropy of [B, T, tones] where the user has a tone; 0 where nobody has."""
    return _weighted(logits, tone.clamp(min=0), (tone != NO_TONE).float())


def _fell_silent(speaking: Tensor) -> Tensor:
    """Which frames bool [B, T] are silent, less than FELL_SILENT_FRAMES after speech."""
    before = F.pad(speaking.float(), (FELL_SILENT_FRAMES, 0))[:, None, :-1]
    lately = F.max_pool1d(before, FELL_SILENT_FRAMES, stride=1)[:, 0] > 0
    return lately & ~speaking


def _divergence(teacher: DuplexLM, batch: Batch, logits: Tensor, weight: Tensor) -> Tensor:
    """Mean divergence of text logits [B, T, V] from the teacher's, by weight [B, T]; nats."""
    with torch.no_grad():
        known = teacher(batch.frames._replace(ear=batch.frames.ear.float())).text_logits
    each = F.kl_div(
        logits.float().log_softmax(-1),
        known.float().log_softmax(-1),
        reduction="none",
        log_target=True,
    )
    return _mean(each.sum(-1), weight)


def _noisy(
    codes: Tensor, size: int, share: float, frames: float, generator: torch.Generator
) -> Tensor:
    """Codes [N, C, K], a share of them replaced by random ones, and so all of a share of frames."""
    whole = torch.rand(*codes.shape[:2], 1, generator=generator) < frames
    replaced = (torch.rand(codes.shape, generator=generator) < share) | whole
    other = torch.randint(size, codes.shape, generator=generator)
    return torch.where(replaced.to(codes.device), other.to(codes.device), codes)


def _blurred(ear: Tensor, config: LMTraining, generator: torch.Generator) -> Tensor:
    """What the ear says [B, T, D], with noise, and withheld in some frames (see the module)."""
    noise = torch.randn(ear.shape, generator=generator).to(ear.device)
    kept = (torch.rand(*ear.shape[:2], 1, generator=generator) >= config.ear_loss).to(ear.device)
    return (ear + config.ear_noise * noise) * kept


def _weighted(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    each = F.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), reduction="none")
    return _mean(each.view_as(weight), weight)


def _mean(each: Tensor, weight: Tensor) -> Tensor:
    """Mean of values [B, T] by weight [B, T]."""
    return (each * weight).sum() / weight.sum().clamp(min=1.0)
