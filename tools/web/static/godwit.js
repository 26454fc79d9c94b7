// A client of godwit for browsers: one file, no dependencies, the protocol
// godwit.v1.json.
//
//   const client = new GodwitClient({
//     urls: ["wss://chat-1.example.com", "wss://chat-2.example.com"],
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
// A client finds the node that serves its user by itself, whichever it is given, and moves when
// it is told to. It leaves a node that hangs 8 s after it has sent something, or a minute after it
// has not. To go on after the page was loaded again, keep client.cursor along with what the page has
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

// How many pages may be coming on a connection; the server refuses more.
const MAX_PAGES = 8;

// Pauses before the next attempt, in ms: a random part of one that doubles with each
// failure. It starts over when a connection has lasted.
const BACKOFF_FIRST = 250;
const BACKOFF_MAX = 15_000;
const LASTED = 10_000;

// The longest of these while other nodes answer the question for the route, for so long after
// the first failure: they are about to decide who takes the failed node's place.
const ROUTE_PAUSE = 3_000;
const REPLACED_WITHIN = 30_000;

// The least pause after some close codes, in ms. A node that is not ready will be soon.
const LEAST_PAUSE = { 1011: 1000, 1013: 3000, 4100: 1000, 4101: 2000 };
const NOT_READY_PAUSE = 1000;

// The close codes of a node that is about to go, or takes nobody: another may serve the user.
const LEAVING = [1001, 1012, 1013];

const WELCOME_TIMEOUT = 10_000; // from asking for a token, and from opening a connection, to the welcome
const WELCOME_DUE = 2_000; // the same, until others are asked whether this is the right node; at random up to half as long again
const ANSWER_DUE = 3_000; // of silence before a ping, while an answer is awaited
const PONG_TIMEOUT = 5_000; // from a ping to anything
const MAX_WAIT = 60_000; // before a move, whatever the node says
const TICK = 250;

// How many times in a row to go where a node points to, without a connection that lasted.
const MAX_REDIRECTS = 5;

// How many answers in a row by older maps are those of nodes that do not know the newer one
// yet. After them it is the newer one that is no more.
const MAX_OLDER = 8;

// How many nodes to know beside the seeds, how many to ask for the route before a pause, and how long
// to wait for the answer of each, in ms.
const MAX_KNOWN = 16;
const MAX_ASKED = 4;
const ROUTE_TIMEOUT = 3_000;

// How long to wait, after a move, for answers on the old connection, in ms.
const RETIRE_FOR = 5_000;

