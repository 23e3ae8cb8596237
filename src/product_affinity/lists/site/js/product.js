// Products: how each goes with the others, and how far its chances can be trusted.

function productsPage() {
  const rows = productTable('products').all();
  const listed = new Map(SUMMARY.by_product.map((row) => [row.key, row]));
  return [h('h1', {}, 'Products'), rows.length ? section('All products', simpleTable('All products', [
    ['Product', (row) => link(productPath(row.product_id), {}, row.name)], ['Category', (row) => spaced(row.category)],
    ['Owned by', (row) => [number(row.owners), h('small', {}, row.customers ? percent(row.owners / row.customers) : null)], true],
    ['List price', (row) => money(row.list_arr_usd), true],
    ['Plays', (row) => number(listed.get(row.product_id)?.plays ?? 0), true],
    ['Expected ARR', (row) => money(listed.get(row.product_id)?.expected_arr ?? 0), true]], rows)) : muted('No product figures came with this list.')];
}

function productPage(query, id) {
  const product = productTable('products').where('product_id', id)[0];
  const plays = PLAYS.filter((row) => row.product_id === id);
  if (!product && !plays.length) return [h('h1', {}, 'No such product here'), h('p', {}, link('products', {}, 'All products'))];
  const waiting = WATCHED.filter((row) => row.product_id === id).length;
  return [
    h('h1', {}, productName(id)),
    h('div', {class: 'tiles small'},
      tile(number(plays.length), 'plays listed', null, route('worklist', {product: id})),
      tile(shortMoney(plays.reduce((sum, row) => sum + row.propensity * row.expected_arr_usd, 0)), 'expected ARR'),
      tile(number(waiting), 'waiting on this page', null, route('watchlist', {product: id})),
      product ? tile(number(product.owners), 'customers own it', product.customers ? `${percent(product.owners / product.customers)} of ${number(product.customers)}` : null) : null),
    h('div', {class: 'columns'},
      affinitySection('Affinity in', `Who owns it: of the owners of each other product, the share that also owns ${productName(id)}.`,
        'owned_product_id', productTable('affinity').where('product_id', id)),
      affinitySection('Affinity out', `What its owners own: of the owners of ${productName(id)}, the share that also owns each other product.`,
        'product_id', productTable('affinity').all().filter((row) => row.owned_product_id === id)),
      attachSection(id), reliabilitySection(id), liftSection(id)),
  ];
}

function affinitySection(title, words, key, rows) {
  if (!rows.length) return null;
  const ordered = rows.map((row) => ({...row, rate: row.owners ? row.both / row.owners : 0})).sort((a, b) => b.rate - a.rate);
  const learned = ordered.filter((row) => !missing(row.conversion));
  return section(title, muted(words), barTable({caption: words, head: ['Product', 'Share', 'Share and owners'],
    rows: ordered.map((row) => ({label: link(productPath(row[key]), {}, productName(row[key])), value: row.rate, text: percent(row.rate),
      note: `${number(row.both)} of ${number(row.owners)}`}))}),
  learned.length ? h('details', {}, h('summary', {}, 'Attempts: share won and days to close'), simpleTable(`${title}, opportunities`, [
    ['Product', (row) => productName(row[key])], ['Won', (row) => percent(row.conversion), true],
    ['Closed attempts', (row) => number(row.opportunities), true], ['Median days', (row) => number(row.median_days), true]], learned)) : null);
}

function attachSection(id) {
  const rows = productTable('attach').where('product_id', id);
  if (!rows.length) return null;
  return section('Attach rate by segment', barTable({caption: 'Share of active customers that own it', head: ['Segment', 'Share', 'Share and customers'],
    rows: rows.map((row) => ({label: SEGMENTS[row.segment] || row.segment || 'segment unknown', value: row.customers ? row.owners / row.customers : 0,
      text: percent(row.customers ? row.owners / row.customers : null), note: `${number(row.owners)} of ${number(row.customers)}`}))}));
}

function reliabilitySection(id) {
  const bins = productTable('reliability').where('product_id', id);
  if (!bins.length) return section('Reliability', muted('No backtest with enough adoptions of this product came with this list.'));
  return section('Reliability', muted('In the backtest, did a chance mean what it said? Dots on the dashed line are right; bars are 95 % intervals.'),
    reliabilityChart(bins), h('details', {}, h('summary', {}, 'Show as a table'), simpleTable('Reliability figures', [['Predicted', (row) => percent(row.predicted), true],
      ['Observed', (row) => percent(row.observed), true], ['95 % interval', (row) => `${percent(row.low)} to ${percent(row.high)}`, true],
      ['Pairs', (row) => number(row.pairs), true]], bins)));
}

function liftSection(id) {
  const rows = productTable('lift').where('product_id', id);
  if (!rows.length) return null;
  return section('Lift', muted('In the backtest, how many times the base rate adopted among the accounts ranked highest; 1 is no better than chance. Beside it: adoptions of pairs.'),
    barTable({caption: 'Lift among the accounts ranked highest', head: ['Share worked', 'Lift', 'Lift and adoptions'],
      rows: rows.map((row) => ({label: `Top ${number(100 * row.share)} %`, value: row.lift, text: `${row.lift.toFixed(1)} ×`,
        note: `${number(row.adoptions)} of ${number(row.pairs)}`}))}));
}
