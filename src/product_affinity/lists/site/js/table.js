// One table for every long list: filters, sorting and paging live in the address, so back and reload keep them.

const PAGE_ROWS = 50;

/**
 * A filterable, sortable, paged table.
 * columns: {key, label, cell(row), sort(row), numeric, first: 'descending'}; filters: {key, label, value(row)};
 * text(row): what the search box looks through; query and update(query): the state in the address.
 */
function dataTable({name, caption, rows, columns, filters, text, query, update, nothing}) {
  const state = {...query};
  const body = h('div', {});
  const change = (key, value) => {
    if (missing(value)) delete state[key];
    else state[key] = value;
    if (key !== 'page') delete state.page;
    update(state);
    draw(key);
  };
  const draw = (cause) => {
    const shown = sorted(chosen(rows, filters, text, state), columns, state);
    const focused = cause && document.activeElement ? document.activeElement.dataset.sort : null;
    body.replaceChildren(...(shown.length ? [pager('top', shown.length, state, change), grid(shown),
      shown.length > PAGE_ROWS ? pager('bottom', shown.length, state, change) : ''] :
      [h('p', {class: 'empty'}, rows.length ? 'No row matches these filters.' : nothing)]));
    if (focused) body.querySelector(`[data-sort="${focused}"]`)?.focus();
    if (cause === 'page') body.querySelector('.scroll')?.focus();
    if (cause) announce(`${plural(shown.length, 'row')} of ${number(rows.length)}`);
  };
  const grid = (shown) => {
    const first = pageOf(state, shown.length) * PAGE_ROWS;
    return h('div', {class: 'scroll', role: 'region', tabindex: '0', 'aria-label': caption},
      h('table', {class: 'grid', id: name}, h('caption', {class: 'sr-only'}, caption),
        h('thead', {}, h('tr', {}, columns.map((column) => headCell(column, state, change)))),
        h('tbody', {}, shown.slice(first, first + PAGE_ROWS).map((row) =>
          h('tr', {}, columns.map((column) => column.header ?
            h('th', {scope: 'row'}, column.cell(row)) :
            h('td', {class: column.numeric ? 'num' : column.wide ? 'wide' : column.narrow ? 'narrow' : null}, column.cell(row))))))));
  };
  draw(null);
  return h('div', {class: 'listing'}, filterBar(name, rows, filters, Boolean(text), state, change), body);
}

function filterBar(name, rows, filters, searchable, state, change) {
  const fields = filters.map((filter) => {
    const id = `${name}-${filter.key}`;
    const found = [...new Map(rows.map((row) => [String(filter.value(row) ?? ''), filter.words ? filter.words(row) : filter.value(row)]))];
    const options = found.filter(([value]) => value !== '').sort((a, b) => String(a[1]).localeCompare(String(b[1]), 'en'));
    return options.length < 2 && missing(state[filter.key]) ? null : h('div', {class: 'field'}, h('label', {for: id}, filter.label),
      h('select', {id, onchange: (event) => change(filter.key, event.target.value)}, h('option', {value: ''}, 'All'),
        options.map(([value, words]) => h('option', {value, selected: state[filter.key] === value}, words))));
  });
  const search = searchable ? h('div', {class: 'field grow'}, h('label', {for: `${name}-q`}, 'Search'),
    h('input', {id: `${name}-q`, type: 'search', value: state.q || '', autocomplete: 'off', placeholder: 'Account, product, reason…',
      oninput: later((event) => change('q', event.target.value))})) : null;
  return h('form', {class: 'filters', role: 'search', 'aria-label': 'Filters', onsubmit: (event) => event.preventDefault()}, search, fields,
    h('button', {type: 'button', class: 'quiet', onclick: (event) => {
      for (const key of Object.keys(state)) if (key !== 'sort') delete state[key];
      event.target.form.reset();
      for (const field of event.target.form.elements) if ('value' in field && field.type !== 'button') field.value = '';
      change('page', null);
    }}, 'Clear'));
}

/** Call `then` once typing paused, so that thousands of rows are not filtered at every key. */
function later(then) {
  let waiting = 0;
  return (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => then(event), 120);
  };
}

function chosen(rows, filters, text, state) {
  const asked = filters.filter((filter) => !missing(state[filter.key]));
  const words = (state.q || '').toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => asked.every((filter) => String(filter.value(row) ?? '') === state[filter.key]) &&
    (!words.length || words.every((word) => text(row).toLowerCase().includes(word))));
}

/** Sort by the column in the address; missing values come last either way, ties keep the published order. */
function sorted(rows, columns, state) {
  const [key, direction] = (state.sort || '').split('.');
  const column = columns.find((candidate) => candidate.key === key && candidate.sort);
  if (!column) return rows;
  const sign = direction === 'descending' ? -1 : 1;
  return rows.map((row, order) => [column.sort(row), order, row]).sort((a, b) => {
    if (missing(a[0]) || missing(b[0])) return missing(a[0]) - missing(b[0]) || a[1] - b[1];
    const less = typeof a[0] === 'string' ? a[0].localeCompare(b[0], 'en') : a[0] - b[0];
    return sign * less || a[1] - b[1];
  }).map((entry) => entry[2]);
}

function headCell(column, state, change) {
  const [key, direction] = (state.sort || '').split('.');
  const active = key === column.key ? direction : null;
  const className = column.numeric ? 'num' : null;
  if (!column.sort) return h('th', {scope: 'col', class: className}, column.label);
  const first = column.first || 'ascending';
  const other = first === 'ascending' ? 'descending' : 'ascending';
  return h('th', {scope: 'col', class: className, 'aria-sort': active || 'none'},
    h('button', {type: 'button', class: 'sort', 'data-sort': column.key,
      onclick: () => change('sort', `${column.key}.${active === first ? other : first}`)},
    column.label, h('span', {'aria-hidden': 'true', class: 'arrow'}, active === 'ascending' ? '▲' : active === 'descending' ? '▼' : '↕')));
}

function pageOf(state, count) {
  const last = Math.max(0, Math.ceil(count / PAGE_ROWS) - 1);
  return Math.min(last, Math.max(0, (parseInt(state.page, 10) || 1) - 1));
}

function pager(place, count, state, change) {
  const page = pageOf(state, count);
  const last = Math.ceil(count / PAGE_ROWS) - 1;
  const to = Math.min(count, (page + 1) * PAGE_ROWS);
  const step = (by, words) => h('button', {type: 'button', disabled: page + by < 0 || page + by > last,
    onclick: () => change('page', String(page + by + 1))}, words);
  return h('nav', {class: 'pager', 'aria-label': `Pages, ${place}`},
    h('span', {class: 'count'}, `${number(page * PAGE_ROWS + 1)}–${number(to)} of ${plural(count, 'row')}`),
    last > 0 ? [step(-1, '← Previous'), step(1, 'Next →')] : null);
}
