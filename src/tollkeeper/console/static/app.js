/* What the pages do when scripts may run: partial page loads, live updates, the chart's tooltip,
   copying. Every page works without it. Nothing here makes HTML from text but `parsed`, and that
   only reads what our own server has rendered. */
(() => {
'use strict';
const policy = window.trustedTypes
  ? trustedTypes.createPolicy('swap', { createHTML: (text) => text })
  : { createHTML: (text) => text };
const parsed = (text) => new DOMParser().parseFromString(policy.createHTML(text), 'text/html');
const $ = (id) => document.getElementById(id);
const main = () => $('main');
const FLASH_MS = 700;
document.documentElement.classList.add('js');

/* ---------- partial page loads: the address is the view ---------- */
let under_way;
let shown = location.pathname + location.search;

async function part(url, signal) {
  const reply = await fetch(url, { headers: { 'X-Swap': 'main' }, credentials: 'same-origin', signal });
  const is_page = (reply.headers.get('content-type') || '').startsWith('text/html');
  if (!reply.ok || reply.redirected || !is_page) return null;
  return parsed(await reply.text()).getElementById('main');
}

async function load(url, { push = true, top = false } = {}) {
  under_way?.abort();
  const mine = under_way = new AbortController();
  main().setAttribute('aria-busy', 'true');
  let next = null;
  try {
    next = await part(url, mine.signal);
  } catch (error) {
    if (error.name === 'AbortError') return;
  }
  if (!next) { location.assign(url); return; }
  const focused = document.activeElement?.id;
  main().replaceWith(document.adoptNode(next));
  if (push) history.pushState({}, '', url);
  shown = location.pathname + location.search;
  document.title = next.dataset.title || document.title;
  if (focused) $(focused)?.focus({ preventScroll: true });
  if (top) { scrollTo(0, 0); next.focus({ preventScroll: true }); }
  $('say').textContent = document.title;
  arrived();
}

const plain = (event) =>
  !(event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);

addEventListener('click', (event) => {
  const link = event.target.closest?.('a[data-swap], a[data-swap-if]');
  if (!link || !plain(event)) return;
  if (link.dataset.swapIf && link.dataset.swapIf !== location.pathname) return;
  event.preventDefault();
  load(link.href, { top: 'top' in link.dataset });
});

addEventListener('submit', (event) => {
  const form = event.target;
  if (!form.matches('form[data-swap]') || event.defaultPrevented) return;
  event.preventDefault();
  const url = new URL(form.action);
  url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  load(url.href);
});

addEventListener('popstate', () => {
  if (location.pathname + location.search !== shown) load(location.href, { push: false });
});

/* ---------- menus: closed by Escape and by a click elsewhere ---------- */
const menus = () => document.querySelectorAll('details.menu[open]');
addEventListener('click', (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector('summary').focus();
  }
});

/* ---------- copying ---------- */
addEventListener('click', async (event) => {
  const button = event.target.closest?.('button[data-copy]');
  if (!button) return;
  const text = button.parentElement.querySelector('pre').textContent;
  try {
    await navigator.clipboard.writeText(text);
    told(button, 'Copied');
  } catch {  // no secure context, or not allowed: select it, so that one key press copies it
    getSelection().selectAllChildren(button.parentElement.querySelector('code'));
    told(button, 'Selected');
  }
});
/* ---------- a file is read into a field ---------- */
addEventListener('change', async (event) => {
  const { files, dataset } = event.target, field = dataset.into && $(dataset.into), file = files?.[0];
  if (!field || !file) return;
  const bytes = new Uint8Array(await file.slice(0, 4 * field.maxLength).arrayBuffer());
  const wide = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const text = new TextDecoder(wide ? (bytes[0] === 0xff ? 'utf-16le' : 'utf-16be') : 'utf-8').decode(bytes);
  const fits = file.size <= bytes.length && text.length <= field.maxLength;
  field.value = fits ? text : '';
  event.target.setCustomValidity(fits ? '' : 'This file is too large for a page: take it over with the command line');
  event.target.reportValidity();
});
function told(button, text) {
  button.textContent = text;
  $('say').textContent = text;
  setTimeout(() => { button.textContent = 'Copy'; }, 1600);
}

/* ---------- the chart: its numbers are those of the table below it ---------- */
const made = (tag, name, text) => {
  const node = document.createElement(tag);
  node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
};
let lit = null;  // the series that is highlighted, by its slot

function chart() {
  const plot = $('plot'), days = $('days'), tip = $('tip');
  if (!plot || !days || plot.dataset.ready) return;
  plot.dataset.ready = '1';
  const heads = days.tHead.rows[0].cells, known = days.tBodies[0].rows.length;
  const ahead = [...days.tFoot?.rows ?? []];  // what is expected: first the rest of the last day
  const rows = [...days.tBodies[0].rows, ...ahead.slice(1)];
  const cursor = plot.querySelector('.cursor'), last = heads.length - 1;
  let at = -1;
  const show = (wanted) => {
    const day = Math.max(0, Math.min(rows.length - 1, wanted));
    if (day === at) return;
    at = day;
    const cells = rows[day].cells;
    cursor.setAttribute('x', String(day * 100));
    const head = made('div', 'h');
    const total = cells[cells.length - 1].textContent;
    head.append(made('b', '', cells[0].textContent), made('b', 'num', total));
    const lines = [];
    const words = [];
    if (ahead.length && day >= known - 1) {
      const row = ahead[day - known + 1], amount = row.cells[row.cells.length - 1].textContent;
      const said = [day < known ? `and ${amount} more expected` : '', row.dataset.range ?? ''].filter(Boolean).join(', ');
      if (said) { lines.push(made('div', 'r', said)); words.push(said); }
    }
    for (let column = last - 1; column > 0; column--) {  // from the top of the stack down
      if (!cells[column]?.querySelector('a')) continue;
      const slot = heads[column].dataset.slot, line = made('div', slot === lit ? 'r on' : 'r');
      line.append(made('span', `dot b${slot}`), made('span', '', heads[column].textContent), made('span', 'num', cells[column].textContent));
      lines.push(line);
      words.push(`${heads[column].textContent} ${cells[column].textContent}`);
    }
    tip.replaceChildren(head, ...lines);
    tip.hidden = false;
    const width = plot.clientWidth, middle = (day + .5) / rows.length * width;
    let left = middle + 14;
    if (left + tip.offsetWidth > width) left = middle - tip.offsetWidth - 14;
    tip.style.transform = `translate(${Math.round(plot.offsetLeft + Math.max(0, left))}px,${plot.offsetTop + 4}px)`;
    plot.setAttribute('aria-valuenow', String(day + 1));
    plot.setAttribute('aria-valuetext', [`${cells[0].textContent}: ${total}`, ...words].join(', '));
  };
  const hide = () => { at = -1; tip.hidden = true; cursor.setAttribute('x', '-100'); };
  const open = () => { if (at >= 0) rows[at].cells[0].querySelector('a')?.click(); };
  plot.addEventListener('pointermove', (event) => {
    const box = plot.getBoundingClientRect();
    show(Math.floor((event.clientX - box.left) / box.width * rows.length));
  });
  plot.addEventListener('pointerleave', hide);
  plot.addEventListener('blur', hide);
  plot.addEventListener('click', (event) => { if (event.pointerType !== 'touch') open(); });
  plot.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1, PageUp: 7, PageDown: -7, Home: -1e6, End: 1e6 }[event.key];
    if (step) { event.preventDefault(); show(at < 0 ? known - 1 : at + step); }
    else if (event.key === 'Enter') open();
    else if (event.key === 'Escape') hide();
  });
  light(lit);
}

