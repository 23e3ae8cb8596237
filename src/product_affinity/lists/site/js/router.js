// Addresses after the # choose the page; the state of a table follows the ?.

const ROUTES_OF = [
  [/^$/, 'Overview', () => overviewPage()],
  [/^worklist$/, 'Worklist', (query) => worklistPage(query)],
  [/^account\/(.+)$/, 'Account', (query, id) => accountPage(query, id)],
  [/^products$/, 'Products', () => productsPage()],
  [/^product\/(.+)$/, 'Product', (query, id) => productPage(query, id)],
  [/^watchlist$/, 'Watchlist', (query) => watchlistPage(query)],
];
const MENU = [['', 'Overview'], ['worklist', 'Worklist'], ['products', 'Products'], ['watchlist', 'Watchlist']];

function address() {
  const [path, search] = location.hash.replace(/^#\/?/, '').split('?');
  return {path, query: Object.fromEntries(new URLSearchParams(search || ''))};
}

function replaceQuery(path, state) {
  history.replaceState(null, '', route(path, state));
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

function show(focus) {
  const {path, query} = address();
  const main = document.getElementById('main');
  const [pattern, , build] = ROUTES_OF.find(([candidate]) => candidate.test(path)) || ROUTES_OF[0];
  const match = pattern.exec(path);
  main.replaceChildren(...build(query, match && match[1] ? decoded(match[1]) : null).filter(Boolean));
  const isSafe = query.view === 'customer';
  drawTop(path, isSafe);
  const heading = main.querySelector('h1');
  document.title = isSafe ? heading.textContent : `${heading.textContent} · ${HEAD.project} · ${HEAD.as_of}`;
  if (focus) {
    heading.setAttribute('tabindex', '-1');
    heading.focus();
    window.scrollTo(0, 0);
  }
}

function drawTop(path, isSafe) {
  const menu = h('nav', {'aria-label': 'Pages'}, h('ul', {}, MENU.map(([target, words]) => {
    const here = path === target || (target === 'products' && path.startsWith('product/')) || (target === 'worklist' && path.startsWith('account/'));
    return h('li', {}, h('a', {href: route(target), 'aria-current': here ? 'page' : null}, words));
  })));
  // What is shared on a screen names no other customer and no internal page.
  document.getElementById('top').replaceChildren(
    h('p', {class: 'brand'}, h('strong', {}, HEAD.project), isSafe ? null : h('span', {}, `as of ${HEAD.as_of}${HEAD.owner ? ` · ${HEAD.owner}` : ''}${HEAD.ranked_by ? ' · ranked by a baseline' : ''}`)),
    isSafe ? '' : menu, themeButton());
  document.getElementById('foot').replaceChildren(...(isSafe ? [] : [h('p', {},
    `Facts before ${HEAD.as_of} · model ${HEAD.model_version} · chance = probability of a first paid start within ${HEAD.horizon_days} days, not readiness · `,
    'expected ARR = chance × ARR if won · value = expected ARR − the cost of a play')]));
}

const THEME = 'product-affinity-theme';

function themeButton() {
  const next = {auto: 'dark', dark: 'light', light: 'auto'};
  const words = (theme) => `Theme: ${theme === 'auto' ? 'as the system' : theme}`;
  const button = h('button', {type: 'button', class: 'quiet theme', onclick: () => {
    const theme = next[document.documentElement.dataset.theme || 'auto'];
    document.documentElement.dataset.theme = theme;
    button.textContent = words(theme);
    stored((store) => store.setItem(THEME, theme));
  }}, words(document.documentElement.dataset.theme || 'auto'));
  return button;
}

/** Browsers may refuse storage to local files; the page works without it. */
function stored(use) {
  try {
    return use(window.localStorage);
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}

document.documentElement.dataset.theme = stored((store) => store.getItem(THEME)) || 'auto';
document.querySelector('[data-skip]').addEventListener('click', (event) => {
  event.preventDefault();
  document.getElementById('main').focus();
});
window.addEventListener('hashchange', () => show(true));
show(false);
