// Elements are built from strings as text nodes only: no name or note can become markup.

const SVG = 'http://www.w3.org/2000/svg';

/** Make an element: attributes (`class`, `data-…`, `on…` listeners as functions) and children (nodes, texts, null). */
function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(3)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

function section(title, ...children) {
  const id = `h-${title.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;
  return h('section', {class: 'card', 'aria-labelledby': id}, h('h2', {id}, title), ...children);
}

function announce(words) {
  document.getElementById('announce').textContent = words;
}

function chip(words, tone) {
  return h('span', {class: `chip ${tone || ''}`}, words);
}

function muted(...words) {
  return h('p', {class: 'muted'}, ...words);
}

/** Pairs of term and description; pairs without a description are left out. */
function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '');
  return h('dl', {class: 'facts'}, shown.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))));
}
