// Numbers, money and dates as people read them. Missing is a dash, never 0.

const DASH = '–';
const SEGMENTS = {smb: 'SMB', mid_market: 'mid-market', enterprise: 'enterprise'};
const ROUTES = {csm: 'CSM', ae: 'account executive', specialist: 'product specialist'};
const SOURCES = {qbr: 'business review', ticket: 'ticket', check_in: 'check-in'};

const moneyFormat = (() => {
  const style = {style: 'currency', currency: HEAD.currency, maximumFractionDigits: 0};
  return [new Intl.NumberFormat('en-US', style), new Intl.NumberFormat('en-US', {...style, notation: 'compact',
    maximumFractionDigits: 1})];
})();
const plainFormat = new Intl.NumberFormat('en-US', {maximumFractionDigits: 1});

function missing(value) {
  return value === null || value === undefined || value === '';
}

function money(value) {
  return missing(value) ? DASH : moneyFormat[0].format(value);
}

function shortMoney(value) {
  return missing(value) ? DASH : moneyFormat[1].format(value);
}

function number(value) {
  return missing(value) ? DASH : plainFormat.format(value);
}

function percent(value) {
  if (missing(value)) return DASH;
  const points = 100 * value;
  return `${points > 0 && points < 10 ? points.toFixed(1) : points.toFixed(0)} %`;
}

function signed(value, digits) {
  return `${value > 0 ? '+' : value < 0 ? '−' : '±'}${Math.abs(value).toFixed(digits)}`;
}

function plural(count, one, many) {
  return `${number(count)} ${count === 1 ? one : many || `${one}s`}`;
}

function spaced(key) {
  const words = String(key || '').replace(/_/g, ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function days(from, to) {
  return Math.round((Date.parse(to) - Date.parse(from)) / 86400000);
}

/** Days from the list's date to `day`; null where there is none. */
function inDays(day) {
  return missing(day) ? null : days(HEAD.as_of, day);
}

function dayShifted(by) {
  return new Date(Date.parse(HEAD.as_of) + by * 86400000).toISOString().slice(0, 10);
}

function renewalWords(day) {
  const left = inDays(day);
  return left === null ? DASH : left < 0 ? `${-left} days overdue` : `in ${plural(left, 'day')}`;
}

/** A link into the CRM; only web addresses become links. */
function crmLink(url, words) {
  if (missing(url) || !/^https?:\/\//i.test(url)) return null;
  return h('a', {href: url, rel: 'noopener noreferrer', target: '_blank', class: 'out'}, words);
}

function link(path, query, words, attributes) {
  return h('a', {href: route(path, query), ...(attributes || {})}, words);
}

function route(path, query) {
  const given = Object.entries(query || {}).filter(([, value]) => !missing(value));
  const search = new URLSearchParams(given).toString();
  return `#/${path}${search ? `?${search}` : ''}`;
}

function accountPath(id) {
  return `account/${encodeURIComponent(id)}`;
}

function productPath(id) {
  return `product/${encodeURIComponent(id)}`;
}

function changeChip(change) {
  const shown = {new: ['new', 'good'], up: ['▲ up', 'info'], down: ['▼ down', ''], same: ['same', '']}[change];
  return shown ? chip(...shown) : null;
}

function typeChip(type) {
  return chip(spaced(type), {pitch: 'good', discover: 'info'}[type]);
}
