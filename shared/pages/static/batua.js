// Improves pages that also work without a script. One concern per function, no dependencies.

const POLL_MS = 10_000;
const QUIET_MS = 150;
const MAX_FAILURES = 4;
const SPEECH_KEY = "batua-speech";
const EVENTS = ["balance", "transaction", "onramp", "withdrawal"];

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// One click on a submit button sends one request. The button works again when the page is shown again (Back, a failed
// connection).
function guardSubmits() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    const button = event.submitter ?? form.querySelector("[type=submit]");
    const label = button?.querySelector("[data-label]");
    button?.setAttribute("aria-disabled", "true");
    if (label && button.dataset.busy) {
      label.dataset.label = label.textContent;
      label.textContent = button.dataset.busy;
    }
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted && document.body.hasAttribute("data-signed-in")) {
      location.reload(); // since the browser kept the page, its user may have signed out
      return;
    }
    for (const form of all("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of all("[aria-disabled]", form)) {
        button.removeAttribute("aria-disabled");
        const label = button.querySelector("[data-label]");
        if (label?.dataset.label) label.textContent = label.dataset.label;
      }
    }
  });
}

// Elements marked data-live (each with an id) are replaced by what the server renders for them now.
let refreshing = null;
let again = false;

async function replaceLiveParts() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
  const there = new URL(answer.url);
  if (answer.redirected && there.pathname !== location.pathname) {
    location.assign(there); // the server redirects: to sign in, or to another page of the same matter
    return;
  }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const held = document.activeElement?.id;
  for (const part of all("[data-live][id]")) {
    const next = fresh.getElementById(part.id);
    if (next && next.outerHTML !== part.outerHTML && !isBeingFilledIn(part)) replace(part, next);
  }
  if (!fresh.querySelector("[data-live-state]")) all("[data-live-state]").forEach((each) => each.remove()); // the new page waits for no event
  if (held && document.activeElement === document.body) document.getElementById(held)?.focus({ preventScroll: true });
  document.dispatchEvent(new CustomEvent("batua:refreshed"));
  reveal();
}

const isBeingFilledIn = (part) => part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");

function replace(part, next) {
  const known = new Set(all("[data-key]", part).map((each) => each.dataset.key));
  if (known.size) for (const each of all("[data-key]", next)) if (!known.has(each.dataset.key)) each.classList.add("is-new");
  part.replaceWith(document.adoptNode(next));
}

function refresh() {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = new Promise((done) => setTimeout(done, QUIET_MS))
    .then(replaceLiveParts)
    .catch(() => {}) // offline: the next event or poll tries again
    .finally(() => {
      refreshing = null;
      if (again) {
        again = false;
        refresh();
      }
    });
}

// A server-sent event says that something changed. A browser opens six connections to a server, and a stream takes one:
// so all tabs share one stream. The tab that holds the lock listens and tells the others; a hidden tab gives the lock up,
// unless it speaks. Without a stream of events a page asks every ten seconds.
function listen(element) {
  const address = element.dataset.events;
  const channel = new BroadcastChannel(`batua:${address}`);
  let source = null;
  let turn = null; // this tab's place among those that want the lock
  let failures = 0;
  let polling = null;
  const isDone = () => element.isConnected === false && !document.querySelector("[data-events]");
  const setLive = (live) => {
    if (live && polling) refresh(); // what happened meanwhile
    clearInterval(polling);
    polling = live ? null : setInterval(() => document.hidden || refresh(), POLL_MS);
    all("[data-live-state]").forEach((each) => {
      each.classList.toggle("is-live", live);
      each.textContent = live ? "Live" : "Checking every 10 seconds";
    });
  };
  const open = () => {
    source = new EventSource(address);
    source.onopen = () => {
      if (failures) refresh();
      failures = 0;
      setLive(true);
      channel.postMessage({ live: true });
    };
    source.onerror = () => {
      failures += 1;
      if (source.readyState !== EventSource.CLOSED && failures < MAX_FAILURES) return;
      source.close();
      setLive(false);
      channel.postMessage({ live: false });
      refresh();
    };
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => {
        channel.postMessage({ changed: true });
        refresh();
        announce(name, event.data);
      });
    }
  };
  const start = () => {
    if (turn) return;
    turn = new AbortController();
    const { signal } = turn;
    if (!navigator.locks) {
      open(); // the page did not come over TLS
      return;
    }
    const hold = () => new Promise((release) => {
      signal.addEventListener("abort", release);
      open();
    });
    navigator.locks.request(channel.name, { signal }, hold).catch(() => {}); // aborted while it waited
    channel.postMessage({ asks: true });
  };
  const stop = () => {
    clearInterval(polling);
    polling = null;
    source?.close();
    source = null;
    turn?.abort();
    turn = null;
    failures = 0;
  };
  channel.onmessage = ({ data }) => {
    if (!turn) return;
    if (data.changed) refresh();
    else if (data.asks) source && channel.postMessage({ live: source.readyState === EventSource.OPEN });
    else if (!source) setLive(data.live);
  };
  document.addEventListener("visibilitychange", () => {
    if (isDone()) return;
    if (!document.hidden) {
      start();
      refresh();
    } else if (remembered() !== "on") stop();
  });
  document.addEventListener("batua:refreshed", () => isDone() && stop());
  window.addEventListener("pagehide", stop);
  if (!document.hidden) start();
}

