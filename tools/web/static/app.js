// The demo page: panes side by side.

import { Pane } from "./pane.js";

const panes = document.getElementById("panes");
const problem = document.getElementById("problem");
const open = new Set();

/** Asks the node for a token. Only a node with a development key gives one. */
async function connect(user) {
  const response = await fetch(`/dev/token?${new URLSearchParams({ user })}`);
  if (!response.ok) {
    const text = await response.text();
    throw new Error(`this node gives no token (${response.status}): ${text.trim()}`);
  }
  return response.json();
}

async function add(user, device) {
  for (const pane of open) {
    if (pane.user === user && pane.device === device) {
      pane.element.scrollIntoView({ block: "nearest" });
      return;
    }
  }
  try {
    const { url } = await connect(user);
    problem.hidden = true;
    const pane = new Pane({ user, device, url, to: partner(user), connect, removed: (gone) => open.delete(gone) });
    open.add(pane);
    panes.append(pane.element);
  } catch (err) {
    problem.textContent = err.message;
    problem.hidden = false;
  }
}

/** Whom a user is likely to write to: the first other one. */
function partner(user) {
  for (const pane of open) if (pane.user !== user) return pane.user;
  return user === "bob" ? "alice" : "bob";
}

document.getElementById("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  await add(document.getElementById("add-user").value, document.getElementById("add-device").value);
  form.reset();
});

document.getElementById("curl").textContent =
  `curl ${location.origin}/v1/messages -d '{"id":"'$RANDOM$RANDOM'","from":"alice","to":["bob"],"body":"hello from a terminal"}'`;

for (const [user, device] of [["alice", "phone"], ["alice", "laptop"], ["bob", "phone"]]) await add(user, device);
