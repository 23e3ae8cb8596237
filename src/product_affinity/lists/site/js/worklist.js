// The worklist: who, what, how strong, why, why now, careful, when, and how it moved.

const WORK_COLUMNS = [
  {key: 'rank', label: '#', numeric: true, cell: (row) => number(row.rank), sort: (row) => row.rank},
  {key: 'account', label: 'Account', header: true, sort: (row) => row.account_name || row.account_id, cell: (row) => [
    accountLink(row),
    h('small', {}, [missing(row.tier) ? null : `Tier ${row.tier}`, SEGMENTS[row.segment],
      HEAD.owner ? null : row.owner_name || 'No owner'].filter(Boolean).join(' · '))]},
  {key: 'product', label: 'Offer', sort: (row) => row.product_name, cell: (row) => [
    link(productPath(row.product_id), {}, row.product_name), h('small', {}, typeChip(row.play_type))]},
  {key: 'chance', label: 'Chance', numeric: true, first: 'descending', sort: (row) => row.propensity, cell: (row) => [
    percent(row.propensity), h('small', {}, `one in ${number(row.one_in)}`),
    h('small', {}, missing(row.lift) ? null : `${number(row.lift)} × usual`)]},
  {key: 'value', label: 'Value', numeric: true, first: 'descending', sort: (row) => row.value_usd, cell: (row) => [
    money(row.value_usd), h('small', {}, `${shortMoney(row.expected_arr_usd)} if won`)]},
  {key: 'why', label: 'Why, and why now', wide: true, cell: (row) => [
    row.trigger ? h('span', {class: 'now'}, h('strong', {}, row.trigger), ' ', row.trigger_evidence) : null,
    h('span', {class: 'because'}, row.reason_1 || (row.trigger ? null : 'no single signal stands out'),
      row.reason_1 && !row.reason_1_sayable ? [' ', chip('internal')] : null)]},
  {key: 'careful', label: 'Careful', narrow: true, cell: (row) => careful(row)},
  {key: 'renewal', label: 'Renewal', numeric: true, sort: (row) => inDays(row.renewal_on), cell: (row) => renewalWords(row.renewal_on)},
  {key: 'days', label: 'On list', numeric: true, first: 'descending', sort: (row) => row.days_on_list, cell: (row) => [
    plural(row.days_on_list, 'day'), h('small', {}, changeChip(row.change))]},
  {key: 'status', label: 'Status', sort: (row) => row.status || null, cell: (row) => missing(row.status) ?
    (isUntouched(row) ? chip('untouched', 'warn') : DASH) : chip(spaced(row.status), 'info')},
];

function careful(row) {
  return [
    row.open_urgent > 0 ? h('span', {class: 'because'}, chip(`${number(row.open_urgent)} open P1/P2`, 'bad')) : null,
    row.caution ? h('span', {class: 'because'}, row.caution, row.caution_sayable ? null : [' ', chip('internal')]) : null,
    row.launch_estimate ? chip('launch estimate') : null,
    row.winback ? chip('win-back') : null,
  ];
}

const WORK_FILTERS = [
  {key: 'owner', label: 'Owner', value: (row) => row.owner_id ?? 'none', words: (row) => row.owner_name || 'No owner'},
  {key: 'product', label: 'Product', value: (row) => row.product_id, words: (row) => row.product_name},
  {key: 'tier', label: 'Tier', value: (row) => row.tier, words: (row) => `Tier ${row.tier}`},
  {key: 'type', label: 'Play', value: (row) => row.play_type, words: (row) => spaced(row.play_type)},
  {key: 'route', label: 'Who acts', value: (row) => row.route, words: (row) => ROUTES[row.route] || row.route},
  {key: 'change', label: 'Change', value: (row) => row.change, words: (row) => spaced(row.change)},
  {key: 'touch', label: 'Touched', value: (row) => (isUntouched(row) ? 'untouched' : 'other'),
    words: (row) => (isUntouched(row) ? `Untouched for ${HEAD.untouched_after_days} days` : 'Recent or noted')},
];

function workText(row) {
  return [row.account_id, row.account_name, row.product_name, row.owner_name, row.trigger, row.trigger_evidence, row.reason_1,
    row.reason_2, row.reason_3, row.caution, row.problem_statement, row.status].filter(Boolean).join(' ');
}

function worklistPage(query) {
  const ranked = HEAD.owner ? PLAYS : [...PLAYS].sort((a, b) => b.value_usd - a.value_usd || (a.account_id < b.account_id ? -1 : 1));
  return [
    h('h1', {}, 'Worklist'),
    muted(`Ranked by value: chance of buying within ${HEAD.horizon_days} days × ARR if won − the cost of a play. `,
      'A chance of 12 % is a chance of buying, not readiness. ', HEAD.owner ? '' : '# is the rank within its owner.'),
    PLAYS.length ? null : emptyList(),
    dataTable({name: 'worklist', caption: 'Worklist, one row an account', rows: ranked, columns: WORK_COLUMNS, filters: WORK_FILTERS,
      text: workText, query, update: (state) => replaceQuery('worklist', state), nothing: 'No play is listed.'}),
  ];
}
