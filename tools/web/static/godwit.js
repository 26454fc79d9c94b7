// A client of godwit for browsers: one file, no dependencies, the protocol
// godwit.v1.json.
//
//   const client = new GodwitClient({
//     url: "wss://chat.example.com",
//     token: async () => (await fetch("/token")).text(),
//     device: "browser-3f9a",
//   });
//   client.addEventListener("message", (event) => show(event.detail));
//   client.start();
//   const { state, code } = await client.send({ to: ["bob"], body: "hi" }).settled;
//
// Events, each with its detail:
//
//   state     {state, code, reason, delay}: "connecting"; "connected"; "waiting" for
//             delay ms before the next attempt; "closed" for good. code and reason are
//             those of the connection that ended.
//   welcome   the frame
//   message   the deliver frame; body is a string, or a Uint8Array where it is not text,
//             and may be missing from what this very connection has sent
//   ack       a Send of this client, whenever its state changes
//   gone      {after, before, code}: what lies between these cursors is gone for good. Or
//             before is empty, and code says why the server does not take the cursor
//             after: messages may be missing, and the client begins anew as start says
//   gap       the frame: the deliveries from_seq to to_seq were dropped; history has them.
//             Only with overflow "gap"
//   error     {code, message}: an error frame, or a mistake of the server ("sequence")
//
// The message events are one timeline without a hole, each message once, however often the
// client connects anew: each connection goes on at the cursor where the one before ended.
// To go on after the page was loaded again, keep client.cursor along with what the page has
// kept of the messages, and give it as the option cursor. history() reads any part of the
// timeline.

const PROTOCOL = "godwit.v1.json";

// A send is repeated with the same id for this long after its first attempt. The
// server recognises a repetition for 60 s, so the last one still lies well within.
const RESEND_FOR = 20_000;

// How long to look into the history for a send whose outcome is unknown, and the pause
// before the next look when it cannot be read, in ms.
const LOOK_FOR = 5_000;
const LOOK_PAUSE = 500;

// How long history() waits for its page. The server answers within 5 s if it can be reached.
const ASK_FOR = 15_000;

// How many messages to know again by their ids. What can come twice is what "last:N"
// repeats: 1,000, at times a few more.
const REMEMBERED = 2_000;

// How many sends may wait to be sent, in memory.
const MAX_WAITING = 10_000;

// Places of welcome.limits.in_flight that sends leave free, for pings.
const RESERVED_PLACES = 2;

// Pauses before the next attempt, in ms: a random part of one that doubles with each
// failure. It starts over when a connection has lasted.
const BACKOFF_FIRST = 250;
const BACKOFF_MAX = 15_000;
const LASTED = 10_000;

// The least pause after some close codes, in ms.
const LEAST_PAUSE = { 1011: 1000, 1013: 3000, 4100: 1000, 4101: 2000 };

const WELCOME_TIMEOUT = 10_000; // from the first attempt to connect to the welcome
const PONG_TIMEOUT = 5_000; // from a ping to anything
const TICK = 250;

// How many times in a row to go where a node points to.
const MAX_REDIRECTS = 5;

// The codes of a rejection after which the same send may be accepted later.
export const RETRYABLE = new Set([
  "rate_limited", "not_ready", "degraded", "overloaded", "timeout", "unavailable", "shutting_down",
  "slow", "token_expired", "moved", "not_owner", "internal", "history_unavailable", "history_behind",
]);

// The codes with which a server does not take a cursor.
const CURSOR_CODES = ["unknown_cursor", "bad_cursor"];

/** Why history() has no page. `retryable` says that the same may be answered later. */
export class HistoryError extends Error {
  constructor(code) {
    super(`no history: ${code}`);
    this.code = code;
    this.retryable = RETRYABLE.has(code);
  }
}

/** A message on its way. `state` is queued, sending, retrying, and finally stored,
 *  rejected (nothing was written; `code` says why) or unknown (it may be there, and if
 *  `found`, it is in the sender's own timeline). */
