// Live pages: the server says that something happened, and the page fetches itself. Without this, a link reloads it.
"use strict";
(() => {
  const main = document.querySelector("main"), place = document.querySelector(".live");
  if (!main || !place || !window.EventSource) return;
  const button = document.createElement("button"), said = document.createElement("span");
  button.type = "button";
  said.setAttribute("role", "status");
  place.replaceChildren(said, button);
  let source = null, last = "", waiting = false, busy = false;

  // Whoever types, has something marked or opened, is not interrupted.
  const inUse = () => {
    const active = document.activeElement;
    const typing = active && main.contains(active) && /^(INPUT|SELECT|TEXTAREA)$/.test(active.tagName);
    return typing || String(getSelection()).length > 0 || document.hidden;
  };
  const path = (node) => {
    const steps = [];
    for (; node && node !== main; node = node.parentNode) steps.unshift([...node.parentNode.children].indexOf(node));
    return steps;
  };
  const refresh = async () => {
    if (busy) return;
    if (inUse()) { waiting = true; return; }
    busy = true; waiting = false;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      if (fresh && !inUse()) {
        const active = document.activeElement, steps = active && main.contains(active) ? path(active) : null;
        const open = [...main.querySelectorAll("details[open][id]")].map((each) => each.id);
        main.replaceChildren(...fresh.childNodes);
        open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
        if (steps) steps.reduce((node, step) => node?.children[step], main)?.focus({ preventScroll: true });
        said.textContent = "updated " + new Date().toLocaleTimeString();
      }
    } catch (error) { said.textContent = "the server does not answer"; }
    busy = false;
  };
  const stop = () => { source?.close(); source = null; };
  const start = () => {
    stop();
    source = new EventSource("/live");
    source.addEventListener("tick", (event) => {
      if (last && event.data !== last) refresh();
      last = event.data;
      if (!said.textContent || said.textContent.startsWith("the server")) said.textContent = "live";
    });
    source.addEventListener("error", () => { said.textContent = "the server does not answer"; });
  };
  const show = (on) => {
    button.textContent = on ? "Pause" : "Live";
    button.setAttribute("aria-label", on ? "Pause live updates" : "Update live");
    said.textContent = on ? "live" : "paused";
    if (on) start(); else stop();
  };
  let on = true;
  button.addEventListener("click", () => { on = !on; show(on); if (on) refresh(); });
  document.addEventListener("visibilitychange", () => { if (on && waiting) refresh(); });
  setInterval(() => { if (on && waiting) refresh(); }, 2000);
  show(on);
})();
