// Line charts as inline SVG, each with a readout under the pointer or the arrow keys and the same figures as a table.

const WIDTH = 640;
const HEIGHT = 200;
const PAD = {left: 44, right: 12, top: 12, bottom: 26};

/** Round numbers that cover [0, top] in about four steps. */
function ticks(low, top) {
  const span = Math.max(top - low, 1e-9);
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const marks = [];
  for (let mark = Math.ceil(low / step) * step; mark <= top + step * 1e-6; mark += step) marks.push(mark);
  return marks;
}

function scale(low, high, from, to) {
  return (value) => from + ((value - low) / Math.max(high - low, 1e-9)) * (to - from);
}

/** Unbroken runs of a series as SVG path data; a missing value is a gap. */
function pathOf(values, x, y) {
  let path = '';
  let pen = 'M';
  values.forEach((value, position) => {
    if (missing(value)) pen = 'M';
    else {
      path += `${pen}${x(position).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = 'L';
    }
  });
  return path;
}

/**
 * A chart of one or more series over equal steps.
 * labels: one a step; series: {name, values}; range: [low, high] or null for [0, largest]; bands: [from, to, class].
 */
function lineChart({title, labels, series, range, format, bands, invert}) {
  const seen = series.flatMap((one) => one.values).filter((value) => !missing(value));
  if (!seen.length) return null;
  const [low, high] = range || [0, Math.max(...seen, 1) * 1.05];
  const x = scale(0, Math.max(labels.length - 1, 1), PAD.left, WIDTH - PAD.right);
  const bottom = HEIGHT - PAD.bottom;
  const y = invert ? scale(low, high, PAD.top, bottom) : scale(low, high, bottom, PAD.top);
  const drawing = svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', tabindex: '0', class: 'chart',
    'aria-label': `${title}. ${series.map((one) => summaryOf(one, format)).join('; ')}.`});
  for (const [from, to, tone] of bands || []) {
    drawing.append(svg('rect', {x: PAD.left, width: WIDTH - PAD.left - PAD.right, class: `band ${tone}`,
      y: Math.min(y(from), y(to)), height: Math.abs(y(from) - y(to))}));
  }
  drawAxes(drawing, {x, y, low, high, labels, format});
  series.forEach((one, order) => drawSeries(drawing, one, order, x, y));
  const cursor = svg('line', {class: 'cursor', y1: PAD.top, y2: bottom, visibility: 'hidden'});
  drawing.append(cursor);
  const readout = h('p', {class: 'readout', 'aria-live': 'polite'}, '\u00a0');
  follow(drawing, cursor, readout, {x, labels, series, format});
  return h('figure', {class: 'plot'}, h('figcaption', {}, title), legend(series), drawing, readout,
    h('details', {}, h('summary', {}, 'Show as a table'), seriesTable(title, labels, series, format)));
}

function summaryOf(one, format) {
  const known = one.values.filter((value) => !missing(value));
  if (!known.length) return `${one.name}: nothing recorded`;
  return `${one.name}: from ${format(known[0])} to ${format(known[known.length - 1])}`;
}

function drawAxes(drawing, {x, y, low, high, labels, format}) {
  for (const mark of ticks(low, high)) {
    drawing.append(svg('line', {class: 'gridline', x1: PAD.left, x2: WIDTH - PAD.right, y1: y(mark), y2: y(mark)}),
      svg('text', {class: 'tick', x: PAD.left - 6, y: y(mark) + 4, 'text-anchor': 'end'}, format(mark)));
  }
  const every = Math.max(1, Math.ceil(labels.length / 5));
  labels.forEach((label, position) => {
    if ((labels.length - 1 - position) % every !== 0) return;
    const anchor = position === labels.length - 1 ? 'end' : position === 0 ? 'start' : 'middle';
    drawing.append(svg('text', {class: 'tick', x: x(position), y: HEIGHT - 8, 'text-anchor': anchor}, label));
  });
}

function drawSeries(drawing, one, order, x, y) {
  drawing.append(svg('path', {class: `series s${order % 5}`, d: pathOf(one.values, x, y)}));
  one.values.forEach((value, position) => {
    const alone = missing(one.values[position - 1]) && missing(one.values[position + 1]);
    const few = one.values.length <= 14;
    if (!missing(value) && (alone || few)) {
      drawing.append(svg('circle', {class: `dot s${order % 5}`, cx: x(position), cy: y(value), r: 2.6}));
    }
  });
}

function legend(series) {
  return h('ul', {class: 'legend'}, series.map((one, order) => h('li', {},
    svg('svg', {width: 22, height: 10, 'aria-hidden': 'true'},
      svg('line', {class: `series s${order % 5}`, x1: 0, x2: 22, y1: 5, y2: 5})), one.name)));
}

function follow(drawing, cursor, readout, {x, labels, series, format}) {
  let at = labels.length;
  const show = (position) => {
    at = Math.max(0, Math.min(labels.length - 1, position));
    cursor.setAttribute('x1', x(at));
    cursor.setAttribute('x2', x(at));
    cursor.setAttribute('visibility', 'visible');
    const said = series.map((one) => `${one.name} ${missing(one.values[at]) ? 'nothing recorded' : format(one.values[at])}`);
    readout.textContent = `${labels[at]}: ${said.join(' · ')}`;
  };
  drawing.addEventListener('pointermove', (event) => {
    const box = drawing.getBoundingClientRect();
    const inside = ((event.clientX - box.left) / box.width) * WIDTH - PAD.left;
    show(Math.round((inside / (WIDTH - PAD.left - PAD.right)) * (labels.length - 1)));
  });
  drawing.addEventListener('keydown', (event) => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!step) return;
    event.preventDefault();
    show(at + step);
  });
}

function seriesTable(title, labels, series, format) {
  return h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${title}, figures`},
    h('table', {class: 'plain'},
      h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, 'When'), series.map((one) => h('th', {scope: 'col'}, one.name)))),
      h('tbody', {}, labels.map((label, position) => h('tr', {}, h('th', {scope: 'row'}, label),
        series.map((one) => h('td', {class: 'num'}, missing(one.values[position]) ? DASH : format(one.values[position]))))))));
}

