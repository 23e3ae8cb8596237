// The overview: what the list is worth, where it lies, what waits, what changed.

function tile(value, label, note, target) {
  const inside = [h('span', {class: 'value'}, value), h('span', {class: 'label'}, label), note ? h('span', {class: 'note'}, note) : null];
  return target ? h('a', {class: 'tile', href: target}, inside) : h('div', {class: 'tile'}, inside);
}

function overviewPage() {
  const changes = SUMMARY.changes;
  const untouched = SUMMARY.untouched;
  return [
    h('h1', {}, HEAD.owner ? `${HEAD.owner}: this list at a glance` : 'This list at a glance'),
    HEAD.ranked_by ? h('p', {class: 'caution'}, `This list is ${HEAD.ranked_by}. A chance is still a chance of buying; a reason says what the baseline weighs, where it weighs anything of the account.`) : null,
    PLAYS.length ? null : emptyList(),
    h('div', {class: 'tiles'},
      tile(number(SUMMARY.plays), 'plays listed', `on ${plural(SUMMARY.accounts, 'account')}`, route('worklist')),
      tile(shortMoney(SUMMARY.expected_arr), 'expected ARR', 'chance × ARR if won'),
      tile(number(untouched.plays), `untouched for ${HEAD.untouched_after_days} days`,
        untouched.plays ? `${shortMoney(untouched.expected_arr)} expected ARR` : 'nothing lies idle', route('worklist', {touch: 'untouched'})),
      tile(number(FLYING.length), 'in flight', 'somebody works on them', FLYING.length ? route('watchlist', {}) : null),
      tile(number(HEAD.waiting ?? WATCHED.length), 'pairs waiting', 'a gate holds them back', route('watchlist'))),
    h('div', {class: 'columns'},
      arrBars('Expected ARR by product', 'product', SUMMARY.by_product),
      SUMMARY.by_owner.length > 1 ? arrBars('Expected ARR by owner', 'owner', SUMMARY.by_owner) : null,
      arrBars('Expected ARR by tier', 'tier', SUMMARY.by_tier),
      blockedBars(),
      becameOfAll()),
    section('What changed',
      HEAD.previous_as_of ? muted(`Since the list of ${HEAD.previous_as_of}.`) : muted('This is the first list: everything on it is new.'),
      h('div', {class: 'tiles small'},
        ['new', 'up', 'down', 'same'].map((key) => tile(number(changes[key]), key, null, route('worklist', {change: key}))),
        tile(number(changes.gone), 'gone', null, null)),
      goneTable()),
    untouchedTable(),
  ];
}

function emptyList() {
  const gates = SUMMARY.blocked.map((row) => h('li', {}, `${row.gate}: ${plural(row.accounts, 'account')} waiting`));
  return section('Why is this list empty?',
    h('p', {}, HEAD.why_not_listed.length || gates.length || FLYING.length ?
      'No pair of account and product passed every step. This is what became of them:' :
      'There was no pair of account and product to choose from: nobody could buy a product they do not own.'),
    h('ul', {}, HEAD.why_not_listed.map((row) => h('li', {}, `${plural(row.pairs, 'pair')}: ${row.words}`)),
      HEAD.why_not_listed.length ? null : [gates, FLYING.length ? h('li', {}, `${plural(FLYING.length, 'pair')} in flight`) : null]));
}

const SHOWN_BARS = 9;

function arrBars(title, key, rows) {
  if (!rows.length) return null;
  const largest = Math.max(...rows.map((row) => row.expected_arr));
  const tableOf = (some) => barTable({
    caption: title,
    head: [spaced(key), 'Expected ARR', 'Amount and plays'],
    max: largest,
    rows: some.map((row) => ({
      label: link('worklist', {[key]: row.key === null ? 'none' : row.key}, row.label),
      value: row.expected_arr,
      text: shortMoney(row.expected_arr),
      note: plural(row.plays, 'play'),
    })),
  });
  return section(title, tableOf(rows.slice(0, SHOWN_BARS)), rows.length > SHOWN_BARS ?
    h('details', {}, h('summary', {}, `${rows.length - SHOWN_BARS} more`), tableOf(rows.slice(SHOWN_BARS))) : null);
}