function light(slot) {
  const plot = $('plot');
  const found = slot !== null && plot?.querySelector(`.bar.s${slot}`);
  lit = found ? slot : null;
  plot?.toggleAttribute('data-lit', lit !== null);
  for (const bar of plot?.querySelectorAll('.bar') ?? []) bar.classList.toggle('on', lit !== null && bar.classList.contains(`s${lit}`));
  for (const each of document.querySelectorAll('.legend button')) each.setAttribute('aria-pressed', String(each.dataset.slot === lit));
}
addEventListener('click', (event) => {
  const button = event.target.closest?.('.legend button');
  if (button) light(button.dataset.slot === lit ? null : button.dataset.slot);
});

/* ---------- live: a hint comes over one connection, the page asks for itself again ---------- */
let source, heard, again, wait_ms = 1000, paused = sessionStorage.getItem('paused') === '1';
let due, refreshed_ms = 0, took_ms = 0, missed = false, refreshing = false;

function state(name, text) {
  const pill = $('live');
  if (!pill) return;
  pill.dataset.state = name;
  pill.setAttribute('aria-pressed', String(name === 'paused'));
  pill.title = name === 'paused' ? 'Go on with live updates' : 'Pause live updates';
  pill.lastElementChild.textContent = text;
}

/* A page of alerts is not changed by calls, and says at which state of alerts it was made. */
const hears = () => {
  const { zone, alerts } = main().dataset, query = new URLSearchParams({ tz: zone });
  if (alerts !== undefined) query.set('alerts', alerts);
  return `/events?${query}`;
};

