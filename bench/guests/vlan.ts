// Scenario guests-vlan: what pushing and popping a tag costs. One guest is on an access port and sends untagged; to the other, on a trunk,
// its frames come tagged, and it sends them back so. Compared with both on access ports of the same VLAN, where no tag is ever there.
import { guestPort, joinByWeft } from '../peers/weft-guests.ts';
import { interleave } from '../system/context.ts';
import { betweenGuests, type GuestContext, type GuestScenario } from './context.ts';
import { type PingPong, pingPong, pingPongText } from './ping-pong.ts';
import { FIRST } from './testpmd.ts';

const TAG = 10;
const SIZES = [64, 512];

export const guestsVlan: GuestScenario = {
  name: 'guests-vlan',
  about: 'a VLAN tag pushed one way and popped the other, against none, at 64 and 512 bytes',
  weftOnly: true,
  run: async (context) => {
    const rows = [];
    for (const frameBytes of SIZES) {
      const variant = `${frameBytes} B: push and pop vs neither`;
      const measure = (tagged: boolean) => () => measureOnce(context, frameBytes, tagged);
      const pairs = await interleave(context.pairs, measure(true), measure(false), (index, a, b) => {
        const text = `${pingPongText(a)} / ${pingPongText(b)} = ${(a.rate / b.rate).toFixed(2)}`;
        context.progress(`guests-vlan ${variant}, pair ${index + 1}/${context.pairs}: ${text}`);
      });
      const about = { scenario: 'guests-vlan', variant, subject: 'weft', against: 'weft' };
      const rates = pairs.map(([tagged, plain]) => ({ subject: tagged.rate, against: plain.rate }));
      rows.push({ ...about, unit: 'Mframes/s', how: 'ratio' as const, pairs: rates });
    }
    return rows;
  },
};

function measureOnce(context: GuestContext, frameBytes: number, tagged: boolean): Promise<PingPong> {
  const access = { mode: 'access', tag: TAG } as const;
  const trunk = { mode: 'trunk', trunks: [TAG] } as const;
  return betweenGuests(
    context,
    { count: 2, frameBytes, topology: 'loop' },
    (place, [a, b]) =>
      joinByWeft(place, [guestPort(0, a!, frameBytes, access), guestPort(1, b!, frameBytes, tagged ? trunk : access)]),
    // The first frames of a guest behind a trunk are untagged, so they are lost; the other guest makes up for them.
    (guests, joined) => pingPong(guests, joined, context.seconds, { first: tagged ? 2 * FIRST : FIRST }),
  );
}
