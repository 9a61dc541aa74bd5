/** Interfaces of a story's own namespace that are set up, for netdev.mjs and arrivals.mjs. Plain JavaScript. */

const UP_MS_MAX = 20_000;

/** Sets them up by `ip` and returns when they are: until the kernel has seen its carrier a device drops in silence what it is to send. */
export function setUp(ip, ...names) {
  for (const name of names) ip('link', 'set', name, 'up');
  for (const name of names) {
    const isUp = () => JSON.parse(ip('-json', 'link', 'show', 'dev', name))[0].operstate === 'UP';
    const end = Date.now() + UP_MS_MAX;
    for (let isLast = false; !isUp(); isLast = Date.now() > end) if (isLast) throw new Error(`${name} has no carrier`);
  }
}
