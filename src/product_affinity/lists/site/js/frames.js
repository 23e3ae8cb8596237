// The embedded tables. Account and product tables are parsed when a page first asks for them.

class Frame {
  constructor(encoded) {
    this.rows = encoded ? encoded.rows : 0;
    this.columns = encoded ? encoded.columns : {};
    this.index = null;
  }

  cell(name, row) {
    const column = this.columns[name];
    if (Array.isArray(column)) return column[row];
    const code = column.codes[row];
    return code < 0 ? null : column.levels[code];
  }

  row(position) {
    const row = {};
    for (const name of Object.keys(this.columns)) row[name] = this.cell(name, position);
    return row;
  }

  all() {
    return Array.from({length: this.rows}, (_, position) => this.row(position));
  }

  /** Rows whose `key` column equals `value`, found through an index made on first use. */
  where(key, value) {
    if (!this.index || this.index.key !== key) {
      const positions = new Map();
      for (let row = 0; row < this.rows; row += 1) {
        const found = this.cell(key, row);
        if (positions.has(found)) positions.get(found).push(row);
        else positions.set(found, [row]);
      }
      this.index = {key, positions};
    }
    return (this.index.positions.get(value) || []).map((row) => this.row(row));
  }
}

function parsed(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

function lazily(id) {
  let tables = null;
  return (name) => {
    if (!tables) {
      tables = {};
      for (const [table, encoded] of Object.entries(parsed(id))) tables[table] = new Frame(encoded);
    }
    return tables[name] || new Frame(null);
  };
}

const LISTS = parsed('lists');
const HEAD = LISTS.head;
const SUMMARY = LISTS.summary;
const PLAYS = new Frame(LISTS.plays).all();
const WATCHED = new Frame(LISTS.watchlist).all();
const FLYING = new Frame(LISTS.in_flight).all();
const GONE = new Frame(LISTS.gone).all();
const accountTable = lazily('accounts');
const productTable = lazily('products');

/** Names of products by id: from the catalogue, else from the lists. */
const productName = (() => {
  let names = null;
  return (id) => {
    if (!names) {
      names = new Map();
      for (const row of [...PLAYS, ...WATCHED, ...FLYING]) names.set(row.product_id, row.product_name);
      for (const row of productTable('products').all()) names.set(row.product_id, row.name);
    }
    return names.get(id) || id || '–';
  };
})();
