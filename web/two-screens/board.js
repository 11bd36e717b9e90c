// The cards. Each has one owner: the screen that it lies on, or that drags it. Only the owner writes where it
// is, and whose it is from then on; a screen whose other is gone takes its cards. A place is `ex`, the pixels
// from the edge between the screens to the card's left side, and `y`, a share of the height.

const CARD = { width: 152, height: 96 };
const STEP = 24;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const CARDS = {
  espresso: ["Espresso", "30 ml"],
  water: ["Still water", "250 ml"],
  tea: ["Green tea", "200 ml"],
  lemon: ["Lemonade", "330 ml"],
  mint: ["Mint", "two leaves"],
  ice: ["Ice", "three cubes"],
};

/** Where the cards are at first. */
export function firstCards() {
  const place = (ex, y, owner) => ({ ex, y, owner, held: false });
  return {
    "card:espresso": place(-560, 0.06, "left"),
    "card:water": place(-380, 0.5, "left"),
    "card:tea": place(-200, 0.88, "left"),
    "card:lemon": place(48, 0.28, "right"),
    "card:mint": place(228, 0.72, "right"),
    "card:ice": place(408, 0.06, "right"),
  };
}

export class Board {
  #elements = new Map();
  /** The card that is dragged here: where it was, and where the pointer holds it. */
  #drag;
  /** Where the other screen's card is while it is dragged there. */
  #theirs;
  #lastBox;

  constructor(element, own, other, shared, wire, say) {
    Object.assign(this, { element, own, other, shared, wire, say });
    for (const [name, words] of Object.entries(CARDS)) this.#add(`card:${name}`, words);
    // A page that was reloaded in the middle of it drags no more.
    for (const key of this.#elements.keys()) if (this.#owns(key) && this.#card(key).held) this.#write(key, { held: false });
    new ResizeObserver(() => this.show()).observe(element);
  }

  /** Gives the other screen what lies there, and takes what nobody has. */
  settle() {
    const written = [...this.#elements.keys()].filter(key => {
      const { ex, owner, held } = this.#card(key);
      if (this.wire.status === "together" && owner === this.own && !held && sideOf(ex) !== this.own) {
        this.#write(key, { owner: this.other });
      } else if (this.wire.status === "alone" && owner !== this.own) {
        this.#write(key, { owner: this.own, held: false });
      } else return false;
      return true;
    });
    if (written.length > 0) this.wire.tell();
    this.show();
  }