/** Predicted against observed shares with intervals; on the diagonal a chance means what it says. */
function reliabilityChart(bins) {
  const top = Math.max(...bins.map((bin) => Math.max(bin.predicted, bin.high)), 0.01) * 1.05;
  const side = 300;
  const x = scale(0, top, PAD.left, side - PAD.right);
  const y = scale(0, top, side - PAD.bottom, PAD.top);
  const drawing = svg('svg', {viewBox: `0 0 ${side} ${side}`, role: 'img', class: 'chart square',
    'aria-label': 'Observed share against predicted chance; the table below has the figures.'});
  for (const mark of ticks(0, top)) {
    drawing.append(svg('line', {class: 'gridline', x1: PAD.left, x2: side - PAD.right, y1: y(mark), y2: y(mark)}),
      svg('text', {class: 'tick', x: PAD.left - 6, y: y(mark) + 4, 'text-anchor': 'end'}, percent(mark)),
      svg('text', {class: 'tick', x: x(mark), y: side - 8, 'text-anchor': 'middle'}, percent(mark)));
  }
  drawing.append(svg('text', {class: 'tick', x: side - PAD.right, y: side - PAD.bottom - 6, 'text-anchor': 'end'}, 'predicted →'),
    svg('text', {class: 'tick', x: PAD.left + 6, y: PAD.top + 10}, '↑ observed'));
  drawing.append(svg('line', {class: 'diagonal', x1: x(0), y1: y(0), x2: x(top), y2: y(top)}));
  for (const bin of bins) {
    drawing.append(svg('line', {class: 'whisker', x1: x(bin.predicted), x2: x(bin.predicted), y1: y(bin.low), y2: y(bin.high)}),
      svg('circle', {class: 'dot s0', cx: x(bin.predicted), cy: y(bin.observed), r: 4}));
  }
  return drawing;
}
