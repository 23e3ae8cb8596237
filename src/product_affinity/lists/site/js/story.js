// The play of an account: what to offer, why, why now, how to say it. In the customer-safe view only what may be said.

function playCard(play, safe) {
  const names = safe && play.play_type === 'discover' ? play.product_name : null;
  const reasons = [1, 2, 3].filter((k) => !missing(play[`reason_${k}`])
    && (!safe || (play[`reason_${k}_sayable`] && !(names && play[`reason_${k}`].includes(names)))));
  const warned = !safe && !missing(play.caution);
  // a discovery talk names no product yet
  return section(safe ? (play.play_type === 'discover' ? 'Worth a conversation' : `Worth a conversation: ${play.product_name}`) : `${spaced(play.play_type)}: ${play.product_name}`,
    safe ? null : playFigures(play),
    reasons.length ? [h('h3', {}, safe ? 'What we see in your work' : 'Why'),
      h('ul', {class: 'reasons'}, reasons.map((k) => h('li', {}, play[`reason_${k}`], safe || play[`reason_${k}_sayable`] ? null : [' ', chip('internal')])))] : null,
    warned ? h('p', {class: 'caution'}, h('strong', {}, 'Careful: '), play.caution,
      play.caution_sayable ? null : [' ', chip('internal')]) : null,
    safe ? null : [whyNow(play), howTo(play)]);
}

function playFigures(play) {
  return [
    h('div', {class: 'tiles small'},
      tile(percent(play.propensity), `chance within ${HEAD.horizon_days} days`, `one in ${number(play.one_in)}, ${number(play.lift)} × usual`),
      tile(money(play.value_usd), 'value', `${money(play.expected_arr_usd)} ARR if won`),
      tile(`#${number(play.rank)}`, 'on the list', `${plural(play.days_on_list, 'day')}, ${play.change}`)),
    h('p', {class: 'chips'}, typeChip(play.play_type), play.launch_estimate ? chip('launch estimate: few sales to learn from') : null,
      play.winback ? chip('win-back: owned it before') : null, missing(play.status) ? null : chip(`status: ${spaced(play.status)}`, 'info')),
    facts([
      ['Who acts', play.route ? `${ROUTES[play.route] || play.route}${play.route_reason ? `: ${play.route_reason}` : ''}` : null],
      ['Talk to', [play.stakeholder_name, play.stakeholder_role].filter(Boolean).join(', ')],
      ['Readiness', play.readiness],
      ['Fit', play.quadrant ? `${spaced(play.quadrant)}, next to ${productName(play.anchor_product_id)}` : null],
      ['Next step', play.next_step],
      ['Best by', play.best_by],
      ['Noted', [play.outcome_reason, play.outcome_note].filter(Boolean).join(': ')],
    ]),
  ];
}

function whyNow(play) {
  if (missing(play.trigger) && missing(play.problem_statement)) return null;
  return [h('h3', {}, 'Why now'),
    play.trigger ? h('p', {}, h('strong', {}, play.trigger), ' ', play.trigger_evidence, play.trigger_on ? h('span', {class: 'muted'}, ` (${play.trigger_on})`) : null) : null,
    play.problem_statement ? h('blockquote', {}, play.problem_statement,
      h('footer', {}, [spaced(play.problem_tag), SOURCES[play.problem_source] || play.problem_source, play.problem_noted_on].filter(Boolean).join(' · '))) : null];
}

function howTo(play) {
  const parts = [['Talk track', play.talk_track], ['Questions to ask', play.discovery_questions], ['Objections and answers', play.objections]];
  return parts.filter(([, words]) => !missing(words)).map(([title, words], order) => {
    const lines = words.split('\n').filter(Boolean);
    return h('details', {open: order === 0}, h('summary', {}, title),
      lines.length > 1 ? h('ul', {}, lines.map((line) => h('li', {}, line))) : h('p', {}, words));
  });
}

function reasonChart(id, plays) {
  const pairs = plays.map((play) => play.product_id);
  const rows = accountTable('shares').where('account_id', id).filter((row) => pairs.includes(row.product_id));
  if (!rows.length) return null;
  const ordered = rows.sort((a, b) => b.share - a.share);
  return section('What moves the chance',
    barTable({caption: 'Contribution of each signal family to the chance, relative to the average account of this product',
      head: ['Signal family', 'Contribution', 'In log-odds'],
      rows: ordered.map((row) => ({label: row.family === 'is_winback' ? 'Owned it before' : spaced(row.family), value: row.share, text: signed(row.share, 2)}))}),
    muted('Relative to the average account that could buy this product, in log-odds: +0.69 doubles the odds, −0.69 halves them. ',
      'Not causes: what goes with buying.'));
}