  /** Where a card is that the other screen drags. */
  dragged(update) {
    if (!this.#elements.has(update.id) || this.#theirs?.n >= update.n) return;
    const { owner, held } = this.#card(update.id);
    // One that comes after the card was laid down is late.
    if (owner !== this.other || !held) return;
    this.#theirs = update;
    this.#place(update.id);
  }

  show() {
    if (this.#theirs && !this.#card(this.#theirs.id).held) this.#theirs = undefined;
    for (const key of this.#elements.keys()) this.#place(key);
  }

  #add(key, [title, words]) {
    const card = document.createElement("button");
    card.className = "card";
    card.dataset.card = key.slice(5);
    card.append(Object.assign(document.createElement("strong"), { textContent: title }), words);
    card.addEventListener("pointerdown", event => this.#take(key, event));
    card.addEventListener("pointermove", event => this.#move(key, event));
    card.addEventListener("pointerup", () => this.#drop(key));
    for (const kind of ["pointercancel", "lostpointercapture"]) card.addEventListener(kind, () => this.#drop(key));
    card.addEventListener("keydown", event => this.#press(key, event));
    card.addEventListener("click", () => this.#select(key));
    this.#elements.set(key, card);
    this.element.append(card);
  }

  #take(key, event) {
    if (event.button !== 0 || this.#drag || !this.#owns(key)) return;
    const card = this.#elements.get(key);
    const { left, top } = card.getBoundingClientRect();
    card.setPointerCapture(event.pointerId);
    this.#drag = { key, x: event.clientX - left, y: event.clientY - top, from: this.#card(key), hasMoved: false };
    this.#write(key, { held: true });
    this.#select(key);
  }

  #move(key, event) {
    if (this.#drag?.key !== key) return;
    const { x, y, width, height } = this.#box();
    const left = event.clientX - this.#drag.x - x;
    const top = event.clientY - this.#drag.y - y;
    const share = clamp(top / Math.max(1, height - CARD.height), 0, 1);
    Object.assign(this.#drag, { hasMoved: true, ex: left - this.#seam(width), share });
    this.#place(key);
    this.wire.drag({ id: key, ex: this.#drag.ex, y: share });
  }

  #drop(key) {
    if (this.#drag?.key !== key) return;
    const { from, hasMoved, ex, share } = this.#drag;
    this.#drag = undefined;
    if (hasMoved) this.#lay(key, ex, share);
    else this.#write(key, { ...from, held: false });
    this.wire.tell();
    this.show();
  }

  /** Lays a card down: over there, or here, and then all of it. */
  #lay(key, ex, y) {
    const goes = this.wire.status === "together" && sideOf(ex) !== this.own;
    const place = goes ? ex : this.#within(ex);
    this.#write(key, { ex: place, y, owner: goes ? this.other : this.own, held: false });
    if (goes) this.say(`${CARDS[key.slice(5)][0]} is on the ${this.other} screen.`);
  }

  #press(key, event) {
    if (event.key === "Escape" && this.#drag?.key === key) {
      const { from } = this.#drag;
      Object.assign(this.#drag, { hasMoved: true, ex: from.ex, share: from.y });
      return this.#drop(key);
    }
    const arrow = ARROWS[event.key];
    if (!arrow || this.#drag || !this.#owns(key)) return;
    event.preventDefault();
    const [dx, dy] = arrow.map(way => way * STEP * (event.shiftKey ? 4 : 1));
    const { ex, y } = this.#card(key);
    const { height } = this.#box();
    const here = this.#within(ex);
    // Who pushes a card that is at the edge pushes it over.
    const isOver = here === this.#edge() && Math.sign(dx) === (this.own === "left" ? 1 : -1);
    const across = this.own === "left" ? 0 : -CARD.width;
    const to = isOver && this.wire.status === "together" ? across : this.#within(here + dx);
    this.#lay(key, to, clamp(y + dy / Math.max(1, height - CARD.height), 0, 1));
    this.#select(key);
    this.show();
    if (!this.#owns(key)) this.element.focus();
  }

  #select(key) {
    this.shared.set("selected", key);
    this.wire.tell();
    this.show();
  }

  #place(key) {
    const element = this.#elements.get(key);
    const { ex, y, isMoving, isHere } = this.#whereIs(key);
    const { width, height } = this.#box();
    const left = this.#seam(width) + ex;
    const top = y * Math.max(0, height - CARD.height);
    element.hidden = !isHere;
    element.style.transform = `translate(${left}px, ${top}px)`;
    element.classList.toggle("moving", isMoving);
    element.dataset.owner = this.#card(key).owner;
    element.setAttribute("aria-pressed", String(this.shared.get("selected") === key));
  }

  #whereIs(key) {
    const { ex, y, owner, held } = this.#card(key);
    if (owner === this.own) {
      const drag = this.#drag?.key === key && this.#drag.hasMoved ? this.#drag : undefined;
      return drag ? { ex: drag.ex, y: drag.share, isMoving: true, isHere: true } : { ex: this.#within(ex), y, isMoving: held, isHere: true };
    }
    const theirs = held && this.#theirs?.id === key ? this.#theirs : undefined;
    return theirs ? { ex: theirs.ex, y: theirs.y, isMoving: true, isHere: true } : { ex, y, isMoving: true, isHere: false };
  }

  #owns(key) {
    return this.#card(key).owner === this.own;
  }

  #card(key) {
    return this.shared.get(key);
  }

  #write(key, change) {
    this.shared.set(key, { ...this.#card(key), ...change });
  }

  /** Where the board is; where it was, if the other screen has turned to another page. */
  #box() {
    const { x, y } = this.element.getBoundingClientRect();
    const { clientLeft, clientTop, clientWidth: width, clientHeight: height } = this.element;
    if (width > 0 || !this.#lastBox) this.#lastBox = { x: x + clientLeft, y: y + clientTop, width, height };
    return this.#lastBox;
  }

  /** Where the edge between the screens is, on this one. */
  #seam(width) {
    return this.own === "left" ? width : 0;
  }

  /** The last place before the edge. */
  #edge() {
    return this.own === "left" ? -CARD.width : 0;
  }

  /** The nearest place that is all on this screen. */
  #within(ex) {
    const { width } = this.#box();
    const room = Math.max(0, width - CARD.width);
    return this.own === "left" ? clamp(ex, -CARD.width - room, -CARD.width) : clamp(ex, 0, room);
  }
}

/** The screen on which the middle of a card is. */
function sideOf(ex) {
  return ex + CARD.width / 2 < 0 ? "left" : "right";
}

function clamp(number, least, most) {
  return Math.min(Math.max(number, least), most);
}
