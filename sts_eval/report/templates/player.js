// Sound: plays one thing at a time.


// The copy in the page through Web Audio, which is exact to the sample,
// or else the FLAC beside the page through a media element.
const player = {
  context: null,
  decoded: new Map(),
  current: null,

  async buffer(number) {
    if (this.decoded.has(number)) return this.decoded.get(number);
    const encoded = block(`sound-${number}`);
    if (!encoded) return null;
    const buffer = await this.context.decodeAudioData(bytes(encoded).buffer);
    this.decoded.set(number, buffer);
    // A minute of decoded stereo is 23 MB, so only the last few are kept.
    if (this.decoded.size > 4) this.decoded.delete(this.decoded.keys().next().value);
    return buffer;
  },

  async play(timeline, from, to) {
    this.stop();
    const turn = (this.current = { timeline, from, to });
    this.context ??= new AudioContext();
    if (this.context.state === "suspended") await this.context.resume();
    let buffer = null;
    try {
      buffer = await this.buffer(timeline.number);
    } catch {
      timeline.say("This browser cannot decode Ogg/Opus; playing the FLAC file instead.");
    }
    if (this.current !== turn) return; // stopped while decoding
    if (buffer) this.fromBuffer(turn, buffer);
    else await this.fromFile(turn);
    if (this.current !== turn) return;
    const follow = () => {
      if (this.current !== turn) return;
      const now = turn.position();
      timeline.moveTo(Math.min(now, to), true);
      if (now >= to) this.finish(turn);
      else requestAnimationFrame(follow);
    };
    timeline.playing(true);
    requestAnimationFrame(follow);
  },

  fromBuffer(turn, buffer) {
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    const begin = this.context.currentTime;
    source.start(begin, turn.from, turn.to - turn.from);
    turn.end = () => source.stop();
    turn.position = () => turn.from + (this.context.currentTime - begin);
  },

  async fromFile(turn) {
    const { flac } = turn.timeline.data;
    if (!flac) return this.fail(turn, "This page holds no sound for this scenario.");
    const element = new Audio(flac);
    turn.end = () => element.pause();
    turn.position = () => element.currentTime;
    element.currentTime = turn.from;
    try {
      await element.play();
    } catch {
      if (this.current === turn) this.fail(turn, "The FLAC file is not beside this page, so there is nothing to play.");
    }
  },

  fail(turn, message) {
    turn.timeline.say(message);
    this.stop();
  },

  finish(turn) {
    turn.timeline.moveTo(Math.min(turn.to, turn.timeline.data.seconds), false);
    this.stop();
  },

  stop() {
    const turn = this.current;
    this.current = null;
    if (!turn) return;
    turn.end?.();
    turn.timeline.playing(false);
  },
};
