// What both screens know: values under keys, each with the number of its writing. Of two writings the later
// holds, wherever and in whatever order it is told; of two at once, that of the later name.

export class Shared {
  #writings = 0;

  /** By whom this one writes, and what there is at first; no other keys are believed, and no other shapes. */
  constructor(by, first, saved) {
    this.by = by;
    this.entries = Object.fromEntries(Object.entries(first).map(([key, value]) => [key, [value, 0, ""]]));
    this.merge(saved);
  }

  get(key) {
    return this.entries[key][0];
  }

  set(key, value) {
    this.entries[key] = [value, ++this.#writings, this.by];
  }

  /** Takes what is later there; the keys that have changed. */
  merge(theirs) {
    const isLater = key => {
      if (!Object.hasOwn(theirs, key) || !sameShape(this.entries[key], theirs[key])) return false;
      const [[, own, by], [, their, from]] = [this.entries[key], theirs[key]];
      return their > own || (their === own && from > by);
    };
    if (typeof theirs !== "object" || theirs === null) return [];
    const changed = Object.keys(this.entries).filter(isLater);
    for (const key of changed) {
      this.entries[key] = theirs[key];
      this.#writings = Math.max(this.#writings, theirs[key][1]);
    }
    return changed;
  }
}

function sameShape(known, told) {
  if (typeof known !== typeof told) return false;
  if (typeof known === "number") return Number.isFinite(told);
  if (typeof known !== "object") return true;
  return told !== null && Object.keys(known).every(key => Object.hasOwn(told, key) && sameShape(known[key], told[key]));
}
