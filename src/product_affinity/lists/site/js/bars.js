// Bars are rows of a real table: a screen reader reads label and number, the bar itself is decoration.

/**
 * A table of bars.
 * rows: {label: node or text, value, text, note}; negative values grow to the left from a common middle.
 */
function barTable({caption, head, rows, max, tone}) {
  const values = rows.map((row) => row.value || 0);
  const reach = max || Math.max(...values.map(Math.abs), 1e-9);
  const diverging = values.some((value) => value < 0);
  return h('table', {class: `bars${diverging ? ' diverging' : ''}`},
    h('caption', {class: 'sr-only'}, caption),
    h('thead', {class: 'sr-only'}, h('tr', {}, head.map((words) => h('th', {scope: 'col'}, words)))),
    h('tbody', {}, rows.map((row) => h('tr', {},
      h('th', {scope: 'row'}, row.label),
      h('td', {class: 'bar'}, bar(row.value || 0, reach, diverging, row.tone || tone)),
      h('td', {class: 'num'}, row.text, row.note ? h('small', {}, row.note) : null)))));
}

function bar(value, reach, diverging, tone) {
  const share = Math.min(100, 100 * Math.abs(value) / reach) / (diverging ? 2 : 1);
  const start = diverging ? (value < 0 ? 50 - share : 50) : 0;
  const shape = svg('svg', {class: 'barline', 'aria-hidden': 'true', focusable: 'false', width: '100%', height: '14'});
  shape.append(svg('rect', {x: `${start}%`, y: 1, width: `${Math.max(share, 0.4)}%`, height: 12, rx: 2,
    class: `fill ${value < 0 ? 'against' : tone || ''}`}));
  if (diverging) shape.append(svg('line', {x1: '50%', x2: '50%', y1: 0, y2: 14, class: 'axis'}));
  return shape;
}
