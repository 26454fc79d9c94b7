// A pane: one user on one device, with a connection of its own.

import { GodwitClient, SocketTransport, StreamTransport } from "./godwit.js";

// With how many messages a pane begins, and how many it adds when somebody looks further
// back.
const FIRST_ROWS = 30;
const MORE_ROWS = 50;

// How many rows a pane keeps while its end is shown, and at most. The rest is in the
// history.
const MAX_ROWS = 250;
const MAX_ROWS_BACK = 2000;

// A message that comes so many ms later than others have come is one that was waiting,
// and who gets one is behind, until for so many ms none comes.
const LATE = 1500;
const QUIET = 1500;

// What of a body is shown.
const MAX_TEXT = 280;

// A burst: enough bytes to fill, when they are not read, the buffers of the browser
// and of both sockets (5 MB were measured on Linux; they may grow to 10) and then the
// queue of the node, 1 MB.
const BURST = 500;
const BURST_BODY = 24 << 10;

// How a slow reader reads: one frame in so many ms.
const SLOW = 500;

const SLOW_UNSUPPORTED = "This browser reads a WebSocket as fast as it can, whatever the page does. " +
  "One with WebSocketStream, such as Chromium, can wait.";

const stateText = {
  connecting: "connecting",
  connected: "connected",
  waiting: "retrying",
  closed: "offline",
};

const sendText = {
  queued: "waiting",
  sending: "sending",
  retrying: "sending again",
  stored: "stored",
  rejected: "rejected",
  unknown: "unknown",
};

export class Pane {
  #root;
  #client;
  #rows = new Map(); // the rows of this client's own sends, by their ids
  #fresh = []; // rows that the next animation frame puts in
  #received = 0;
  #stored = 0;
  #fastest = Infinity; // the least time of a message from the log to here, clocks' difference included
  #behind = 0; // by how much the last message was later than that, in ms, if it was late
  #behindTimer = 0;
  #loading = false; // what comes before the rows
  #burst = null; // {left, stored} while one is on its way