// Over how many ms the clients of a node that has lost its log ask others for the route; and
// how many times as long that grows while it stays so.
const DEGRADED_SPREAD = 30_000;
const MAX_SPREAD = 16;

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
  #nodes;
  #token;
  #device;
  #start;
  #overflow;
  #degradedSpread;
  #Transport;

  // The connection: {transport, url, node, mapVersion, unanswered, asked, since, watch}.
  // unanswered and asked are the ids of sends and of questions without an answer, and since
  // is when there was none last; watch is a timer while no welcome comes, or while its node
  // has lost the log. What retires is read for answers alone.
  #state = "closed";
  #conn = null;
  #retiring = new Set();
  #attempt = 0; // counts attempts and stops, so that what is late can be told
  #timer = 0;
  #retryTimer = 0;
  #pumpTimer = 0;
  #since = 0; // when the attempt began, the connection was opened, or the welcome came
  #heard = 0;
  #pinged = 0; // when a ping went out that nothing has followed; else 0
  #redirects = 0;
  #target = null; // {url, node, mapVersion}: where to connect
  #moved = null; // {target, at}: where the node has sent the client, and when to go
  #asking = ""; // whom to ask for the route first: "others" than the node, or "all"
  #routed = false; // the last question for the route was answered, and nobody has said welcome since
  #cause = ""; // the code of the last error frame
  #readDelay = 0;

  // What the server told.
  #user = "";
  #welcome = null;
  #cursor = ""; // of the last frame that had one
  #refused = ""; // why the server does not take it, if it has said so
  #seq = 0;
  #seen = new Set(); // message ids, the oldest first
  #gone = ""; // what was last told to be gone, as JSON

  // Sends: all that are not settled, and those to send next.
  #sends = new Map();
  #queue = [];

  // Questions to history, {frame, resolve, reject, due} by id.
  #asks = new Map();

  // The turns of limits.sends_per_second.
  #tokens = 0;
  #tokensAt = 0;

  /**
   * @param {object} options
   * @param {string[]} options.urls  ws or wss URLs of some nodes, any; /v1/connect is added
   * @param {string|function(): Promise<string>} options.token  a token, or a function
   *   that is asked for one at each attempt to connect
   * @param {string} options.device  a stable name: by it the server recognises what is
   *   sent again on a new connection
   * @param {string} [options.cursor]  where to go on: client.cursor of an earlier page
   * @param {string} [options.start]  where to begin without a cursor: "live", or "last:N"
   *   with the newest N messages
   * @param {string} [options.overflow]  what becomes of what this client is too slow for:
   *   "auto", it comes later, in order; or "gap", it is dropped and told
   * @param {number} [options.degradedSpread]  over how many ms the clients of a node that has
   *   lost its log ask the other nodes whether one has taken its place
   * @param {function} [options.Transport]  SocketTransport or StreamTransport
   */
  constructor({
    urls, token, device, cursor = "", start = "", overflow = "", degradedSpread = DEGRADED_SPREAD, Transport = SocketTransport,
  }) {
    super();
    if (!device) throw new TypeError("a device name is needed");
    this.#nodes = new Nodes(urls);
    this.#token = token;
    this.#device = device;
    this.#cursor = cursor;
    this.#start = start;
    this.#overflow = overflow;
    this.#degradedSpread = degradedSpread;
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
    if (this.#conn) this.#conn.transport.readDelay = ms;
    this.#heard = performance.now();
  }

  start() {
    if (this.#state !== "closed") return;
    this.#nodes.recovered();
    this.#redirects = 0;
    this.#timer = setInterval(() => this.#tick(), TICK);
    this.#connect();
  }

  /** Ends the connection for good. Sends that were never tried are settled as rejected
   *  with the code "not_sent", others as unknown. start() begins anew. */
  stop() {
    if (this.#state === "closed") return;
    this.#conn?.transport.close();
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
      token = await this.#getToken();
    } catch (err) {
      if (attempt === this.#attempt) this.#lost(0, `no token: ${err.message}`);
      return;
    }
    if (attempt !== this.#attempt) return;
    if (this.#asking || !this.#target) {
      this.#since = Infinity; // each question has a time of its own, and together they may take longer than a welcome
      const target = await this.#locate();
      if (attempt !== this.#attempt) return;
      this.#target = target;
    }
    this.#open(token);
  }

  async #getToken() {
    return typeof this.#token === "function" ? await this.#token() : this.#token;
  }

  #open(token) {
    this.#moved = null;
    this.#refused = "";
    this.#cause = "";
    const conn = { ...this.#target, transport: null, unanswered: new Set(), asked: new Set(), since: 0, watch: 0 };
    this.#since = performance.now();
    try {
      conn.transport = new this.#Transport(this.#address(), [PROTOCOL, `bearer.${token}`], {
        message: (text) => {
          if (conn === this.#conn) this.#receive(text);
          else if (this.#retiring.has(conn)) this.#receiveLate(conn, text);
        },
        closed: (code, reason) => {
          if (conn === this.#conn) this.#lost(code, reason);
          else this.#retired(conn);
        },
      });
      conn.transport.readDelay = this.#readDelay;
      this.#conn = conn;
      this.#suspect(conn);
    } catch (err) { // the URL or the token is nothing that a browser can connect with
      this.#end(0, err.message);
    }
  }

  #address() {
    const url = new URL(this.#target.url);
    url.searchParams.set("device", this.#device);
    if (this.#cursor) url.searchParams.set("cursor", this.#cursor);
    else if (this.#start) url.searchParams.set("start", this.#start);
    if (this.#overflow) url.searchParams.set("overflow", this.#overflow);
    if (this.#target.mapVersion) url.searchParams.set("map_version", this.#target.mapVersion);
    return url.href;
  }

  /** The connection or the attempt to make one has ended. What to do is in the class of
   *  the close code. */
  #lost(code, reason) {
    const now = performance.now();
    const welcomed = this.#state === "connected";
    const conn = this.#conn;
    this.#conn = null;
    this.#attempt++;
    if (conn) {
      this.#unwatch(conn);
      this.#doubt(conn);
    }
    if (code === 4000 && this.#refused && this.#cursor) {
      this.#tellGone(this.#cursor, "", this.#refused);
      this.#cursor = "";
    } else if (code >= 4000 && code < 4100) {
      this.#end(code, reason);
      return;
    }
    if (welcomed && now - this.#since > LASTED) {
      this.#nodes.recovered();
      this.#redirects = 0;
    }
    let delay;
    if (this.#moved) {
      this.#target = this.#moved.target;
      delay = Math.max(0, this.#moved.at - now);
    } else {
      const least = code === 1013 && this.#cause === "not_ready" ? NOT_READY_PAUSE : (LEAST_PAUSE[code] ?? 0);
      delay = least + (this.#target ? this.#nodes.failed(this.#target.url, this.#routed) : 0);
      if (code >= 4200 && code < 4300) this.#asking = "all";
      else if (conn && (!welcomed || LEAVING.includes(code))) this.#asking = "others";
    }
    this.#setState("waiting", { code, reason, delay });
    this.#retryTimer = setTimeout(() => this.#connect(), delay);
  }

  #backoff(failures, max) {
    return Math.random() * Math.min(max, BACKOFF_FIRST * 2 ** failures);
  }

  #end(code, reason) {
    this.#attempt++;
    if (this.#conn) this.#unwatch(this.#conn);
    this.#conn = null;
    clearInterval(this.#timer);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#pumpTimer);
    for (const { transport } of this.#retiring) transport.close();
    this.#retiring.clear();
    for (const { reject } of this.#asks.values()) reject(new HistoryError("closed"));
    this.#asks.clear();
    this.#queue = [];
    for (const send of [...this.#sends.values()]) {
      if (send.attempts === 0) this.#settle(send, "rejected", "not_sent");
      else this.#settle(send, "unknown", "closed");
    }
    this.#setState("closed", { code, reason });
  }

  // ---- routes and moves ----

  /** Returns where to connect: where the nodes to ask say that the user is served, or else the
   *  node that has not failed for the longest time. That one directs, too. */
  async #locate() {
    let nodes = this.#target ? this.#nodes.others(this.#target.url) : [];
    if (this.#asking === "all" && this.#target) nodes.push(this.#target);
    this.#asking = "";
    if (this.#user === "") nodes = [];
    const target = await this.#route(nodes);
    this.#routed = target !== null;
    return target ?? this.#nodes.next();
  }

  /** A node that hangs can be connected to, and says no welcome. So the client asks the others
   *  from time to time, and leaves when they name another. Else it goes on to wait: a node to
   *  which many clients come at once is slow, too. */
  #suspect(conn) {
    conn.watch = setTimeout(async () => {
      const timer = conn.watch;
      if (this.#user === "") { // there is nothing to ask, but any node directs
        if (this.#nodes.untried(conn.url)) this.#abort("no welcome came, and other nodes are not tried yet");
        return;
      }
      const target = await this.#route(this.#nodes.others(conn.url));
      if (conn !== this.#conn || timer !== conn.watch || this.#moved) return;
      if (!target || target.url === conn.url || ++this.#redirects > MAX_REDIRECTS) {
        this.#suspect(conn);
        return;
      }
      this.#nodes.failed(conn.url, true); // so that it is asked last
      this.#moved = { target, at: performance.now() };
      this.#lost(1006, "no welcome came, and another node serves the user");
      conn.transport.close();
    }, WELCOME_DUE * (1 + Math.random() / 2));
  }

  /** Asks nodes, one after the other, which one serves the user. Returns the first answer that
   *  can be followed, or null. */
  async #route(nodes) {
    for (const node of nodes) {
      const url = new URL(node.url.replace(/^ws/, "http"));
      url.pathname = url.pathname.replace(/\/connect$/, "/route");
      url.search = new URLSearchParams({ user: this.#user });
      try {
        const answer = await fetch(url, { signal: AbortSignal.timeout(ROUTE_TIMEOUT) });
        if (answer.ok) return this.#nodes.follow(node.url, await answer.json());
      } catch {
        // It is down, or does not know better: the next one.
      }
    }
    return null;
  }

  /** Takes the news that another node serves the user. A connection that was welcomed stays,
   *  until that one can be connected to, and what is sent from now on waits for it. */
  #toldMoved(frame) {
    let target;
    try {
      if (++this.#redirects > MAX_REDIRECTS) throw new Error("the nodes direct in circles");
      target = this.#nodes.follow(this.#target.url, frame);
    } catch (err) { // the server will close the connection, and the client ask for the route
      if (this.#redirects > MAX_REDIRECTS) this.#redirects = 0;
      this.#emit("error", { code: "moved", message: err.message });
      return;
    }
    const wait = Math.min(frame.retry_after_ms ?? 0, MAX_WAIT);
    this.#moved = { target, at: performance.now() + wait };
    if (this.#state === "connected") this.#move(this.#moved);
  }

  /** Opens a connection to another node, and from then on reads the old one only for the
   *  answers that are still to come on it. So nothing comes twice, and the new one goes on
   *  where the old one was. */
  async #move(moved) {
    const old = this.#conn;
    let token;
    await sleep(moved.at - performance.now());
    try {
      token = await this.#getToken();
    } catch (err) {
      if (old === this.#conn && moved === this.#moved) this.#moved = null;
      this.#emit("error", { code: "token", message: err.message });
      return;
    }
    if (old !== this.#conn || moved !== this.#moved) return; // #lost goes there, or the last word counts
    this.#unwatch(old);
    this.#retiring.add(old);
    old.transport.readDelay = 0;
    setTimeout(() => old.transport.close(), RETIRE_FOR);
    if (performance.now() - this.#since > LASTED) {
      this.#nodes.recovered();
      this.#redirects = 0;
    }
    this.#target = moved.target;
    this.#attempt++;
    this.#since = performance.now();
    this.#setState("connecting", { code: 4200, reason: "moved" });
    this.#open(token);
    this.#leaveIfAnswered(old);
  }

  /** Takes a frame of a connection that retires. */
  #receiveLate(conn, text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (frame.type === "ack") this.#acked(frame, conn);
    else if (frame.type === "history_page") this.#paged(frame, conn);
    this.#leaveIfAnswered(conn);
  }

  #leaveIfAnswered(conn) {
    if (conn.unanswered.size + conn.asked.size === 0) conn.transport.close();
  }

  /** A connection that retired has ended: what it has left unanswered goes on the next. */
  #retired(conn) {
    if (!this.#retiring.delete(conn)) return;
    this.#doubt(conn);
    this.#pump();
  }

  /** The node has lost its log: it keeps its connections, and stores nothing. Another may have
   *  taken its place, so the client asks the others, at random times that grow, since all
   *  clients of the node do, and goes on until a send is stored after all. */
  #degraded(conn, spread = this.#degradedSpread) {
    const known = Math.max(conn.mapVersion, this.#welcome.map_version);
    const longest = MAX_SPREAD * this.#degradedSpread;
    conn.watch = setTimeout(async () => {
      const timer = conn.watch;
      const target = await this.#route(this.#nodes.others(conn.url));
      if (conn !== this.#conn || timer !== conn.watch || this.#moved) return;
      if (target && target.url !== conn.url && target.node !== this.#welcome.node && target.mapVersion > known) {
        this.#moved = { target, at: 0 };
        this.#move(this.#moved);
      } else {
        this.#degraded(conn, Math.min(2 * spread, longest));
      }
    }, Math.random() * spread);
  }

  #unwatch(conn) {
    clearTimeout(conn.watch);
    conn.watch = 0;
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
      case "ack": return this.#acked(frame, this.#conn);
      case "deliver": return this.#delivered(frame);
      case "gap":
        // No cursor of a gap is to be kept: what follows it has its own.
        this.#advance(frame.from_seq, frame.to_seq);
        if (frame.reason === "retention") this.#tellGone(frame.after, frame.before, "");
        else this.#emit("gap", frame);
        return;
      case "history_page": return this.#paged(frame, this.#conn);
      case "heartbeat":
        // Its number is that of the last delivery, which shows if that one was lost.
        if (frame.seq !== this.#seq) this.#advance(frame.seq + 1, frame.seq);
        this.#cursor = frame.cursor;
        return;
      case "moved": return this.#toldMoved(frame);
      case "error":
        if (this.#state === "connecting" && CURSOR_CODES.includes(frame.code)) this.#refused = frame.code;
        this.#cause = frame.code;
        this.#emit("error", { code: frame.code, message: frame.message ?? "" });
        if (frame.code === "degraded" && this.#state === "connected" && !this.#conn.watch) this.#degraded(this.#conn);
        return;
    }
    // pong, and frames of a newer server.
  }

  #welcomed(frame) {
    this.#unwatch(this.#conn);
    this.#welcome = frame;
    this.#user = frame.user;
    this.#routed = false;
    this.#cursor = frame.cursor;
    this.#seq = 0;
    this.#nodes.serves(frame.map_version);
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

  #acked(ack, conn) {
    conn.unanswered.delete(ack.id);
    const send = this.#sends.get(ack.id);
    if (send && ack.status === "stored") { // it may be late, and counts for all attempts
      send.messageId = ack.message_id;
      send.time = ack.time;
      this.#settle(send, "stored", "");
      this.#unwatch(conn); // the node has its log again
    } else if (send?.state === "sending") {
      send.messageId = ack.message_id ?? send.messageId;
      if (ack.status === "rejected" && !RETRYABLE.has(ack.code)) {
        this.#giveUp(send, ack.code);
      } else {
        // Anything but stored and rejected leaves open what was written.
        if (ack.status !== "rejected") send.doubt = true;
        const here = conn === this.#conn && !this.#moved;
        this.#sendAgain(send, ack.code, here ? this.#backoff(send.attempts, BACKOFF_MAX / 4) : 0);
      }
    }
    this.#pump();
  }

  // ---- sending ----

  /** Sends what may be sent now. The server closes a client that goes beyond
   *  limits.in_flight or, for long, beyond limits.sends_per_second. */
  #pump() {
    clearTimeout(this.#pumpTimer);
    if (this.#state !== "connected" || this.#moved) return;
    const conns = [this.#conn, ...this.#retiring];
    for (const [id, { frame }] of this.#asks) {
      if (conns.some(({ asked }) => asked.has(id))) continue;
      if (this.#conn.asked.size >= MAX_PAGES) break;
      if (!this.#mayWrite()) return;
      this.#conn.asked.add(id);
      this.#write(frame);
    }
    while (this.#queue.length > 0 && this.#mayWrite()) {
      const send = this.#queue.shift();
      send.attempts++;
      if (send.attempts === 1) {
        send.first = performance.now();
        send.after = this.#cursor;
      }
      this.#conn.unanswered.add(send.id);
      this.#mark(send, "sending", send.code);
      this.#write(sendFrame(send));
    }
  }

  /** Takes a turn for a frame that will be answered, if the connection has a place for the
   *  answer. If it is only a matter of time, it has #pump called then. */
  #mayWrite() {
    const places = Math.max(1, this.#welcome.limits.in_flight - RESERVED_PLACES);
    if (this.#conn.unanswered.size + this.#conn.asked.size >= places) return false;
    const wait = this.#takeTurn();
    if (wait > 0) this.#pumpTimer = setTimeout(() => this.#pump(), wait);
    if (!this.#awaits()) this.#conn.since = performance.now();
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
    this.#conn.transport.send(JSON.stringify(frame));
  }

  /** What was sent on a connection that is gone may have been stored. It goes first
   *  on the next one, in its old order. */
  #doubt(conn) {
    const again = [];
    for (const id of conn.unanswered) {
      const send = this.#sends.get(id);
      if (send?.state !== "sending") continue;
      send.doubt = true;
      this.#mark(send, "retrying", send.code);
      send.due = Infinity; // it is in the queue
      again.push(send);
    }
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
    if (delay === 0) this.#requeue(send);
  }

  #requeue(send) {
    send.due = Infinity;
    this.#queue.push(send);
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

  #paged(page, conn) {
    conn.asked.delete(page.id);
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
        this.#requeue(send);
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

  #awaits() { return this.#conn.unanswered.size + this.#conn.asked.size > 0; }

  /** A connection can be dead without an end: the network is gone, or the node hangs. After
   *  welcome.heartbeat_ms of silence the client asks, and sooner while it awaits an answer. */
  #checkAlive(now) {
    const late = this.#awaits() && now - Math.max(this.#heard, this.#conn.since) > ANSWER_DUE;
    if (this.#pinged) {
      if (now - this.#pinged > PONG_TIMEOUT) this.#abort("no answer to a ping");
    } else if (late || now - this.#heard > this.#welcome.heartbeat_ms) {
      this.#pinged = now;
      this.#write({ type: "ping" });
    }
  }

  #abort(reason) {
    const { transport } = this.#conn ?? {};
    this.#asking = "others";
    this.#lost(1006, reason);
    transport?.close();
  }

  #setState(state, more = {}) {
    this.#state = state;
    this.#emit("state", { state, code: 0, reason: "", delay: 0, ...more });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** What a client knows of the cluster: where nodes take connections, how old the newest map
 *  is, and which nodes have failed of late. A place is {url, node, mapVersion}, the last two
 *  empty and 0 if no map led there. */
class Nodes {
  #seeds;
  #known = []; // where routes and redirects have led, the latest last, no seed among them
  #failing = new Map(); // {failures, first, last} by URL
  #version = 0; // of the newest map
  #older = 0; // answers in a row by older ones

  constructor(urls) {
    if (!urls?.length) throw new TypeError("the URL of a node is needed");
    this.#seeds = shuffle(urls.map((url) => ({ url: complete(url), node: "", mapVersion: 0 })));
  }

  /** Returns the place that the node at url directs to. It throws if the place is nowhere, plain where
   *  the node has TLS, or of an older map. */
  follow(url, told) {
    const target = { url: complete(told.url), node: told.node ?? "", mapVersion: told.map_version ?? 0 };
    if (url.startsWith("wss:") && !target.url.startsWith("wss:")) throw new Error(`directed from TLS to plain text at ${target.url}`);
    if (target.mapVersion > 0 && target.mapVersion < this.#version) {
      if (++this.#older <= MAX_OLDER) {
        throw new Error(`directed to ${target.url} by version ${target.mapVersion} of the map, older than ${this.#version}`);
      }
      this.#version = target.mapVersion;
    }
    this.#older = 0;
    this.serves(target.mapVersion);
    if (!this.#seeds.some((seed) => seed.url === target.url)) {
      this.#known = [...this.#known.filter((node) => node.url !== target.url), target];
      if (this.#known.length > MAX_KNOWN) this.#failing.delete(this.#known.shift().url);
    }
    return target;
  }

  /** Notes the version of the map by which a node serves the user. */
  serves(version) { this.#version = Math.max(this.#version, version ?? 0); }

  /** Notes that something went wrong with a node, and returns for how many ms to leave it alone.
   *  routed says that other nodes answer: then that is not long at first. */
  failed(url, routed) {
    const now = performance.now();
    const { failures, first } = this.#failing.get(url) ?? { failures: 0, first: now };
    this.#failing.set(url, { failures: failures + 1, first, last: now });
    const longest = routed && now - first < REPLACED_WITHIN ? ROUTE_PAUSE : BACKOFF_MAX;
    return Math.random() * Math.min(longest, BACKOFF_FIRST * 2 ** failures);
  }

  /** Reports whether there is a node other than that at url which has not failed. */
  untried(url) { return this.#all().some((node) => node.url !== url && !this.#failing.has(node.url)); }

  /** Forgets all failures: a connection has lasted. */
  recovered() { this.#failing.clear(); }

  /** Returns some other nodes, to ask for the route: those last that have failed. */
  others(url) {
    return this.#byFailure(shuffle(this.#all().filter((node) => node.url !== url))).slice(0, MAX_ASKED);
  }

  /** Returns the node that has not failed for the longest time, seeds before others. */
  next() { return this.#byFailure(this.#all())[0]; }

  #all() { return [...this.#seeds, ...this.#known]; }

  #byFailure(nodes) {
    const last = ({ url }) => this.#failing.get(url)?.last ?? 0;
    return nodes.sort((a, b) => last(a) - last(b));
  }
}

/** Returns the URL of a node with the path to connect to. */
function complete(text) {
  const url = new URL(text);
  if (url.protocol !== "ws:" && url.protocol !== "wss:") throw new TypeError(`${text} is no ws or wss URL`);
  if (url.pathname === "/") url.pathname = "/v1/connect";
  return url.href;
}

function shuffle(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
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