function listen() {
  clearTimeout(again);
  source?.close();
  source = null;
  if (!$('live') || document.hidden) return;
  if (paused) { state('paused', 'Paused'); return; }
  state('off', 'Live');
  heard = hears();
  const mine = source = new EventSource(heard);
  mine.onopen = () => { wait_ms = 1000; state('on', 'Live'); };
  mine.addEventListener('call', () => { if (main().dataset.alerts === undefined) soon(); });
  mine.addEventListener('alerts', () => soon());
  mine.addEventListener('gap', () => soon());
  mine.addEventListener('figures', (event) => tick(JSON.parse(event.data)));
  mine.addEventListener('end', (event) => {
    mine.close();
    if (JSON.parse(event.data).reason === 'signed_out') { state('off', 'Signed out'); return; }
    retry();
  });
  mine.onerror = () => {
    state('off', 'Offline');
    if (mine.readyState === EventSource.CLOSED) retry();
  };
}
function retry() {
  clearTimeout(again);
  again = setTimeout(() => { listen(); soon(); }, wait_ms);
  wait_ms = Math.min(wait_ms * 2, 60000);
}

/* Figures of all that the viewer may see tick at once; the rest follows with the page. */
function tick(figures) {
  for (const node of document.querySelectorAll('[data-tick]')) {
    const amount = figures[node.dataset.tick]?.cost_usd;
    if (amount !== undefined && figures.tz === main().dataset.zone) put(node, dollars(amount));
  }
}
function put(node, text) {
  if (node.textContent === text) return;
  node.textContent = text;
  flash(node);
}
function flash(node) {
  node.classList.remove('ticked');
  requestAnimationFrame(() => {
    node.classList.add('ticked');
    setTimeout(() => node.classList.remove('ticked'), FLASH_MS);
  });
}
/* Written as the server writes them: reports/formatting.py, money_tile. */
function dollars(text) {
  if (text === null) return '\u2014';
  const amount = Number(text), size = Math.abs(amount), sign = amount < 0 ? '-' : '';
  if (size > 0 && size < .01) return `${sign}<$0.01`;
  if (size >= 999999.5) {
    const [divisor, letter] = size >= 999.5e9 ? [1e12, 'T'] : size >= 999.5e6 ? [1e9, 'B'] : [1e6, 'M'];
    const scaled = size / divisor;
    return `${sign}$${scaled.toFixed(scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0)}${letter}`;
  }
  const digits = size >= 999.995 ? 0 : size >= .9995 || !size ? 2 : 3;
  return sign + '$' + size.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/* Ask again at most every data-follow seconds, and never for more than a twentieth of the time. */
function soon() {
  missed = true;
  if (paused || due || refreshing || !main().dataset.follow) return;
  const least = Math.max(Number(main().dataset.follow) * 1000, took_ms * 20);
  due = setTimeout(refresh, Math.max(150, refreshed_ms + least - performance.now()));
}
async function refresh() {
  due = undefined;
  if (paused || document.hidden || !main().dataset.follow) return;
  missed = false;
  refreshing = true;
  const url = location.href, began = performance.now();
  try {
    const next = await part(url);
    if (next && url === location.href && !paused) renew(next);
  } catch { /* the next hint tries again */ }
  took_ms = performance.now() - began;
  refreshed_ms = performance.now();
  refreshing = false;
  if (missed) soon();
}

/* What is under the pointer, is read with the keys or is open stays as it is until it is let go. */
const held = (node) =>
  node.querySelector('details.menu[open], #tip:not([hidden])') ||
  ('hold' in node.dataset && node.matches(':hover')) ||
  (node.contains(document.activeElement) && !document.activeElement.id);

function renew(next) {
  const ids = (page) => [...page.querySelectorAll('[data-live]')].map((region) => region.id).join();
  if (ids(next) !== ids(main())) {  // the first call of all: another page altogether
    if (!held(main())) { main().replaceWith(document.adoptNode(next)); arrived(); }
    return;
  }
  const under = main().querySelector('[data-hold]:hover');
  for (const region of next.querySelectorAll('[data-live]')) renew_region($(region.id), region, under);
}
function wait_for(node) {
  node.addEventListener('pointerleave', soon, { once: true });
  node.addEventListener('focusout', soon, { once: true });
}

function renew_region(old, region, under) {
  if (old.isEqualNode(region)) return;
  if (held(old)) { wait_for(old); return; }
  const former = [...old.childNodes], top = under?.getBoundingClientRect().top;
  const before = new Map([...old.querySelectorAll('[data-num]')].map((node) => [node.dataset.num, node.textContent]));
  const known = new Set([...old.querySelectorAll('tr[data-row]')].map((row) => row.dataset.row));
  const focused = old.contains(document.activeElement) ? document.activeElement.id : '';
  for (const details of region.querySelectorAll('details[id]')) details.open = Boolean($(details.id)?.open);
  old.replaceChildren(...document.adoptNode(region).childNodes);
  if (under && under.getBoundingClientRect().top !== top) {  // it would move what is pointed at
    old.replaceChildren(...former);
    wait_for(under);
  }
  if (focused) $(focused)?.focus({ preventScroll: true });
  for (const node of old.querySelectorAll('[data-num]')) {
    if (before.has(node.dataset.num) && before.get(node.dataset.num) !== node.textContent) flash(node);
  }
  for (const row of old.querySelectorAll('tr[data-row]')) if (known.size && !known.has(row.dataset.row)) flash(row);
  if (old.id === 'chart') chart();
}

addEventListener('click', (event) => {
  if (!event.target.closest?.('#live')) return;
  paused = !paused;
  sessionStorage.setItem('paused', paused ? '1' : '0');
  clearTimeout(due);
  due = undefined;
  listen();
  if (!paused) soon();
});
document.addEventListener('visibilitychange', () => {
  listen();
  if (!document.hidden) soon();
});
addEventListener('pagehide', () => { clearTimeout(again); source?.close(); source = null; });
addEventListener('pageshow', (event) => { if (event.persisted) { listen(); soon(); } });

function arrived() {
  lit = null;
  chart();
  if (source?.readyState === EventSource.OPEN && heard === hears()) state('on', 'Live');
  else listen();
}
arrived();

/* ---------- the style sheet came within the page: get its file, which the next pages name ---------- */
const sheet = $('style')?.dataset.file;
if (sheet) addEventListener('load', async () => {
  const got = await fetch(sheet).catch(() => null);
  if (!got?.ok) return;
  await got.arrayBuffer();  // a browser keeps what was read to its end
  const secure = location.protocol === 'https:' ? ';secure' : '';
  document.cookie = `style=${sheet};path=/;max-age=31536000;samesite=lax${secure}`;
});

/* ---------- on a phone the menu is a row that scrolls: show where one is ---------- */
const here = document.querySelector('.nav [aria-current]');
if (here && matchMedia('(max-width: 1080px)').matches) {  // elsewhere it would only cost a layout
  const row = here.closest('ul'), place = here.getBoundingClientRect(), all = row.getBoundingClientRect();
  row.scrollLeft += place.left - all.left - (all.width - place.width) / 2;
}
})();
