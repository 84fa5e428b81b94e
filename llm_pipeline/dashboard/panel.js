// A piece of a page: HTML that the server made. It changes in place, so that focus, open dialogs
// and what is being typed stay; what people do in it goes back as `act`.
const TYPING = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const SHORT = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { day: "numeric", month: "short" };
const SHAPES = {
  clock: new Intl.DateTimeFormat("en", CLOCK),
  day: new Intl.DateTimeFormat("en", { ...DAY, year: "numeric" }),
  short: new Intl.DateTimeFormat("en", { ...DAY, ...SHORT }),
  full: new Intl.DateTimeFormat("en", { ...DAY, year: "numeric", ...SHORT, timeZoneName: "short" }),
};
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function ago(at) {
  const seconds = (at - Date.now()) / 1000;
  const [unit, length] = UNITS.find(([, long]) => Math.abs(seconds) >= long) ?? UNITS[3];
  return Math.abs(seconds) < 5 ? "just now" : AGO.format(Math.round(seconds / length), unit);
}

function dress(root) {
  for (const time of root.querySelectorAll("time[data-as]")) {
    const at = new Date(time.dateTime);
    time.textContent = time.dataset.as === "ago" ? ago(at) : SHAPES[time.dataset.as].format(at);
    time.title = SHAPES.full.format(at);
  }
}

function keyOf(node) {
  return node.nodeType === 1 ? node.id || node.dataset.key || "" : "";
}

function isLike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
}

function morph(old, fresh) {
  if (old.nodeType !== 1) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of fresh.attributes)
    if (old.getAttribute(name) !== value && !(name === "open" && old.nodeName === "DETAILS")) old.setAttribute(name, value);
  if (old.matches("input, textarea, select") && old !== document.activeElement) {
    if (fresh.type === "checkbox") old.checked = fresh.checked;
    else if (old.nodeName !== "SELECT" && old.type !== "file") old.value = fresh.value;
  }
  morphChildren(old, fresh);
  if (old.nodeName === "SELECT" && old !== document.activeElement) old.value = fresh.value;
}

function morphChildren(old, fresh) {
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    let found = at;
    if (keyOf(wanted)) while (found && !isLike(found, wanted)) found = found.nextSibling;
    if (found && isLike(found, wanted)) {
      if (found !== at) old.insertBefore(found, at);
      else at = at.nextSibling;
      morph(found, wanted);
    } else {
      old.insertBefore(wanted, at);
      if (wanted.nodeName === "LI" && wanted.dataset.key) wanted.classList.add("fresh");
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

export default {
  template: "<div></div>",
  props: { html: String, keys: Array },
  emits: ["act"],
  mounted() {
    this.$el.innerHTML = this.html;
    dress(this.$el);
    for (const kind of ["click", "submit", "input", "change"]) this.$el.addEventListener(kind, this[kind]);
    if (this.keys?.length) document.addEventListener("keydown", this.pressed);
    this.clock = setInterval(() => dress(this.$el), 20000);
    this.arrive();
  },
  beforeUnmount() {
    document.removeEventListener("keydown", this.pressed);
    clearInterval(this.clock);
  },
  watch: {
    html(html) {
      const fresh = document.createElement("div");
      fresh.innerHTML = html;
      dress(fresh);
      morphChildren(this.$el, fresh);
      this.arrive();
    },
  },
  methods: {
    arrive() {
      document.getElementById("boot")?.remove();
      for (const dialog of this.$el.querySelectorAll("dialog[data-shown]")) {
        if (!dialog.open) dialog.showModal();
        // A search field with words in it would take the first Escape for itself.
        dialog.oncancel = (event) => event.preventDefault();
        dialog.onkeydown = (event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          this.act(dialog, "close");
        };
      }
      const first = this.$el.querySelector("[data-focus]:not([data-had])");
      if (first) {
        first.dataset.had = "";
        first.focus({ preventScroll: true });
      }
    },
    act(at, what, more) {
      this.$emit("act", { do: what, arg: at.dataset.arg ?? "", ...more });
    },
    click(event) {
      const at = event.target.closest("[data-do]");
      if (!at || at.nodeName === "FORM") return;
      event.preventDefault();
      this.act(at, at.dataset.do);
    },
    submit(event) {
      const form = event.target;
      if (!form.dataset.do) return;
      event.preventDefault();
      this.sent(form, form.dataset.enter);
    },
    sent(form, what = form.dataset.do) {
      clearTimeout(form.waiting);
      this.act(form, what, { form: Object.fromEntries(new FormData(form)) });
    },
    input(event) {
      const form = event.target.closest("form[data-live]");
      if (!form || !event.target.matches(TYPING) || event.target.nodeName === "SELECT") return;
      clearTimeout(form.waiting);
      form.waiting = setTimeout(() => this.sent(form), 180);
    },
    change(event) {
      const form = event.target.closest("form[data-live]");
      if (form && !event.target.matches("input[type=search], input[type=text]")) this.sent(form);
    },
    pressed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (event.target.matches(TYPING) || document.querySelector("dialog[open]")) return;
      if (!this.keys.includes(event.key)) return;
      if (event.key === "Enter" && event.target.matches("a, button, summary")) return;
      event.preventDefault();
      this.$emit("act", { do: "key", arg: event.key });
    },
  },
};
