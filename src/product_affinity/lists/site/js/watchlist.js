// The watchlist: what a gate holds back, what was seen and what would open it; and what is in flight.

const WATCH_TABLE = [
  {key: 'account', label: 'Account', header: true, sort: (row) => row.account_name || row.account_id, cell: (row) => [accountLink(row),
    HEAD.owner ? null : h('small', {}, row.owner_name || 'No owner')]},
  {key: 'product', label: 'Offer', sort: (row) => row.product_name, cell: (row) => link(productPath(row.product_id), {}, row.product_name)},
  {key: 'gate', label: 'Gate', sort: (row) => row.gate, cell: (row) => chip(row.gate, 'warn')},
  {key: 'evidence', label: 'What was seen', wide: true, cell: (row) => row.evidence},
  {key: 'opens', label: 'What would open it', wide: true, cell: (row) => row.unblocked_by},
  {key: 'on', label: 'On', sort: (row) => row.unblocked_on, cell: (row) => row.unblocked_on || DASH},
  {key: 'chance', label: 'Chance', numeric: true, first: 'descending', sort: (row) => row.propensity, cell: (row) => percent(row.propensity)},
  {key: 'value', label: 'Value', numeric: true, first: 'descending', sort: (row) => row.value_usd, cell: (row) => money(row.value_usd)},
];
const WATCH_FILTERS = [
  {key: 'gate', label: 'Gate', value: (row) => row.gate, words: (row) => gateWords(row.gate)},
  {key: 'product', label: 'Product', value: (row) => row.product_id, words: (row) => row.product_name},
  {key: 'owner', label: 'Owner', value: (row) => row.owner_id ?? 'none', words: (row) => row.owner_name || 'No owner'},
];

function watchlistPage(query) {
  const more = HEAD.waiting !== null && HEAD.waiting > WATCHED.length;
  return [
    h('h1', {}, 'Watchlist'),
    muted('Pairs that a gate holds back, most valuable first, with the first reason and what would open it.',
      more ? ` The ${number(WATCHED.length)} most valuable of ${number(HEAD.waiting)}; watchlist.csv has all.` : ''),
    dataTable({name: 'watchlist', caption: 'Watchlist', rows: WATCHED, columns: WATCH_TABLE, filters: WATCH_FILTERS,
      text: (row) => [row.account_id, row.account_name, row.product_name, row.owner_name, row.evidence, row.unblocked_by].filter(Boolean).join(' '),
      query, update: (state) => replaceQuery('watchlist', state), nothing: 'No gate holds anything back.'}),
    section('In flight', FLYING.length ? simpleTable('In flight', [['Account', (row) => accountLink(row)], ['Product', (row) => row.product_name],
      ['Owner', (row) => row.owner_name || 'No owner'], ['Where it stands', (row) => row.evidence]], FLYING) : muted('Nothing is in flight.')),
  ];
}