  /** connect(user) returns a promise of {token, url} for a user. */
  constructor({ user, device, url, to, connect, removed }) {
    this.user = user;
    this.device = device;
    this.#root = document.getElementById("pane").content.firstElementChild.cloneNode(true);
    this.#root.dataset.user = user;
    this.#root.dataset.device = device;
    this.#root.dataset.behind = 0;
    this.#root.setAttribute("aria-label", `${user} on ${device}`);
    this.#root.style.setProperty("--hue", hue(user));
    this.#root.querySelector(".avatar").textContent = Array.from(user)[0].toUpperCase();
    this.#root.querySelector(".user").textContent = user;
    this.#root.querySelector(".device").textContent = device;
    this.#part("recipients").value = to;
    this.#part("burst").textContent = `Burst of ${BURST}`;
    this.#part("burst").title = `Sends ${BURST} messages of ${BURST_BODY >> 10} KB, as fast as the node allows`;

    this.#client = new GodwitClient({
      urls: [url], device,
      token: async () => (await connect(user)).token,
      start: `last:${FIRST_ROWS}`,
      Transport: StreamTransport.canWait ? StreamTransport : SocketTransport,
    });
    this.#listen();
    this.#controls(removed);
    this.#showState({ state: "closed" });
    this.#client.start();
  }

  get element() { return this.#root; }

  remove() {
    this.#client.stop();
    clearTimeout(this.#behindTimer);
    this.#root.remove();
  }

  #part(name) { return this.#root.querySelector(`[data-testid="${name}"]`); }

  #listen() {
    const on = (type, handle) => this.#client.addEventListener(type, (event) => handle(event.detail));
    on("state", (change) => this.#showState(change));
    on("message", (message) => this.#showMessage(message));
    on("ack", (send) => this.#showSend(send));
    on("gone", (gone) => this.#showGone(gone));
    on("error", ({ code, message }) => this.#add(note("trouble", `${code}: ${message}`)));
  }

  #controls(removed) {
    this.#root.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      const body = this.#part("body");
      if (body.value !== "" && this.#send(body.value)) body.value = "";
      body.focus();
    });
    this.#part("connection").addEventListener("click", () => {
      if (this.#client.state === "closed") this.#client.start();
      else this.#client.stop();
    });
    this.#part("remove").addEventListener("click", () => {
      this.remove();
      removed(this);
    });
    this.#part("burst").addEventListener("click", () => this.#startBurst());
    this.#part("earlier").addEventListener("click", () => this.#loadEarlier());
    const timeline = this.#part("timeline");
    timeline.addEventListener("scroll", () => {
      if (timeline.scrollTop < 40 && timeline.scrollHeight > timeline.clientHeight) this.#loadEarlier();
    });
    const slow = this.#part("slow");
    slow.disabled = !StreamTransport.canWait;
    if (slow.disabled) slow.parentElement.title = SLOW_UNSUPPORTED;
    slow.addEventListener("change", () => {
      this.#client.readDelay = slow.checked ? SLOW : 0;
      this.#showNotice();
    });
  }

  #send(body) {
    const to = this.#part("recipients").value.split(",").map((user) => user.trim()).filter(Boolean);
    try {
      return this.#client.send({ to, body });
    } catch (err) {
      this.#add(note("trouble", err.message));
      return null;
    }
  }

  async #startBurst() {
    const size = Math.min(BURST_BODY, this.#client.welcome?.limits.body_bytes ?? BURST_BODY);
    const burst = (this.#burst = { left: BURST, stored: 0 });
    const button = this.#part("burst");
    button.disabled = true;
    for (let i = 1; i <= BURST; i++) {
      const send = this.#send(`burst ${i} of ${BURST}\n`.padEnd(size, "."));
      if (!send) {
        burst.left -= BURST - i + 1;
        break;
      }
      send.settled.then(({ state }) => {
        burst.left--;
        if (state === "stored") burst.stored++;
        this.#soon();
      });
    }
    this.#soon();
  }

  // ---- showing ----

  #showState({ state, code = 0, reason = "", delay = 0 }) {
    this.#root.dataset.state = state;
    const label = this.#part("state");
    label.textContent = stateText[state];
    const { node, session } = this.#client.welcome ?? {};
    label.title = state === "connected" ? `node ${node}, session ${session}`
      : [code || "", reason, delay ? `next attempt in ${(delay / 1000).toFixed(1)} s` : ""].filter(Boolean).join(", ");
    this.#part("connection").textContent = state === "closed" ? "Connect" : "Disconnect";
    if (state === "closed" && code >= 4000) this.#add(note("trouble", `closed with ${code}: ${reason}`));
    this.#showNotice();
    this.#soon();
  }

  #showNotice() {
    const notice = this.#part("notice");
    const slow = this.#client.readDelay > 0;
    const behind = Math.round(this.#behind / 1000);
    notice.hidden = !slow && behind === 0;
    if (notice.hidden) return;
    const catching = behind > 0 ? `Catching up: ${behind} s behind. ` : "";
    const limits = this.#client.welcome?.limits;
    notice.textContent = catching + (slow && limits
      ? `Reads one frame every ${SLOW} ms. The node keeps at most ${limits.queue_messages} messages or ${size(limits.queue_bytes)} for this connection; the rest waits in the log.`
      : "");
  }

  /** Takes the time of a message that has come: whoever gets old ones is catching up. */
  #measure(time) {
    const took = Date.now() - time;
    this.#fastest = Math.min(this.#fastest, took);
    const late = took - this.#fastest;
    this.#setBehind(late > LATE ? late : 0);
  }

  #setBehind(late) {
    clearTimeout(this.#behindTimer);
    if (late > 0) this.#behindTimer = setTimeout(() => this.#setBehind(0), QUIET);
    if (late === this.#behind) return;
    this.#behind = late;
    this.#root.dataset.behind = Math.round(late / 1000);
    this.#soon();
  }

  #showMessage(message) {
    this.#received++;
    this.#measure(message.time);
    const own = message.self && this.#rows.get(message.id);
    if (own) this.#place(own, message);
    else this.#add(this.#row(message, "delivered"));
    this.#soon();
  }

  /** A new row for a message of the timeline. */
  #row(message, state) {
    const row = bubble(message.self === true, message.from, message.to, message.body);
    this.#place(row, message);
    row.dataset.state = state;
    return row;
  }

  /** Notes on a row where in the timeline its message is. */
  #place(row, message) {
    row.dataset.id = message.id;
    if (message.seq) row.dataset.seq = message.seq; // a page has none
    row.dataset.cursor = message.cursor;
    row.title = `cursor ${message.cursor}\nmessage ${message.message_id}\nid ${message.id}`;
    row.querySelector(".seq").textContent = message.seq ? `#${message.seq}` : "";
    row.querySelector("time").textContent = clock(message.time);
  }

  #showSend(send) {
    let row = this.#rows.get(send.id);
    if (!row) {
      row = bubble(true, this.user, send.to, send.body);
      row.dataset.id = send.id;
      this.#rows.set(send.id, row);
      this.#add(row);
    }
    row.dataset.state = send.state;
    row.querySelector(".status").textContent = sendText[send.state] + (send.code ? ` (${send.code})` : "");
    if (send.state === "stored") this.#stored++;
    this.#soon();
  }

  #showGone({ after, before, code }) {
    const row = note("gone", code
      ? `Messages may be missing here: the node does not know how far this device had come (${code}).`
      : "Messages are missing here: their time to be kept is over.");
    row.dataset.testid = "gone";
    row.dataset.code = code;
    row.title = `after ${after}\nbefore ${before}`;
    this.#add(row);
  }

  /** Puts in the messages before the first of the rows. */
  async #loadEarlier() {
    const timeline = this.#part("timeline");
    if (this.#loading || this.#part("earlier").hidden || timeline.childElementCount > MAX_ROWS_BACK) return;
    this.#loading = true;
    this.#draw(); // what was delivered must be there to be the first
    const first = timeline.querySelector("[data-cursor]");
    try {
      const page = await this.#client.history({ before: first?.dataset.cursor, limit: MORE_ROWS });
      this.#draw();
      // The rows may have changed meanwhile; then there is another first to ask before.
      if (timeline.querySelector("[data-cursor]") === first) {
        const height = timeline.scrollHeight;
        this.#part("earlier").after(...page.messages.map((message) => this.#row(message, "history")));
        timeline.scrollTop += timeline.scrollHeight - height;
        if (page.messages.length > 0) timeline.querySelector(".empty")?.remove();
        this.#part("earlier").hidden = !page.more_before;
      }
    } catch (err) {
      this.#add(note("trouble", err.message));
    } finally {
      this.#loading = false;
    }
  }

  #add(row) {
    this.#fresh.push(row);
    this.#soon();
  }

  // A burst changes hundreds of rows at a time: they are shown together. A hidden page
  // has no animation frames, and a timer will do for it.
  #drawing = false;
  #soon() {
    if (this.#drawing) return;
    this.#drawing = true;
    const draw = () => {
      this.#drawing = false;
      this.#draw();
    };
    if (document.hidden) setTimeout(draw, 100);
    else requestAnimationFrame(draw);
  }

  #draw() {
    const timeline = this.#part("timeline");
    const atEnd = timeline.scrollHeight - timeline.scrollTop - timeline.clientHeight < 40;
    if (this.#fresh.length > 0) {
      timeline.querySelector(".empty")?.remove();
      timeline.append(...this.#fresh.splice(0));
      // Who looks back keeps what is there, within reason.
      while (timeline.childElementCount > (atEnd ? MAX_ROWS : MAX_ROWS_BACK)) this.#forget(this.#part("earlier").nextElementSibling);
      if (atEnd) timeline.scrollTop = timeline.scrollHeight;
    }
    this.#part("seq").textContent = this.#client.seq;
    this.#part("received").textContent = this.#received;
    this.#part("stored").textContent = this.#stored;
    this.#part("behind").textContent = `${Math.round(this.#behind / 1000)} s`;
    this.#root.classList.toggle("late", this.#behind > 0);
    this.#showNotice();
    this.#drawBurst();
  }

  #drawBurst() {
    const button = this.#part("burst");
    if (this.#burst === null) return;
    if (this.#burst.left > 0) {
      button.textContent = `Burst: ${this.#burst.stored} stored`;
    } else {
      this.#burst = null;
      button.disabled = false;
      button.textContent = `Burst of ${BURST}`;
    }
  }

  #forget(row) {
    row.remove();
    this.#part("earlier").hidden = false;
    if (this.#rows.get(row.dataset.id) === row) this.#rows.delete(row.dataset.id);
  }
}

