"use strict";
// Keeps the page as the server would show it now: asks for its parts, and puts in place what has changed.
(() => {
  const byId = (id) => document.getElementById(id);
  const rows = byId("rows");
  const shown = new Map([...rows.rows].map((row) => [row.id, row.outerHTML]));  // as it came, without our marks
  const seen = new Set();  // links that were opened from here
  const unfolded = new Set([...document.querySelectorAll("details[open]")].map((part) => part.parentElement.id));
  let version = document.querySelector("main").dataset.version;
  let ended = "ended" in document.querySelector("main").dataset;
  let asking = new AbortController();
  let pressed = false;

  const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));

  function mark() {
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
    for (const link of rows.querySelectorAll("a.button")) link.closest("tr").classList.toggle("seen", seen.has(link.href));
  }

  function keep(fresh) {
    const ids = new Set([...fresh.rows].map((row) => row.id));
    for (const row of [...rows.rows]) if (!ids.has(row.id)) row.remove();
    [...fresh.rows].forEach((row, at) => {
      let old = byId(row.id);
      if (shown.get(row.id) !== row.outerHTML) {
        shown.set(row.id, row.outerHTML);
        if (old) old.replaceWith(row);
        old = row;
      }
      if (rows.rows[at] !== old) rows.insertBefore(old, rows.rows[at] ?? null);
    });
    for (const id of shown.keys()) if (!ids.has(id)) shown.delete(id);
  }

  function put(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const focus = document.activeElement?.id;
    document.title = fresh.title;
    for (const part of fresh.querySelectorAll("[data-live]")) {
      const old = byId(part.id);
      if (part === fresh.getElementById("rows")) keep(part);
      else if ("typed" in part.dataset && part.firstElementChild?.tagName === old.firstElementChild?.tagName) {
        // It stays under the fingers of somebody who types there; once it is needed, it opens.
        const open = part.firstElementChild?.open;
        if (open && !unfolded.has(part.id)) old.firstElementChild.open = true;
        if (open) unfolded.add(part.id);
      } else if (old.innerHTML !== part.innerHTML) old.innerHTML = part.innerHTML;
    }
    const main = fresh.querySelector("main");
    document.querySelector("main").className = main.className;
    version = main.dataset.version;
    ended = "ended" in main.dataset;
    mark();
    if (focus && !(document.activeElement?.id === focus)) {
      const row = byId(focus) ?? byId(focus.replace(/^\w+-/, "row-")) ?? byId("top");
      row.focus({ preventScroll: true });
    }
  }

  function lose(isLost) {
    byId("lost").hidden = !isLost;
    // Whoever signed in from here now would do so for nobody.
    for (const part of document.querySelector("main").children) part.inert = isLost && part.id !== "lost";
  }

  async function ask() {
    const address = new URL("parts" + location.search, location.href);
    if (version !== null) address.searchParams.set("since", version);
    const answer = await fetch(address, { cache: "no-store", signal: asking.signal });
    if (!answer.ok) throw new Error("refused");
    const text = await answer.text();
    while (pressed) await pause(50);  // nothing moves away from under a finger
    put(text);
  }

  async function follow() {
    for (let misses = 0; !ended && misses < 30; ) {
      try {
        await ask();
        misses = 0;
        lose(false);
      } catch (error) {
        if (error.name === "AbortError") continue;
        misses += 1;
        if (misses > 2) lose(true);
        await pause(Math.min(400 * misses, 3000));
      }
    }
  }

  function choose(query) {
    history.replaceState(null, "", query);
    version = null;
    asking.abort();
    asking = new AbortController();
  }

  async function send(form) {
    const sent = new URLSearchParams(new FormData(form));
    const field = form.querySelector("textarea");
    if (field) field.value = "";  // no code stays on the page
    try {
      await fetch(form.action, { method: "POST", body: sent, redirect: "manual" });
    } catch {
      lose(true);
    }
    field?.focus();
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    event.preventDefault();
    if (form.method === "post") send(form);
  });
  document.addEventListener("paste", (event) => {
    if (event.target.id === "pasted") setTimeout(() => event.target.form.requestSubmit());
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.id === "pasted" && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target.id !== "find") return;
    const query = new URLSearchParams(location.search);
    query.set("find", event.target.value);
    choose("?" + query);
  });
  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    const link = event.target.closest("a.button");
    const choice = event.target.closest("#choice a");
    if (copy) {
      navigator.clipboard.writeText(copy.dataset.copy).then(() => { byId("said").textContent = "Link copied."; });
    } else if (link) {
      seen.add(link.href);
      setTimeout(mark);
    } else if (choice && !(event.ctrlKey || event.metaKey || event.shiftKey)) {
      event.preventDefault();
      choose(choice.getAttribute("href"));
    }
  });
  addEventListener("pointerdown", () => { pressed = true; });
  for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, () => { pressed = false; });

  mark();
  follow();
})();