// Speaks "Received two hundred rupees" with the browser's voice, if that is turned on for this device.
function announce(name, data) {
  if (name !== "transaction" || remembered() !== "on" || !("speechSynthesis" in window)) return;
  let payment;
  try {
    payment = JSON.parse(data);
  } catch {
    return;
  }
  if (payment.direction !== "CREDIT" || !Number.isSafeInteger(payment.amount)) return;
  say(payment.amount);
}

function say(paise) {
  const rupees = Math.floor(paise / 100);
  const rest = paise % 100;
  const words = `Received ${rupees} ${rupees === 1 ? "rupee" : "rupees"}${rest ? ` and ${rest} paise` : ""}`;
  const utterance = new SpeechSynthesisUtterance(words);
  utterance.lang = "en-IN";
  speechSynthesis.speak(utterance);
}

function remembered() {
  try {
    return localStorage.getItem(SPEECH_KEY);
  } catch {
    return null; // the browser may forbid storage: then nothing is spoken
  }
}

// Suggests while the user types: a listbox under a text field (the combobox pattern of the ARIA practices).
function search(box) {
  const input = box.querySelector("input");
  const list = box.querySelector("[role=listbox]");
  const count = box.parentElement.querySelector("[data-search-count]");
  let timer = null;
  let asked = 0;
  let chosen = -1;
  const options = () => all("[role=option]", list);
  const attributes = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id };
  for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);

  const show = (open) => {
    list.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    if (!open) mark(-1);
  };
  const mark = (index) => {
    chosen = index;
    options().forEach((each, at) => each.setAttribute("aria-selected", String(at === index)));
    const option = options()[index];
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  };
  const take = (option) => {
    input.value = option.dataset.value;
    show(false);
    input.dispatchEvent(new Event("change", { bubbles: true }));
    if (option.dataset.href) location.assign(option.dataset.href); // an option may be a link
  };
  const ask = async () => {
    const q = input.value.trim();
    const turn = ++asked;
    if (q.length < 3) {
      show(false);
      return;
    }
    const address = new URL(box.dataset.search, location.href);
    address.searchParams.set("q", q);
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      if (turn !== asked || !answer.ok || answer.redirected) return;
      const found = new DOMParser().parseFromString(await answer.text(), "text/html");
      list.replaceChildren(...[...found.querySelectorAll("li")].map((each) => document.adoptNode(each)));
    } catch {
      return; // the text can still be submitted as it is
    }
    options().forEach((each, at) => (each.id ||= `${list.id}-${at}`));
    const found = options().length;
    count.textContent = found === 1 ? "1 person found" : `${found} people found`;
    show(list.children.length > 0 && document.activeElement === input);
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 180);
  });
  input.addEventListener("keydown", (event) => {
    const last = options().length - 1;
    if (list.hidden || last < 0) return;
    if (event.key === "ArrowDown") mark(chosen >= last ? 0 : chosen + 1);
    else if (event.key === "ArrowUp") mark(chosen <= 0 ? last : chosen - 1);
    else if (event.key === "Enter" && chosen >= 0) take(options()[chosen]);
    else if (event.key === "Escape") show(false);
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", () => setTimeout(() => show(false), 120));
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) take(option);
  });
}

