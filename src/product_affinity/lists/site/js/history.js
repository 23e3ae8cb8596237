// The history of an account: what it owns and uses, how it is doing, what was tried before.

function weekLabels() {
  return Array.from({length: HEAD.weeks}, (_, week) => dayShifted(-7 * (HEAD.weeks - week)));
}

function monthLabels() {
  const last = new Date(Date.parse(HEAD.as_of) - 86400000);
  return Array.from({length: HEAD.months}, (_, month) => {
    const day = new Date(Date.UTC(last.getUTCFullYear(), last.getUTCMonth() - (HEAD.months - 1 - month), 1));
    return day.toISOString().slice(0, 7);
  });
}

function simpleTable(caption, columns, rows) {
  return h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption}, h('table', {class: 'plain'},
    h('caption', {class: 'sr-only'}, caption),
    h('thead', {}, h('tr', {}, columns.map(([words, , numeric]) => h('th', {scope: 'col', class: numeric ? 'num' : null}, words)))),
    h('tbody', {}, rows.map((row) => h('tr', {}, columns.map(([, cell, numeric]) => plainCell(cell(row), numeric)))))));
}

function plainCell(shown, numeric) {
  const isDay = typeof shown === 'string' && /^\d{4}-\d\d-\d\d$/.test(shown);
  return h('td', {class: numeric ? 'num' : isDay ? 'day' : null}, shown);
}

function ownedSection(id, safe) {
  const rows = accountTable('owned').where('account_id', id);
  const columns = [['Product', (row) => safe ? productName(row.product_id) : link(productPath(row.product_id), {}, productName(row.product_id))],
    ['Since', (row) => row.start_on || DASH], ['Plan', (row) => row.plan ? spaced(row.plan) : DASH], ['Seats', (row) => number(row.seats), true],
    ['ARR', (row) => money(row.arr_usd), true], ['Renewal', (row) => row.renewal_on || DASH]];
  return section('Products owned', rows.length ? simpleTable('Products owned', safe ? columns.filter(([words]) => words !== 'ARR') : columns, rows) :
    muted('No running subscription is known.'));
}

function whiteSpaceSection(id) {
  const rows = accountTable('white_space').where('account_id', id);
  if (!rows.length) return null;
  const order = [...rows].sort((a, b) => (b.value_usd ?? -1e12) - (a.value_usd ?? -1e12) || (a.product_id < b.product_id ? -1 : 1));
  return section('White space', simpleTable('Products not owned', [
    ['Product', (row) => link(productPath(row.product_id), {}, productName(row.product_id))],
    ['Chance', (row) => percent(row.propensity), true], ['Value', (row) => money(row.value_usd), true], ['State', (row) => row.state]], order));
}

function usageSection(id) {
  const rows = accountTable('usage').where('account_id', id);
  const chart = rows.length ? lineChart({title: 'Active users a day, mean of each week', labels: weekLabels(), format: number,
    series: rows.map((row) => ({name: productName(row.product_id), values: row.weekly}))}) : null;
  return section('Usage', chart || muted('No usage is recorded in the last year.'),
    chart ? muted('Weeks are named by their first day; a gap is a week without a record.') : null);
}

function healthSection(id) {
  const rows = accountTable('health').where('account_id', id);
  const chart = rows.length ? lineChart({title: 'Health score, last of each month', labels: monthLabels(), format: number, range: [0, 100],
    bands: [[0, 60, 'low'], [75, 100, 'high']],
    series: rows.map((row) => ({name: row.product_id ? productName(row.product_id) : 'Account', values: row.monthly}))}) : null;
  return section('Health', chart || muted('No health score is recorded in the last year.'),
    chart ? muted('Shaded: low up to 60, high above 75.') : null);
}

function problemSection(id, safe) {
  const problems = accountTable('problems').where('account_id', id);
  const tickets = accountTable('tickets').where('account_id', id);
  const problemColumns = [['Problem', (row) => [h('strong', {}, spaced(row.tag)), safe ? null : h('small', {}, row.statement)]],
    ['Noted', (row) => row.noted_on], ['Source', (row) => SOURCES[row.source] || row.source],
    ['Solved', (row) => row.solved_on || chip('open', 'warn')]];
  const ticketColumns = [['Priority', (row) => [chip(row.priority, ['P1', 'P2'].includes(row.priority) ? 'bad' : ''), row.escalated ? [' ', chip('escalated', 'bad')] : null]],
    ['Product', (row) => row.product_id ? productName(row.product_id) : DASH], ['Opened', (row) => row.opened_on],
    ['Closed', (row) => row.closed_on || chip(`open for ${plural(days(row.opened_on, HEAD.as_of), 'day')}`, 'warn')]];
  return section('Problems and tickets',
    problems.length ? simpleTable('Problems', problemColumns, problems) : muted('No problem is documented.'),
    tickets.length ? h('details', {open: tickets.some((row) => missing(row.closed_on))}, h('summary', {}, plural(tickets.length, 'recent ticket')),
      simpleTable('Tickets', ticketColumns, tickets)) : muted('No ticket in the last year.'));
}

const STATES = {pass: ['pass', 'good'], fail: ['fail', 'bad'], unknown: ['unknown', 'warn'], confirm: ['confirm first', 'warn']};

function checkSection(id) {
  const rows = accountTable('checks').where('account_id', id);
  if (!rows.length) return null;
  const pairs = [...new Set(rows.map((row) => row.product_id))];
  return section('Gates and readiness', pairs.map((product) => {
    const asked = rows.filter((row) => row.product_id === product);
    const passed = asked.filter((row) => row.state === 'pass').length;
    return h('details', {open: pairs.length === 1}, h('summary', {}, `${productName(product)}: ${passed} of ${asked.length} passed`),
      simpleTable(`Gates of ${productName(product)}`, [['Gate', (row) => row.code], ['About', (row) => row.title],
        ['Answer', (row) => chip(...(STATES[row.state] || [row.state]))], ['Evidence', (row) => row.evidence]], asked));
  }));
}

function eventSection(id) {
  const rows = accountTable('events').where('account_id', id);
  return section('Plays, deals and outcomes', rows.length ? simpleTable('Plays, deals and outcomes', [['When', (row) => row.happened_on],
    ['Product', (row) => row.product_id ? productName(row.product_id) : DASH], ['What', (row) => row.what], ['Detail', (row) => row.detail || '']], rows) :
    muted('Nothing was tried here before.'));
}

function rankSection(id, plays) {
  const rows = accountTable('earlier_ranks').where('account_id', id);
  if (!rows.length) return section('Earlier lists', muted('On no earlier list.'));
  const now = plays.map((play) => ({as_of: HEAD.as_of, product_id: play.product_id, rank: play.rank}));
  const all = [...rows, ...now];
  const dates = [...new Set(all.map((row) => row.as_of))].sort();
  const series = [...new Set(all.map((row) => row.product_id))].map((product) => ({name: productName(product),
    values: dates.map((day) => all.find((row) => row.as_of === day && row.product_id === product)?.rank ?? null)}));
  const worst = Math.max(...all.map((row) => row.rank));
  return section('Earlier lists', lineChart({title: 'Rank within its owner, 1 at the top', labels: dates, series, invert: true,
    range: [1, Math.max(worst, 5)], format: number}));
}