export class Send {
  constructor(id, to, body, kind, ttl) {
    this.id = id;
    this.to = to;
    this.body = body;
    this.kind = kind;
    this.ttl = ttl;
    this.state = "queued";
    this.code = "";
    this.messageId = "";
    this.time = 0; // the log's, in Unix ms, when stored
    this.attempts = 0;
    this.first = 0; // when it was sent first, of performance.now()
    this.due = 0; // when to send it again
    this.after = ""; // the client's cursor then: wherever the message is stored, it is later
    this.doubt = false; // an attempt may have been written
    this.found = false;
    this.looking = false; // for it in the history
    this.settled = new Promise((resolve) => (this.resolve = resolve));
  }
}

export class GodwitClient extends EventTarget {
  // Static.
  #url;
  #token;
  #device;
  #start;
  #overflow;
  #Transport;

  // The connection.
  #state = "closed";
  #transport = null;
  #attempt = 0; // counts attempts and stops, so that what is late can be told
  #timer = 0;
  #retryTimer = 0;
  #pumpTimer = 0;
  #since = 0; // when the attempt began, or the welcome came
  #heard = 0;
  #pinged = 0; // when a ping went out that nothing has followed; else 0
  #failures = 0;
  #redirects = 0;
  #target = null; // {url, mapVersion} of a redirect
  #moved = null;
  #routeLost = false; // the node did not say who serves the user: ask
  #readDelay = 0;

  // What the server told.
  #user = "";
  #welcome = null;
  #cursor = ""; // of the last frame that had one
  #refused = ""; // why the server does not take it, if it has said so
  #seq = 0;
  #seen = new Set(); // message ids, the oldest first
  #gone = ""; // what was last told to be gone, as JSON

  // Sends: all that are not settled, those to send next, and the ids of this connection
  // without an ack.
  #sends = new Map();
  #queue = [];
  #unanswered = new Set();

  // Questions to history, {frame, resolve, reject, due} by id, and the ids of this
  // connection without a page.
  #asks = new Map();
  #asked = new Set();

  // The turns of limits.sends_per_second.
  #tokens = 0;
  #tokensAt = 0;

  /**
   * @param {object} options
   * @param {string} options.url  ws or wss URL of a node; /v1/connect is added
   * @param {string|function(): Promise<string>} options.token  a token, or a function
   *   that is asked for one at each attempt to connect
   * @param {string} options.device  a stable name: by it the server recognises what is
   *   sent again on a new connection
   * @param {string} [options.cursor]  where to go on: client.cursor of an earlier page
   * @param {string} [options.start]  where to begin without a cursor: "live", or "last:N"
   *   with the newest N messages
   * @param {string} [options.overflow]  what becomes of what this client is too slow for:
   *   "auto", it comes later, in order; or "gap", it is dropped and told
   * @param {function} [options.Transport]  SocketTransport or StreamTransport
   */
  constructor({ url, token, device, cursor = "", start = "", overflow = "", Transport = SocketTransport }) {
    super();
    if (!device) throw new TypeError("a device name is needed");
    this.#url = url;
    this.#token = token;
    this.#device = device;
    this.#cursor = cursor;
    this.#start = start;
    this.#overflow = overflow;
    this.#Transport = Transport;
  }