// Says in words what an amount field holds, before it moves. Only the server reads amounts, so it is asked; words never
// stand beside a text that they do not belong to. What is wrong is said when the person leaves the field.
function sayAmount(place) {
  const input = document.getElementById(place.dataset.wordsOf);
  for (const said of all("[data-said]", input.form)) said.disabled = true; // from now on the words follow what is typed
  let timer = null;
  let asked = 0;
  const ask = async (isDone) => {
    const turn = ++asked;
    const address = new URL("/amount-in-words", location.href);
    address.searchParams.set("typed", input.value);
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" } });
      const said = answer.ok ? await answer.json() : {};
      if (turn === asked) place.textContent = said.words || (isDone && said.problem) || "";
    } catch {
      // offline: the form itself says what is wrong
    }
  };
  input.addEventListener("input", () => {
    asked += 1;
    place.textContent = "";
    clearTimeout(timer);
    if (input.value) timer = setTimeout(ask, 250);
  });
  input.addEventListener("change", () => {
    clearTimeout(timer);
    if (input.value) ask(true);
  });
  if (input.value !== input.defaultValue) ask(true); // the browser has put back what was typed
}

// A photo of many megapixels is made smaller before it is sent. If the browser cannot, it is sent as it is.
const PHOTO_SIDE = 1600;

async function jpegOf(picture, width, height) {
  const scale = Math.min(1, PHOTO_SIDE / Math.max(width, height));
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(width * scale), height: Math.round(height * scale) });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
}

function shrink(input) {
  input.addEventListener("change", async () => {
    const [photo] = input.files;
    if (!photo) return;
    try {
      const picture = await createImageBitmap(photo);
      const small = await jpegOf(picture, picture.width, picture.height);
      const files = new DataTransfer();
      files.items.add(new File([small], "photo.jpg", { type: small.type }));
      if (small.size < photo.size) input.files = files.files;
    } catch {
      // the server says what is wrong with it
    }
  });
}

// Reads a code with the camera: about once a second the server is asked what a frame holds, until it names a page.
function scan(box) {
  if (!navigator.mediaDevices?.getUserMedia) return; // the page did not come over TLS
  const video = box.querySelector("video");
  const words = box.querySelector("[data-camera-words]");
  const button = box.querySelector("button");
  box.hidden = false;
  button.onclick = async () => {
    button.hidden = true;
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      video.hidden = false;
      await video.play();
    } catch {
      words.textContent = "The camera cannot be used. Choose a photo instead.";
      button.hidden = false;
      return;
    }
    words.textContent = "Hold the code before the camera";
    const look = async () => {
      try {
        if (!document.hidden && video.videoWidth) {
          const body = await jpegOf(video, video.videoWidth, video.videoHeight);
          const answer = await fetch(box.dataset.camera, { method: "POST", body, headers: { Accept: "application/json" } });
          const found = answer.ok ? await answer.json() : {};
          if (found.path) {
            for (const track of video.srcObject.getTracks()) track.stop();
            location.assign(found.path);
            return;
          }
          if (found.message) words.textContent = found.message;
        }
      } catch {
        // offline for a moment: the next frame tries again
      }
      setTimeout(look, 900);
    };
    look();
  };
}

function toast(words) {
  const place = document.querySelector("[data-toast]");
  if (!place) return;
  place.textContent = words;
  place.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => (place.hidden = true), 3000);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("Your browser would not copy that");
  }
}

async function share(button) {
  const { shareTitle: title, shareText: text } = button.dataset;
  if (!navigator.share) {
    await copy(text);
    return;
  }
  try {
    await navigator.share({ title, text });
  } catch {
    // the user closed the dialog without sharing
  }
}

function handleClicks() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("share" in button.dataset) share(button);
    else if ("copy" in button.dataset) copy(button.dataset.copy);
    else if ("print" in button.dataset) window.print();
    else if (button.parentElement.dataset.fill) {
      const input = document.getElementById(button.parentElement.dataset.fill);
      input.value = button.value;
      input.dispatchEvent(new Event("input", { bubbles: true }));
      input.focus();
    }
  });
}

// Shows what needs a script. Also called after elements of the page were replaced.
function reveal() {
  for (const each of all("[data-share], [data-copy], [data-print], [data-fill]")) each.hidden = false;
  for (const each of all("[data-speech]")) {
    if (!("speechSynthesis" in window)) continue;
    each.hidden = false;
    const input = each.querySelector("input");
    input.checked = remembered() === "on";
    input.onchange = () => {
      try {
        localStorage.setItem(SPEECH_KEY, input.checked ? "on" : "off");
      } catch {
        toast("This browser does not let us remember that");
      }
    };
  }
}

guardSubmits();
handleClicks();
reveal();
all("[data-search]").forEach(search);
all("[data-words-of]").forEach(sayAmount);
all("[data-shrink]").forEach(shrink);
all("[data-camera]").forEach(scan);
const events = document.querySelector("[data-events]");
if (events) listen(events);
document.querySelector("[aria-invalid=true]")?.focus();
