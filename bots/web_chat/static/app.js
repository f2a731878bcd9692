// What the page does by itself: keys, copying, uploads, following the answer. Everything else is htmx and the server.
(() => {
  "use strict";
  const find = (selector, root = document) => root.querySelector(selector);
  const say = (name) => document.body.dataset["say" + name];
  let htmxApi;

  // ---- messages: put in, replaced or taken away by id; ids sort in the order messages are shown in

  htmx.registerExtension("messages", {
    init: (api) => { htmxApi = api; },
    handle_swap: (style, target, fragment) => {
      if (style !== "messages") return false;
      const follow = isAtEnd();
      const touched = [];
      for (const fresh of [...fragment.children]) {
        const shown = document.getElementById(fresh.id);
        if (fresh.hasAttribute("data-removed")) {
          shown?.remove();
        } else if (shown) {
          // What somebody is typing in is theirs until they save it.
          if (shown.classList.contains("editing")) continue;
          const piece = document.createDocumentFragment();
          piece.append(fresh);
          htmxApi.morph(shown, piece, false);
          touched.push(shown);
        } else {
          const next = [...target.children].find((child) => child.id > fresh.id);
          target.insertBefore(fresh, next ?? null);
          touched.push(fresh);
          // Instead of a new answer came a word on why there is none.
          if (fresh.matches(".notice")) find(".redoing", target)?.classList.remove("redoing");
        }
      }
      if (follow) toEnd();
      return touched;
    },
  });

  const isAtEnd = () => {
    const scroll = find("#scroll");
    return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120;
  };
  const toEnd = () => { const scroll = find("#scroll"); scroll.scrollTop = scroll.scrollHeight; };

  // ---- telling

  let hiding;
  const toast = (text) => {
    const box = find("#toast");
    box.textContent = text;
    box.hidden = false;
    clearTimeout(hiding);
    hiding = setTimeout(() => { box.hidden = true; }, 7000);
  };

  const isBusy = () => {
    const last = find("#messages > .message:last-child");
    return Boolean(last?.matches(".question:not([data-state=sending]):not(.editing)")
      || find("#messages > [data-state=streaming], #messages > .redoing"));
  };
  let wasBusy = false;
  const noteBusy = () => {
    const busy = isBusy();
    if (busy === wasBusy) return;
    wasBusy = busy;
    find("#stop").hidden = !busy;
    find("#status").textContent = busy ? say("Answering") : say("Answered");
  };

  // ---- writing

  const fit = (area) => {
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, innerHeight * 0.4)}px`;
  };

  const command = (name) => {
    const conversation = find("#conversation").value;
    if (!conversation) return;
    htmx.ajax("POST", `/c/${conversation}/commands/${name}`, { source: "#stop", swap: "none" });
  };

  const onKey = (event) => {
    const area = event.target;
    const isText = area instanceof HTMLTextAreaElement;
    // While an input method composes, Enter chooses a word.
    if (isText && event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault();
      area.form.requestSubmit();
    } else if (event.key === "Escape" && !find("dialog[open]")) {
      if (isText && area.dataset.edit !== undefined) find("[data-cancel]", area.form).click();
      else if (isText && area.id === "text" && find("#reply").value) replyTo(null);
      else if (isOpen()) openMenu(false);
      else if (isBusy()) command("stop");
    }
  };

  // One message at a time: the next one needs the ticket, and perhaps the conversation, that the answer brings.
  let isSending = false;
  let isNextReady = false;

  const onSubmit = (event) => {
    if (event.target.id !== "composer") return;
    const isEmpty = !find("#text").value.trim() && !find("#pictures .picture:not(.loading)");
    if (isSending) isNextReady = true;
    if (isEmpty || isSending || find("#pictures .loading")) {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else {
      isSending = true;
    }
  };

  const onDone = ({ detail: { ctx } }) => {
    if (ctx.sourceElement.id !== "composer") return;
    isSending = false;
    if (isNextReady && ctx.response?.raw.ok) find("#composer").requestSubmit();
    isNextReady = false;
  };

  const onSent = ({ detail: { ctx } }) => {
    if (ctx.sourceElement.id !== "composer" || !ctx.response?.raw.ok) return;
    const area = find("#text");
    // What was typed while it was on its way stays.
    if (area.value.trim() === String(ctx.sentText).trim()) area.value = "";
    for (const picture of ctx.sentPictures) picture.remove();
    if (find("#reply").value === ctx.sentReply) replyTo(null);
    fit(area);
    if (!find("#side").contains(document.activeElement)) area.focus();
    requestAnimationFrame(toEnd);
  };

  // ---- replying

  const LONGEST_WORDS = 90;
  const replyTo = (article) => {
    find("#reply").value = article ? article.id.slice(2) : "";
    find("#replying").hidden = !article;
    if (!article) return;
    const text = (find(".text, .bubble > p:not(.about), .asked", article)?.innerText.trim() || find("img", article)?.alt
      || find(".file", article)?.innerText || "").replace(/\s+/g, " ");
    find("#replying-words").textContent = text.length > LONGEST_WORDS ? `${text.slice(0, LONGEST_WORDS)}…` : text;
    find("#status").textContent = `${say("Replying")} ${find("#replying-words").textContent}`;
    find("#text").focus();
  };

  // ---- pressing: a finger that trembles presses twice

  const PRESS_MS = 900;
  const onPress = (event) => {
    const button = event.target.closest?.("[data-press]");
    if (!button) return;
    if (button.classList.contains("pressed")) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    button.classList.add("pressed");
    setTimeout(() => button.classList.remove("pressed"), PRESS_MS);
  };

  const onWord = ({ detail: { ctx } }) => {
    const word = ctx.response?.raw.headers.get("X-Parley-Word");
    if (word) toast(decodeURIComponent(word));
  };

  // ---- pictures

  const upload = async (files) => {
    for (const file of files) {
      if (file.size > Number(document.body.dataset.maxUpload)) { toast(say("UploadLarge")); continue; }
      const place = document.createElement("span");
      place.className = "picture loading";
      find("#pictures").append(place);
      try {
        const answer = await fetch("/uploads", {
          method: "POST",
          body: file,
          headers: {
            "X-Parley-Token": document.body.dataset.token,
            "X-File-Name": encodeURIComponent(file.name),
            "HX-Request": "true",
          },
        });
        const text = await answer.text();
        if (!answer.ok) { place.remove(); toast(text); continue; }
        const template = document.createElement("template");
        template.innerHTML = text;
        place.replaceWith(template.content);
      } catch {
        place.remove();
        toast(say("SendFailed"));
      }
    }
  };

  // ---- copying

  const copied = async (button) => {
    const what = button.dataset.copy;
    const text = what === "link" ? find("#link").value
      : what === "code" ? find("code", button.closest("figure")).textContent
      : find(".text", button.closest("article")).innerText;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return;
    }
    button.classList.add("copied");
    if (!find("svg", button)) button.textContent = say("Copied");
    find("#status").textContent = say("Copied");
    setTimeout(() => {
      button.classList.remove("copied");
      if (!find("svg", button)) button.textContent = say("Copy");
    }, 1600);
  };

  // ---- the menu on narrow screens

  const isOpen = () => find("#menu").getAttribute("aria-expanded") === "true";
  const openMenu = (open) => {
    find("#menu").setAttribute("aria-expanded", String(open));
    find("#side").classList.toggle("open", open);
    find("#shade").hidden = !open;
    (open ? find("#new") : find("#menu")).focus();
  };

  const onClick = (event) => {
    const button = event.target.closest("button, #shade");
    if (!button) return;
    if (button.dataset.copy) copied(button);
    else if (button.dataset.remove !== undefined) { button.closest(".picture").remove(); find("#text").focus(); }
    else if (button.dataset.reply) replyTo(button.closest("article"));
    else if (button.id === "unreply") { replyTo(null); find("#text").focus(); }
    else if (button.id === "stop") command("stop");
    else if (button.id === "menu") openMenu(!isOpen());
    else if (button.id === "shade") openMenu(false);
    else if (button.dataset.again !== undefined) button.closest("article").classList.add("redoing");
  };

  // ---- asking before deleting

  const onConfirm = (event) => {
    event.preventDefault();
    const dialog = find("#sure");
    find("#sure-text").textContent = event.detail.ctx.confirm;
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "yes") event.detail.issueRequest();
      else event.detail.dropRequest();
    }, { once: true });
    dialog.showModal();
  };

  document.addEventListener("DOMContentLoaded", () => {
    const area = find("#text");
    new MutationObserver(noteBusy).observe(find("#messages"), {
      childList: true, subtree: true, attributes: true, attributeFilter: ["data-state", "class"],
    });
    noteBusy();
    fit(area);
    toEnd();
    addEventListener("keydown", onKey);
    addEventListener("submit", onSubmit, true);
    addEventListener("click", onPress, true);
    addEventListener("click", onClick);
    area.addEventListener("input", () => fit(area));
    area.addEventListener("paste", (event) => upload(event.clipboardData.files));
    find("#file").addEventListener("change", (event) => {
      upload([...event.target.files]);
      event.target.value = "";
      area.focus();
    });
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => { event.preventDefault(); upload(event.dataTransfer.files); });

    document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
      ctx.sentText = find("#text").value;
      ctx.sentReply = find("#reply").value;
      ctx.sentPictures = [...document.querySelectorAll("#pictures .picture")];
    });
    document.addEventListener("htmx:after:request", onSent);
    document.addEventListener("htmx:after:request", onWord);
    document.addEventListener("htmx:finally:request", onDone);
    document.addEventListener("htmx:confirm", onConfirm);
    document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
      if (ctx.response.status === 401) location.reload();
      else if (ctx.sourceElement.id !== "stream") toast(ctx.text);
    });
    document.addEventListener("htmx:error", ({ detail }) => {
      if (detail.ctx && detail.ctx.sourceElement.id !== "stream") toast(say("SendFailed"));
    });
    document.addEventListener("htmx:after:swap", () => {
      const dialog = find("#dialog");
      if (dialog.childElementCount && !dialog.open) dialog.showModal();
    });
    find("#dialog").addEventListener("close", (event) => event.target.replaceChildren());
    document.addEventListener("htmx:sse:error", ({ detail }) => {
      find("#offline").hidden = false;
      if (detail.status === 401 || detail.status === 404) location.reload();
    });
    document.addEventListener("htmx:sse:after:connection", () => { find("#offline").hidden = true; });
  });
})();
