// The account page, and its customer-safe view: a page to share on a screen, without anything internal in it.

function accountPage(query, id) {
  const safe = query.view === 'customer';
  const plays = PLAYS.filter((row) => row.account_id === id);
  const account = accountTable('accounts').where('account_id', id)[0];
  const listed = plays[0] || WATCHED.find((row) => row.account_id === id) || FLYING.find((row) => row.account_id === id);
  if (!account && !listed) {
    return [h('h1', {}, 'No such account here'), muted(`${id} is neither listed, in flight nor on this page's watchlist.`),
      h('p', {}, link('worklist', {}, 'Back to the worklist'))];
  }
  const name = account?.name || listed?.account_name || id;
  const toggle = h('a', {class: 'button', href: route(accountPath(id), safe ? {} : {view: 'customer'}), 'data-safe': safe ? 'on' : 'off'},
    safe ? 'Close' : 'Customer-safe view');
  const heading = h('div', {class: 'heading'}, h('div', {}, h('h1', {}, name), safe ? null : accountLine(account, plays[0])), toggle);
  return safe ? [heading, ...safeParts(id, plays)] : [heading, ...internalParts(id, account, plays)];
}

function accountLine(account, play) {
  const crm = crmLink(account?.crm_url || play?.crm_url, 'Open in the CRM');
  return h('p', {class: 'muted'}, [missing(account?.tier ?? play?.tier) ? null : `Tier ${account?.tier ?? play?.tier}`,
    SEGMENTS[account?.segment || play?.segment], account?.industry, account?.country,
    missing(account?.employees) ? null : `${number(account.employees)} employees`,
    `Owner: ${account?.owner_name || play?.owner_name || 'none'}`].filter(Boolean).join(' · '), crm ? [' · ', crm] : null);
}

function accountTiles(account, play) {
  const tenure = account?.tenure_days;
  return h('div', {class: 'tiles small'},
    tile(money(account?.arr_usd ?? play?.account_arr_usd), 'account ARR', missing(tenure) ? null : `customer for ${number(tenure / 365.25)} years`),
    play ? [
      tile(renewalWords(play.renewal_on), 'renewal', play.renewal_on),
      tile(number(play.health), 'health', missing(play.health_change) ? null : `${signed(play.health_change, 0)} points`),
      tile(number(play.open_urgent), 'open P1/P2', missing(play.open_urgent_oldest_days) ? null : `oldest ${plural(play.open_urgent_oldest_days, 'day')}`),
    ] : null);
}

function internalParts(id, account, plays) {
  const known = Boolean(account);
  return [
    accountTiles(account, plays[0]),
    ...plays.map((play) => playCard(play, false)),
    waitingHere(id),
    known ? null : muted('This page keeps no history of this account; its owner\'s page does.'),
    h('div', {class: 'columns'}, reasonChart(id, plays), known ? [ownedSection(id, false), whiteSpaceSection(id), usageSection(id), healthSection(id),
      problemSection(id, false)] : null, checkSection(id), known ? [eventSection(id), rankSection(id, plays)] : null),
  ];
}

function safeParts(id, plays) {
  return [
    ...plays.map((play) => playCard(play, true)),
    h('div', {class: 'columns'}, ownedSection(id, true), usageSection(id), problemSection(id, true)),
  ];
}

function waitingHere(id) {
  const waiting = WATCHED.filter((row) => row.account_id === id);
  const flying = FLYING.filter((row) => row.account_id === id);
  if (!waiting.length && !flying.length) return null;
  return section('Not now', flying.length ? simpleTable('In flight', [['In flight', (row) => row.product_name], ['Why', (row) => row.evidence]], flying) : null,
    waiting.length ? simpleTable('On the watchlist', [['Waiting', (row) => row.product_name], ['Gate', (row) => row.gate], ['Seen', (row) => row.evidence],
      ['Opens when', (row) => [row.unblocked_by, row.unblocked_on ? h('small', {}, `on ${row.unblocked_on}`) : null]],
      ['Chance', (row) => percent(row.propensity), true], ['Value', (row) => money(row.value_usd), true]], waiting) : null);
}