  get state() { return this.#state; }
  /** The last welcome frame, or null. */
  get welcome() { return this.#welcome; }
  /** Up to where everything was handed to the page, the message of the event at hand
   *  included; empty if there is nothing yet. */
  get cursor() { return this.#cursor; }
  /** The number of the last delivery on this connection. */
  get seq() { return this.#seq; }

  /** Milliseconds to wait between two frames when reading; 0 to read as they come. It
   *  makes this client slow, as the server sees it, where the transport can. */
  get readDelay() { return this.#readDelay; }
  set readDelay(ms) {
    if (ms > 0 && !this.#Transport.canWait) {
      throw new Error("this transport reads whatever comes; use StreamTransport");
    }
    this.#readDelay = ms;
    if (this.#transport) this.#transport.readDelay = ms;
    this.#heard = performance.now();
  }

  start() {
    if (this.#state !== "closed") return;
    this.#failures = 0;
    this.#timer = setInterval(() => this.#tick(), TICK);
    this.#connect();
  }

  /** Ends the connection for good. Sends that were never tried are settled as rejected
   *  with the code "not_sent", others as unknown. start() begins anew. */
  stop() {
    if (this.#state === "closed") return;
    this.#transport?.close();
    this.#end(1000, "stopped");
  }

  /** Sends a message and returns its Send, which is settled later. It may be called in
   *  any state: what cannot be sent yet waits. ttl is for how many ms the message is
   *  there, 0 for ever. */
  send({ to, body = "", kind = "message", ttl = 0, id = randomID() }) {
    for (const text of [id, ...to, typeof body === "string" ? body : ""]) {
      if (!text.isWellFormed()) throw new TypeError("half a surrogate pair is not text");
    }
    if (this.#sends.has(id)) throw new Error("this id is already on its way");
    if (this.#sends.size >= MAX_WAITING) throw new Error("too many messages wait to be sent");
    const send = new Send(id, [...to], body, kind, ttl);
    this.#sends.set(id, send);
    this.#queue.push(send);
    this.#emit("ack", send);
    this.#pump();
    return send;
  }

  /** Reads a part of the timeline and returns a promise of the history_page frame, whose
   *  messages are like those of message events, without seq. after, before and around
   *  are cursors; peer is the other user of a conversation. It rejects with a HistoryError,
   *  whose code is that of the server, "timeout", or "closed". */
  history({ after, before, around, limit, peer } = {}) {
    return this.#ask({ after, before, around, limit, peer }, ASK_FOR);
  }

  /** Replaces the token of the connection by a newer one of the same user. */
  refresh(token) {
    if (this.#state === "connected") this.#write({ type: "refresh", token });
  }

  // ---- connecting ----

  async #connect() {
    const attempt = ++this.#attempt;
    this.#since = performance.now();
    this.#setState("connecting");
    let token;
    try {
      token = typeof this.#token === "function" ? await this.#token() : this.#token;
      if (this.#routeLost) await this.#askRoute();
    } catch (err) {
      if (attempt === this.#attempt) this.#lost(0, `no token: ${err.message}`);
      return;
    }
    if (attempt !== this.#attempt) return;
    this.#moved = null;
    this.#refused = "";
    try {
      const transport = new this.#Transport(this.#address(), [PROTOCOL, `bearer.${token}`], {
        message: (text) => {
          if (transport === this.#transport) this.#receive(text);
        },
        closed: (code, reason) => {
          if (transport === this.#transport) this.#lost(code, reason);
        },
      });
      transport.readDelay = this.#readDelay;
      this.#transport = transport;
    } catch (err) { // the URL or the token is nothing that a browser can connect with
      this.#end(0, err.message);
    }
  }

  #address() {
    const url = new URL(this.#target?.url ?? this.#url);
    if (url.pathname === "/") url.pathname = "/v1/connect";
    url.searchParams.set("device", this.#device);
    if (this.#cursor) url.searchParams.set("cursor", this.#cursor);
    else if (this.#start) url.searchParams.set("start", this.#start);
    if (this.#overflow) url.searchParams.set("overflow", this.#overflow);
    if (this.#target) url.searchParams.set("map_version", this.#target.mapVersion);
    return url.href;
  }

  /** Asks any node which one serves the user. Where that fails, the configured node will
   *  say at connect. */
  async #askRoute() {
    this.#routeLost = false;
    const url = new URL(this.#url.replace(/^ws/, "http"));
    url.pathname = "/v1/route";
    url.search = new URLSearchParams({ user: this.#user });
    try {
      const route = await (await fetch(url, { signal: AbortSignal.timeout(PONG_TIMEOUT) })).json();
      if (route.url) this.#target = { url: route.url, mapVersion: route.map_version };
    } catch {
      this.#target = null;
    }
  }

  /** The connection or the attempt to make one has ended. What to do is in the class of
   *  the close code. */
  #lost(code, reason) {
    const now = performance.now();
    const welcomed = this.#state === "connected";
    this.#transport = null;
    this.#attempt++;
    this.#doubtUnanswered();
    this.#asked.clear();
    if (code === 4000 && this.#refused && this.#cursor) {
      this.#tellGone(this.#cursor, "", this.#refused);
      this.#cursor = "";
    } else if (code >= 4000 && code < 4100) {
      this.#end(code, reason);
      return;
    }
    if (welcomed && now - this.#since > LASTED) this.#failures = 0;
    let delay = (LEAST_PAUSE[code] ?? 0) + this.#backoff(this.#failures++, BACKOFF_MAX);
    if (code >= 4200 && code < 4300) {
      const moved = this.#moved;
      this.#target = null;
      if (moved && this.#redirects++ < MAX_REDIRECTS) {
        this.#target = { url: moved.url, mapVersion: moved.map_version };
        delay = Math.random() * (moved.retry_after_ms ?? 0);
      } else {
        this.#routeLost = this.#user !== "";
      }
    } else if (!welcomed) {
      this.#target = null; // the node that we were sent to may be gone
    }
    this.#setState("waiting", { code, reason, delay });
    this.#retryTimer = setTimeout(() => this.#connect(), delay);
  }

  #backoff(failures, max) {
    return Math.random() * Math.min(max, BACKOFF_FIRST * 2 ** failures);
  }

  #end(code, reason) {
    this.#attempt++;
    this.#transport = null;
    clearInterval(this.#timer);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#pumpTimer);
    this.#unanswered.clear();
    this.#asked.clear();
    for (const { reject } of this.#asks.values()) reject(new HistoryError("closed"));
    this.#asks.clear();
    this.#queue = [];
    for (const send of [...this.#sends.values()]) {
      if (send.attempts === 0) this.#settle(send, "rejected", "not_sent");
      else this.#settle(send, "unknown", "closed");
    }
    this.#setState("closed", { code, reason });
  }

  // ---- receiving ----

  #receive(text) {
    this.#heard = performance.now();
    this.#pinged = 0;
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      this.#emit("error", { code: "bad_frame", message: "the server sent what is not JSON" });
      return;
    }
    switch (frame.type) {
      case "welcome": return this.#welcomed(frame);
      case "ack": return this.#acked(frame);
      case "deliver": return this.#delivered(frame);
      case "gap":
        // No cursor of a gap is to be kept: what follows it has its own.
        this.#advance(frame.from_seq, frame.to_seq);
        if (frame.reason === "retention") this.#tellGone(frame.after, frame.before, "");
        else this.#emit("gap", frame);
        return;
      case "history_page": return this.#paged(frame);
      case "heartbeat":
        // Its number is that of the last delivery, which shows if that one was lost.
        if (frame.seq !== this.#seq) this.#advance(frame.seq + 1, frame.seq);
        this.#cursor = frame.cursor;
        return;
      case "moved":
        this.#moved = frame;
        return;
      case "error":
        if (this.#state === "connecting" && CURSOR_CODES.includes(frame.code)) this.#refused = frame.code;
        this.#emit("error", { code: frame.code, message: frame.message ?? "" });
        return;
    }
    // pong, and frames of a newer server.
  }

  #welcomed(frame) {
    this.#welcome = frame;
    this.#user = frame.user;
    this.#cursor = frame.cursor;
    this.#seq = 0;
    this.#redirects = 0;
    this.#since = performance.now();
    this.#tokens = frame.limits.sends_per_second;
    this.#tokensAt = this.#since;
    this.#setState("connected");
    this.#emit("welcome", frame);
    this.#pump();
  }

  #delivered(frame) {
    this.#advance(frame.seq, frame.seq);
    this.#cursor = frame.cursor;
    // A signal comes once, from the moment, and never out of the log.
    if (frame.kind !== "signal" && this.#again(frame.message_id)) return;
    this.#emit("message", decodeBody(frame));
  }

  /** Reports whether a message has been there, and remembers it. */
  #again(id) {
    if (this.#seen.has(id)) return true;
    this.#seen.add(id);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value);
    return false;
  }

  /** Tells what is gone, once: who reconnects before a message has followed is told again
   *  by the server. */
  #tellGone(after, before, code) {
    const gone = { after, before, code };
    if (JSON.stringify(gone) === this.#gone) return;
    this.#gone = JSON.stringify(gone);
    this.#emit("gone", gone);
  }

  /** Takes the numbers from to to. Every number is delivered or told by a gap; a hole
   *  is a mistake of the server. */
  #advance(from, to) {
    if (from !== this.#seq + 1) {
      this.#emit("error", { code: "sequence", message: `number ${from} came after ${this.#seq}` });
    }
    this.#seq = to;
  }

  #acked(ack) {
    this.#unanswered.delete(ack.id);
    const send = this.#sends.get(ack.id);
    if (send && ack.status === "stored") { // it may be late, and counts for all attempts
      send.messageId = ack.message_id;
      send.time = ack.time;
      this.#settle(send, "stored", "");
    } else if (send?.state === "sending") {
      send.messageId = ack.message_id ?? send.messageId;
      if (ack.status === "rejected" && !RETRYABLE.has(ack.code)) {
        this.#giveUp(send, ack.code);
      } else {
        // Anything but stored and rejected leaves open what was written.
        if (ack.status !== "rejected") send.doubt = true;
        this.#sendAgain(send, ack.code, this.#backoff(send.attempts, BACKOFF_MAX / 4));
      }
    }
    this.#pump();
  }

  // ---- sending ----

  /** Sends what may be sent now. The server closes a client that goes beyond
   *  limits.in_flight or, for long, beyond limits.sends_per_second. */
  #pump() {
    clearTimeout(this.#pumpTimer);
    if (this.#state !== "connected") return;
    for (const [id, { frame }] of this.#asks) {
      if (this.#asked.has(id)) continue;
      if (!this.#mayWrite()) return;
      this.#asked.add(id);
      this.#write(frame);
    }
    while (this.#queue.length > 0 && this.#mayWrite()) {
      const send = this.#queue.shift();
      send.attempts++;
      if (send.attempts === 1) {
        send.first = performance.now();
        send.after = this.#cursor;
      }
      this.#unanswered.add(send.id);
      this.#mark(send, "sending", send.code);
      this.#write(sendFrame(send));
    }
  }

  /** Takes a turn for a frame that will be answered, if the connection has a place for the
   *  answer. If it is only a matter of time, it has #pump called then. */
  #mayWrite() {
    const places = Math.max(1, this.#welcome.limits.in_flight - RESERVED_PLACES);
    if (this.#unanswered.size + this.#asked.size >= places) return false;
    const wait = this.#takeTurn();
    if (wait > 0) this.#pumpTimer = setTimeout(() => this.#pump(), wait);
    return wait === 0;
  }

  /** Takes a turn of limits.sends_per_second, or returns the ms until there is one. It
   *  stays a tenth below, since the two clocks are not one. */
  #takeTurn() {
    const rate = this.#welcome.limits.sends_per_second;
    if (!rate) return 0;
    const now = performance.now();
    const perMs = (rate * 0.9) / 1000;
    this.#tokens = Math.min(rate, this.#tokens + (now - this.#tokensAt) * perMs);
    this.#tokensAt = now;
    if (this.#tokens < 1) return Math.ceil((1 - this.#tokens) / perMs);
    this.#tokens--;
    return 0;
  }

  #write(frame) {
    this.#transport.send(JSON.stringify(frame));
  }

  /** What was sent on a connection that is gone may have been stored. It goes first
   *  on the next one, in its old order. */
  #doubtUnanswered() {
    const again = [];
    for (const id of this.#unanswered) {
      const send = this.#sends.get(id);
      if (send?.state !== "sending") continue;
      send.doubt = true;
      this.#mark(send, "retrying", send.code);
      send.due = Infinity; // it is in the queue
      again.push(send);
    }
    this.#unanswered.clear();
    this.#queue.unshift(...again);
  }

  #sendAgain(send, code, delay) {
    const now = performance.now();
    if (now + delay - send.first >= RESEND_FOR) {
      this.#giveUp(send, code);
      return;
    }
    send.due = now + delay;
    this.#mark(send, "retrying", code);
  }

  /** Settles a send that did not succeed. Once an attempt may have been written, a later
   *  rejection says nothing about that one; but the history may have it, unless it is a
   *  signal. */
  async #giveUp(send, code) {
    if (!send.doubt) {
      this.#settle(send, "rejected", code);
      return;
    }
    if (send.kind !== "signal") {
      this.#mark(send, "retrying", code);
      send.due = Infinity;
      send.looking = true;
      send.found = await this.#find(send);
      if (!this.#sends.has(send.id)) return; // settled meanwhile
    }
    this.#settle(send, "unknown", code);
  }

  #settle(send, state, code) {
    this.#sends.delete(send.id);
    this.#mark(send, state, code);
    send.resolve(send);
  }

  #mark(send, state, code) {
    send.state = state;
    send.code = code ?? "";
    this.#emit("ack", send);
  }

  // ---- history ----

  /** Asks for a page, and waits for it for so many ms. A question that a connection has
   *  taken along is asked again on the next: reading changes nothing. */
  #ask({ after, before, around, limit, peer }, wait) {
    return new Promise((resolve, reject) => {
      if (this.#state === "closed") {
        reject(new HistoryError("closed"));
        return;
      }
      const id = randomID();
      const frame = {
        type: "history", id, after: after || undefined, before: before || undefined, around: around || undefined,
        limit: limit || undefined, peer: peer || undefined,
      };
      this.#asks.set(id, { frame, resolve, reject, due: performance.now() + wait });
      this.#pump();
    });
  }

  #paged(page) {
    this.#asked.delete(page.id);
    const ask = this.#asks.get(page.id);
    this.#asks.delete(page.id);
    if (page.code) {
      ask?.reject(new HistoryError(page.code));
    } else {
      page.messages = (page.messages ?? []).map(decodeBody);
      ask?.resolve(page);
    }
    this.#pump();
  }

  /** Looks for a send in the timeline; false also stands for not knowing. */
  async #find(send) {
    const until = performance.now() + LOOK_FOR;
    let after = send.after;
    for (;;) {
      try {
        const page = await this.#ask({ after, peer: send.to[0], limit: 100 }, until - performance.now());
        if (page.messages.some((message) => message.self && message.id === send.id)) return true;
        if (!page.more_after || page.after === after) return false;
        after = page.after;
      } catch (err) {
        if (!err.retryable || performance.now() + LOOK_PAUSE > until) return false;
        await sleep(LOOK_PAUSE);
      }
    }
  }

  // ---- time ----

  #tick() {
    const now = performance.now();
    this.#tickSends(now);
    if (this.#state === "connecting" && now - this.#since > WELCOME_TIMEOUT) {
      this.#abort("no welcome came");
    } else if (this.#state === "connected" && this.#readDelay === 0) {
      this.#checkAlive(now);
    }
  }

  #tickSends(now) {
    let late = false;
    for (const send of this.#sends.values()) {
      // What was never tried is not in doubt: it waits as long as it takes.
      if (send.attempts === 0 || send.looking) continue;
      if (now - send.first >= RESEND_FOR) {
        if (send.state === "sending") send.doubt = true;
        late = true;
        this.#giveUp(send, send.code || "timeout");
      } else if (send.state === "retrying" && send.due <= now) {
        send.due = Infinity;
        this.#queue.push(send);
      }
    }
    if (late) this.#queue = this.#queue.filter((send) => this.#sends.has(send.id) && !send.looking);
    for (const [id, { due, reject }] of this.#asks) {
      if (now < due) continue;
      this.#asks.delete(id);
      reject(new HistoryError("timeout"));
    }
    this.#pump();
  }

  /** A connection can be dead without an end: after welcome.heartbeat_ms of silence
   *  the client asks. */
  #checkAlive(now) {
    if (this.#pinged) {
      if (now - this.#pinged > PONG_TIMEOUT) this.#abort("no answer to a ping");
    } else if (now - this.#heard > this.#welcome.heartbeat_ms) {
      this.#pinged = now;
      this.#write({ type: "ping" });
    }
  }

  #abort(reason) {
    this.#transport?.close();
    this.#lost(1006, reason);
  }

  #setState(state, more = {}) {
    this.#state = state;
    this.#emit("state", { state, code: 0, reason: "", delay: 0, ...more });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

// A transport is one WebSocket: it is made with a URL, subprotocols and the handlers
// message(text) and closed(code, reason), and has send(text), close() and readDelay.
// Static canWait says whether it can leave frames unread.

/** The transport for every browser. It cannot wait: a browser reads a WebSocket as fast
 *  as the server writes, and queues what the page has not looked at. */
export class SocketTransport {
  static canWait = false;
  readDelay = 0;
  #socket;

  constructor(url, protocols, handlers) {
    this.#socket = new WebSocket(url, protocols);
    this.#socket.onmessage = (event) => handlers.message(event.data);
    this.#socket.onclose = (event) => handlers.closed(event.code, event.reason);
  }

  send(text) { this.#socket.send(text); }
  close() { this.#socket.close(1000); }
}

/** A transport that reads a frame only when the one before has been handled, and
 *  readDelay ms after it. The browser stops reading the connection once its buffers
 *  are full, and so the server notices. For browsers with WebSocketStream. */
export class StreamTransport {
  static canWait = "WebSocketStream" in globalThis;
  readDelay = 0;
  #socket;
  #writer = null;
  #over = false; // the connection has ended: what is left is read without delay

  constructor(url, protocols, handlers) {
    this.#socket = new WebSocketStream(url, { protocols });
    this.#run(handlers);
  }

  async #run(handlers) {
    const closed = this.#socket.closed.then(
      ({ closeCode, reason }) => [closeCode ?? 1005, reason ?? ""],
      (err) => [err.closeCode ?? 1006, err.reason ?? ""],
    ).finally(() => (this.#over = true));
    try {
      const { readable, writable } = await this.#socket.opened;
      this.#writer = writable.getWriter();
      this.#writer.closed.catch(() => {}); // the reader notices too
      const reader = readable.getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        handlers.message(value);
        for (let waited = 0; waited < this.readDelay && !this.#over; waited += 50) await sleep(50);
      }
    } catch {
      // closed says it better
    }
    handlers.closed(...(await closed));
  }

  send(text) { this.#writer?.write(text).catch(() => {}); }
  close() {
    this.#over = true;
    try {
      this.#socket.close({ closeCode: 1000 });
    } catch {
      // it is closed
    }
  }
}

/** Makes the body of a message what the page gets, and returns the message. */
function decodeBody(message) {
  if (message.body_base64 !== undefined) {
    message.body = Uint8Array.from(atob(message.body_base64), (c) => c.charCodeAt(0));
    delete message.body_base64;
  }
  return message;
}

function sendFrame({ id, to, body, kind, ttl }) {
  const frame = { type: "send", id, to, kind };
  if (ttl) frame.ttl_ms = ttl;
  if (typeof body === "string") frame.body = body;
  else frame.body_base64 = btoa(Array.from(body, (byte) => String.fromCharCode(byte)).join(""));
  return frame;
}

/** 128 random bits: no device ever uses an id twice, not even after a restart. */
function randomID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