function blockedBars() {
  const rows = SUMMARY.blocked;
  if (!rows.length) return section('Expected ARR blocked by each gate', muted('No gate holds anything back.'));
  return section('Expected ARR blocked by each gate', barTable({
    caption: 'Expected ARR blocked by each gate',
    head: ['Gate', 'Expected ARR', 'Amount and accounts'],
    tone: 'warn',
    rows: rows.map((row) => ({
      label: link('watchlist', {gate: row.gate}, gateWords(row.gate)),
      value: row.expected_arr,
      text: shortMoney(row.expected_arr),
      note: plural(row.accounts, 'account'),
    })),
  }), muted('Each account counts once a gate, with its best blocked product.'));
}

function gateWords(code) {
  const title = HEAD.gate_titles[code];
  return title ? `${code} ${title}` : code;
}

function becameOfAll() {
  if (!PLAYS.length || !HEAD.why_not_listed.length) return null;
  return section('What became of every pair', muted('Each account and product that is not owned and could be bought is counted once.'),
    barTable({caption: 'What became of every pair', head: ['What became of it', 'Pairs', 'Number of pairs'],
      rows: [{words: 'on this list', pairs: PLAYS.length, tone: 'good'}, ...HEAD.why_not_listed].map((row) => ({label: row.words,
        value: row.pairs, text: number(row.pairs), tone: row.tone}))}));
}

function goneTable() {
  if (!GONE.length) return HEAD.previous_as_of ? muted('No play left the list.') : null;
  return h('details', {open: GONE.length <= 10}, h('summary', {}, `Gone: ${plural(GONE.length, 'play')}, and why`),
    h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Plays that left the list'}, h('table', {class: 'plain'},
      h('thead', {}, h('tr', {}, ['Account', 'Product', 'Why'].map((words) => h('th', {scope: 'col'}, words)))),
      h('tbody', {}, GONE.map((row) => h('tr', {}, h('td', {}, accountLink(row)),
        h('td', {}, row.product_name), h('td', {}, row.detail)))))));
}

function untouchedTable() {
  const rows = PLAYS.filter(isUntouched).sort((a, b) => b.value_usd - a.value_usd).slice(0, 10);
  if (!rows.length) return null;
  return section('Most valuable untouched plays',
    muted(`On the list for ${HEAD.untouched_after_days} days or more, and nobody noted anything.`),
    h('table', {class: 'plain'},
      h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, 'Account'), h('th', {scope: 'col'}, 'Product'),
        HEAD.owner ? null : h('th', {scope: 'col'}, 'Owner'), h('th', {scope: 'col', class: 'num'}, 'Value'),
        h('th', {scope: 'col', class: 'num'}, 'On the list'))),
      h('tbody', {}, rows.map((row) => h('tr', {}, h('td', {}, accountLink(row)), h('td', {}, row.product_name),
        HEAD.owner ? null : h('td', {}, row.owner_name || 'No owner'), h('td', {class: 'num'}, money(row.value_usd)),
        h('td', {class: 'num'}, plural(row.days_on_list, 'day')))))));
}

function isUntouched(play) {
  return play.days_on_list >= HEAD.untouched_after_days && missing(play.status);
}

/** The account's name, as a link where this page knows more of it. */
function accountLink(row) {
  const words = row.account_name || row.account_id;
  return KNOWN_ACCOUNTS.has(row.account_id) ? link(accountPath(row.account_id), {}, words) : words;
}

const KNOWN_ACCOUNTS = new Set([...PLAYS, ...WATCHED, ...FLYING].map((row) => row.account_id));