/** A row with a message. body is missing, a string, or bytes. */
function bubble(self, from, to, body) {
  const row = document.createElement("div");
  row.className = "message";
  row.dataset.testid = "message";
  row.dataset.from = from;
  row.dataset.self = self;
  row.style.setProperty("--hue", hue(from));
  const who = span("who", self ? `to ${to.join(", ")}` : to.length > 1 ? `${from} to ${to.join(", ")}` : from);
  const text = document.createElement("p");
  text.textContent = shorten(body);
  const meta = document.createElement("div");
  meta.className = "meta";
  meta.append(span("seq", ""), document.createElement("time"), span("status", ""));
  row.append(who, text, meta);
  return row;
}

function note(kind, text) {
  const row = document.createElement("p");
  row.className = kind;
  row.textContent = text;
  return row;
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

function shorten(body) {
  if (body === undefined) return "(sent from this device)";
  if (typeof body !== "string") return `(${size(body.length)} that are not text)`;
  if (body.length <= MAX_TEXT) return body;
  return `${body.slice(0, MAX_TEXT / 4).split("\n", 1)[0]} … (${size(body.length)})`;
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1 << 20) return `${Math.round(bytes / 1024)} KB`;
  return `${(bytes / (1 << 20)).toFixed(1).replace(".0", "")} MB`;
}

function clock(ms) {
  const d = new Date(ms);
  return d.toLocaleTimeString([], { hour12: false }) + "." + String(d.getMilliseconds()).padStart(3, "0");
}

/** A colour for a user, the same in every pane: FNV-1a as a circle's degrees, times a
 *  factor that sets short names apart. */
function hue(user) {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(user)) h = Math.imul(h ^ byte, 0x01000193);
  return ((h >>> 0) * 7) % 360;
}
